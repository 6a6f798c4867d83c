import Foundation
import Support
import Tokenization

/// What tools/fixtures/tokenizer.py wrote: texts and what the `tokenizers` library makes of them.
enum TokenizerFixtures {
  static let names = ["qwen2", "llama3", "gpt2", "digits", "demo"]

  struct Encoded: Decodable {
    var ids: [[Int32]]
    var blocks: [String]
    var decoded: [String]
  }

  struct Pattern: Decodable {
    var regex: String
    var pieces: [[Int]]
    var blocks: [String]
  }

  static func data(_ name: String) throws -> Data {
    try Data(contentsOf: Bundle.module.bundleURL.appendingPathComponent("Fixtures/\(name)"))
  }

  static func texts() throws -> [String] {
    struct File: Decodable { var texts: [String] }
    return try JSONDecoder().decode(File.self, from: data("tokenizer-texts.json")).texts
  }

  static func tokenizer(_ name: String) throws -> Tokenizer {
    try Tokenizer(json: data("tokenizer-\(name).json"), path: "\(name).json")
  }

  static func encoded(_ name: String) throws -> Encoded {
    try JSONDecoder().decode(Encoded.self, from: data("tokenizer-\(name)-ids.json"))
  }

  static func patterns() throws -> [String: Pattern] {
    struct File: Decodable { var patterns: [String: Pattern] }
    return try JSONDecoder().decode(File.self, from: data("tokenizer-pieces.json")).patterns
  }

  static let seed: UInt64 = 20_261_122

  /// The script's hash of a block of rows.
  static func hash(_ rows: [[Int]]) -> String {
    var bytes: [UInt8] = []
    for row in rows {
      for number in [row.count] + row {
        withUnsafeBytes(of: UInt32(number).littleEndian) { bytes.append(contentsOf: $0) }
      }
    }
    return String(sha256Hex(of: bytes).prefix(16))
  }
}

/// The script's generator of random texts.
struct RandomTexts {
  private var state: UInt64
  private static let bounds: [UInt64] = [0x80, 0x80, 0x250, 0x3000, 0x10000, 0x20000, 0x110000]
  private static let common = Array(" \n\r\t'.,0123456789stmdrevlSTLabcXYZ(_\u{a0}\u{301}\u{17f}".unicodeScalars)

  init(seed: UInt64) { state = seed }

  mutating func below(_ bound: UInt64) -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (state >> 33) % bound
  }

  mutating func next() -> String {
    var text = String.UnicodeScalarView()
    for _ in 0..<1 + below(24) {
      if below(2) == 1 {
        text.append(Self.common[Int(below(UInt64(Self.common.count)))])
      } else {
        let bound = Self.bounds[Int(below(UInt64(Self.bounds.count)))]
        text.append(Unicode.Scalar(UInt32(below(bound))) ?? "-")
      }
    }
    return String(text)
  }
}
