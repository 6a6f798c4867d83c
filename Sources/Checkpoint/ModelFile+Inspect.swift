import Foundation
import Transformer

/// What a model file holds.
public struct ModelSummary: Sendable {
  /// One parameter.
  public struct Entry: Sendable, Equatable {
    /// Its name.
    public let name: String
    /// Its shape, outermost dimension first.
    public let shape: [Int]
    /// `f32`, `bf16` or `f16`.
    public let type: String

    /// How many numbers it has.
    public var count: Int { shape.reduce(1, *) }
  }

  /// The model's shape.
  public let configuration: ModelConfiguration
  /// In table order.
  public let parameters: [Entry]
  /// The size of the file.
  public let fileBytes: Int
  /// The ``weightsHash(_:)`` of the weights, worked out from them.
  public let weightsHash: String
  /// Names of the files beside the weights.
  public let files: [String]

  /// How many numbers all of them have.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.count } }

  /// How many of the numbers are stored as each type.
  public var countByType: [String: Int] {
    parameters.reduce(into: [:]) { $0[$1.type, default: 0] += $1.count }
  }
}

extension ModelFile {
  /// What a file holds, with every weight read and checked, one slice in memory at a time.
  /// - Throws: `MartletError` as ``read(_:valueHead:)`` does.
  public static func inspect(_ path: String) throws -> ModelSummary {
    let reader = try HDF5Reader(path)
    let (configuration, files) = try header(reader)
    let tensors = try tensors(reader, configuration)
    var hasher = WeightsHasher()
    for tensor in tensors {
      hasher.begin(tensor.name, shape: tensor.shape)
      try each(tensor) { hasher.update($0) }
    }
    try verify(reader, hasher)
    return ModelSummary(
      configuration: configuration,
      parameters: tensors.map { .init(name: $0.name, shape: $0.shape, type: $0.format.rawValue.lowercased()) },
      fileBytes: reader.file.byteCount, weightsHash: hasher.hexDigest(), files: files.named.map(\.name))
  }
}
