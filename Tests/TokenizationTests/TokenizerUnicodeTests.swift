import Foundation
import Support
import Testing
import Tokenization

/// Character classes and NFC over all 1,112,064 scalars against the library, by hash.
struct TokenizerUnicodeTests {
  private static let scalars = (UInt32(0)..<0x110000).compactMap(Unicode.Scalar.init)

  private func expected(_ name: String) throws -> String {
    struct File: Decodable { var sha256: [String: String] }
    let file = try JSONDecoder().decode(File.self, from: TokenizerFixtures.data("tokenizer-unicode.json"))
    return try #require(file.sha256[name])
  }

  @Test func classesEqualTheLibrarys() throws {
    let classes: [(String, UnicodeProperties)] = [
      ("letter", .letter), ("number", .number), ("space", .space), ("mark", .mark),
    ]
    for (name, property) in classes {
      let flags = Self.scalars.map { UnicodeProperties.of($0.value).contains(property) ? UInt8(1) : 0 }
      #expect(sha256Hex(of: flags) == (try expected(name)), "\(name)")
    }
  }

  @Test(arguments: [
    ("alone", "%\n"), ("marked", "a%\u{327}\u{301}\n"), ("follows", "\u{1100}\u{327}%\u{323}\u{1161}%\n"),
  ])
  func compositionEqualsTheLibrarys(name: String, wrap: String) throws {
    let wrapping = Array(wrap.unicodeScalars)
    var all: [UInt8] = []
    for scalar in Self.scalars {
      var text = String.UnicodeScalarView()
      for other in wrapping { text.append(other == "%" ? scalar : other) }
      let bytes = Array(String(text).utf8)
      all.append(contentsOf: bytes.withUnsafeBufferPointer { CanonicalComposition.shared.normalized($0) } ?? bytes)
    }
    #expect(sha256Hex(of: all) == (try expected("nfc \(name)")))
  }
}
