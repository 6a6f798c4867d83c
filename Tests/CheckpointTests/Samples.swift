import Foundation
import Glibc
import Support
import Tensor
import Testing
import Transformer

@testable import Checkpoint

/// A folder of its own for one test, removed afterwards.
final class Scratch {
  let path: String

  init() throws {
    var template = Array((NSTemporaryDirectory() as NSString).appendingPathComponent("checkpoint-XXXXXX").utf8CString)
    guard let made = mkdtemp(&template) else { throw CocoaError(.fileWriteUnknown) }
    path = String(cString: made)
  }

  deinit { removeAll(path) }

  func callAsFunction(_ name: String) -> String { (path as NSString).appendingPathComponent(name) }
}

enum Samples {
  static func configuration(
    _ architecture: ModelConfiguration.Architecture, tied: Bool = true, valueHead: Bool = false
  ) -> ModelConfiguration {
    var configuration = ModelConfiguration(
      architecture: architecture, hiddenSize: 14, intermediateSize: 22, layerCount: 2,
      heads: .init(3, keyValue: 1, width: 6), vocabularySize: 29, contextLength: 96, tiedHead: tied)
    configuration.ropeTheta = 12345.5
    configuration.ropeScaling = RotaryScaling(kind: .linear, factor: 2.5, originalContextLength: 64)
    configuration.valueHead = valueHead
    configuration.stopTokens = [3, 7]
    configuration.beginToken = 1
    return configuration
  }

  /// Random weights, with numbers among them that a careless copy or rounding would change.
  static func model(_ configuration: ModelConfiguration, seed: UInt64 = 5) -> LanguageModel {
    let model = LanguageModel(configuration: configuration)
    for parameter in model.table.parameters {
      var random = CounterRandom(seed: seed, path: [stableHash(parameter.name)])
      for index in parameter.range { model.weights[index] = Float(random.normal()) }
    }
    let special: [UInt32] = [
      0x8000_0000, 1, 0x7f80_0000, 0xff80_0000, 0x7fc0_0001, 0x3f80_8000, 0x3f81_8000, 0x7f7f_ffff,
    ]
    for (index, bits) in special.enumerated() { model.weights[index] = Float(bitPattern: bits) }
    return model
  }

  static let files = ModelFiles(
    tokenizer: Data("{\"ünï\": \"\\u0000\"}\n".utf8), tokenizerConfig: Data("{\"chat_template\": \"a\"}".utf8),
    chatTemplate: "{{ messages }}\n\0 end", generationConfig: Data("{}".utf8))

  /// The bits of all weights, gaps included.
  static func bits(_ buffer: FloatBuffer) -> [UInt32] { buffer[0..<buffer.count].map(\.bitPattern) }

  static func fixture(_ name: String) throws -> String {
    try #require(Bundle.module.resourceURL?.appendingPathComponent("Fixtures/\(name)").path)
  }

  /// The error that `body` throws, whose message must have the shape "where: what; what to do".
  @discardableResult
  static func failure(
    _ status: MartletError.Status? = nil, mentions parts: String..., at location: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
  ) -> MartletError? {
    do {
      try body()
      Issue.record("nothing was thrown", sourceLocation: location)
      return nil
    } catch let error as MartletError {
      if let status { #expect(error.status == status, "\(error)", sourceLocation: location) }
      for part in parts + ["; "] { #expect(error.message.contains(part), "\(error)", sourceLocation: location) }
      return error
    } catch {
      Issue.record("\(error) is no MartletError", sourceLocation: location)
      return nil
    }
  }
}

extension FileManager {
  /// What is in a folder, hidden files included.
  func names(_ folder: String) throws -> [String] { try contentsOfDirectory(atPath: folder).sorted() }
}
