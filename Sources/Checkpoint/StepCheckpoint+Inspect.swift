import Foundation
import Support
import Tensor
import Transformer

/// What a step folder holds.
public struct StepSummary: Encodable, Sendable {
  /// One tensor of the folder.
  public struct Entry: Encodable, Sendable, Equatable {
    /// `parameters`, `first_moment`, `second_moment`, `first_moment_8bit`, `second_moment_8bit`.
    public let kind: String
    /// A parameter's, or `codes` and `scales` of a moment in 8 bits.
    public let name: String
    /// The shape, outermost dimension first.
    public let shape: [Int]
    /// `f32` or `u8`.
    public let type: String
  }

  /// The model's shape.
  public let configuration: ModelConfiguration
  /// The step after which it was written.
  public let step: Int
  /// nil: no optimizer was saved.
  public let optimizerStep: Int?
  /// All tensors.
  public let entries: [Entry]
  /// The size of all files together.
  public let bytes: Int
  /// The names of the files.
  public let files: [String]

  enum CodingKeys: String, CodingKey {
    case configuration = "config"
    case step
    case optimizerStep = "optimizer_step"
    case entries, bytes, files
  }
}

extension StepCheckpoint {
  /// Whether `path` is a step folder.
  public static func isStepFolder(_ path: String) -> Bool { isFolder(path) && exists(join(path, StepManifest.name)) }

  /// What the folder holds, from its manifest, whose files were checked when it was opened.
  public func summary() throws -> StepSummary {
    let (configuration, _) = try configuration()
    let table = ParameterTable(configuration)
    var rows: [String: Int] = [:]
    var order: [(kind: StepManifest.Kind, name: String)] = []
    for part in manifest.files.flatMap(\.parts) {
      let key = part.kind.rawValue + "/" + part.name
      if rows[key] == nil { order.append((part.kind, part.name)) }
      rows[key, default: 0] += part.rows.count == 2 ? part.rows[1] - part.rows[0] : 0
    }
    let entries = order.map { kind, name in
      let count = rows[kind.rawValue + "/" + name] ?? 0
      let isCodes = (kind == .firstMomentEightBit || kind == .secondMomentEightBit) && name == "codes"
      let shape = isCodes ? [count, QuantizedMoment.blockCount] : [count] + (table[name]?.shape.dropFirst() ?? [])
      return StepSummary.Entry(kind: kind.rawValue, name: name, shape: shape, type: isCodes ? "u8" : "f32")
    }
    return StepSummary(
      configuration: configuration, step: step, optimizerStep: manifest.optimizerStep, entries: entries,
      bytes: manifest.files.reduce(0) { $0 + $1.bytes }, files: manifest.files.map(\.name))
  }
}
