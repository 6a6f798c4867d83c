import Foundation
import Support
import Transformer

/// A decoder of transformers with what it computes, written by tools/fixtures/transformer.py.
struct DecoderFixture: Decodable {
  struct Item: Decodable {
    let row: Int
    let token: Int32
    let temperature: Float
    let kept: [Int32]?
  }

  let shapes: [String: [Int]]
  let weights: [String: Data]
  let tokens: [Int32]
  let lengths: [Int]
  let targets: [Item]
  let c_logprob, c_entropy, c_value: [Float]
  let logprobs, entropies, values: Data
  let gradients: [String: Data]

  static let names = ["qwen2-tied", "qwen2-untied", "qwen3", "llama"]

  /// The file's `config` as the bytes of a config.json.
  static func bytes(_ name: String) throws -> Data {
    let url = Bundle.module.url(forResource: "decoder-\(name)", withExtension: "json", subdirectory: "Fixtures")
    guard let url else { throw CocoaError(.fileNoSuchFile) }
    return try Data(contentsOf: url)
  }

  static func load(_ name: String) throws -> (fixture: DecoderFixture, model: LanguageModel) {
    let data = try bytes(name)
    let fixture = try JSONDecoder().decode(DecoderFixture.self, from: data)
    let whole = try JSONSerialization.jsonObject(with: data) as? [String: Any]
    let config = try JSONSerialization.data(withJSONObject: whole?["config"] ?? [:])
    var configuration = try ModelConfiguration(huggingFaceConfig: config, generationConfig: nil, path: name)
    configuration.valueHead = true
    let model = LanguageModel(configuration: configuration)
    for parameter in model.table.parameters {
      guard let bytes = fixture.weights[parameter.name], fixture.shapes[parameter.name] == parameter.shape else {
        throw CocoaError(.coderInvalidValue)
      }
      _ = model.weights[parameter.range].update(fromContentsOf: floats(bytes))
    }
    return (fixture, model)
  }

  var batch: PackedTokens {
    var rest = tokens[...]
    return PackedTokens(
      lengths.map { length in
        defer { rest = rest.dropFirst(length) }
        return Array(rest.prefix(length))
      })
  }

  var modelTargets: [Target] {
    targets.map { Target(row: $0.row, token: $0.token, temperature: $0.temperature, kept: $0.kept) }
  }

  static func floats(_ data: Data) -> [Float] { numbers(data) }
  static func doubles(_ data: Data) -> [Double] { numbers(data) }

  private static func numbers<T>(_ data: Data) -> [T] {
    data.withUnsafeBytes { bytes in
      (0..<bytes.count / MemoryLayout<T>.size).map {
        bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self)
      }
    }
  }
}

/// The largest |a - b| / (|b| + scale), after requiring finite numbers.
func largestError(_ a: [Float], _ b: [Double], scale: Double) -> Double {
  guard a.count == b.count, a.allSatisfy(\.isFinite), b.allSatisfy(\.isFinite) else { return .infinity }
  return zip(a, b).map { abs(Double($0) - $1) / (abs($1) + scale) }.max() ?? 0
}

func norm(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }

func allFinite(_ values: [Float]) -> Bool { values.allSatisfy(\.isFinite) }
