import Foundation
import Support
import Tensor
import Transformer

/// Low-rank adapters without their base model: the factors A and B in fp32, by the names of their parameters.
///
/// A folder of PEFT, a step folder of a run with `lora`, or such a run's folder holds them.
public struct StoredAdapter: Sendable {
  /// One factor.
  struct Factor: Sendable {
    /// The parameter's name, such as `model.layers.0.self_attn.q_proj.lora_A.weight`.
    let name: String
    /// A: [rank, inputs]. B: [outputs, rank].
    let shape: [Int]
    let values: FloatBuffer

    /// Without a copy; the factor must outlive the result.
    var numbers: UnsafeBufferPointer<Float> { UnsafeBufferPointer(values[0..<values.count]) }
  }

  /// Rank, scale and matrices.
  public let adapters: LowRankAdapters
  /// By layer, then by matrix.
  let factors: [Factor]
  /// What the folder says about its base model: a name or a path; nil: nothing.
  public let baseModel: String?
  /// Where it was read.
  let path: String

  /// Reads the adapter in `path`.
  /// - Throws: `MartletError`: `io` when nothing is there, `data` when the folder holds no adapter or a damaged one,
  ///   `configuration` for one of a kind that is not supported.
  public static func load(_ path: String) throws -> StoredAdapter {
    guard exists(path) else { throw systemError(path, "cannot be read", ENOENT) }
    if PEFTFolder.isOne(path) { return try PEFTFolder.read(path) }
    if StepCheckpoint.isStepFolder(path) { return try StepCheckpoint.open(path, .weights).adapter() }
    if isFolder(path), try !StepCheckpoint.folders(path).isEmpty {
      return try ModelSource.newest(path, .weights).adapter()
    }
    throw MartletError(
      .data,
      "\(path): holds no adapter (neither \(PEFTFolder.configName) nor step folders); give a folder of PEFT, or a step "
        + "folder or run with lora")
  }

  /// `model` with these adapters beside its matrices, to be trained on or merged. Its weights move there.
  /// - Throws: `MartletError` (data) naming the first factor that does not fit the model.
  public func added(to model: LanguageModel) throws -> LanguageModel {
    var shape = model.configuration
    shape.adapters = adapters
    let places = ParameterTable(shape)
    for factor in factors {
      guard let place = places[factor.name] else {
        throw MartletError(
          .data, "\(path): \(factor.name): the model has only \(shape.layerCount) layers; give the adapter's own base")
      }
      guard place.shape == factor.shape else {
        throw MartletError(
          .data,
          "\(path): \(factor.name): has shape \(factor.shape) where the model asks for \(place.shape); give the "
            + "adapter's own base")
      }
    }
    let known = Set(factors.map(\.name))
    if let missing = places.adapterParameters.first(where: { !known.contains($0.name) }) {
      throw MartletError(
        .data, "\(path): \(missing.name): is missing, but the model has that layer; give the adapter's own base")
    }
    let adapted = model.withZeroAdapters(adapters, takesWeights: true)
    for factor in factors {
      guard let place = adapted.table[factor.name] else { continue }
      (adapted.weights.pointer + place.range.lowerBound).update(from: factor.values.pointer, count: factor.values.count)
    }
    return adapted
  }

  /// The adapters of a model that is trained with them.
  init(of model: LanguageModel, path: String) {
    guard var adapters = model.configuration.adapters else { preconditionFailure("StoredAdapter: no adapters") }
    adapters.targets = Projection.allCases.filter(adapters.targets.contains)
    let names = Self.names(adapters, layerCount: model.configuration.layerCount)
    let factors = names.compactMap { model.table[$0] }.map {
      Factor(name: $0.name, shape: $0.shape, values: FloatBuffer(sharing: model.weights, $0.range))
    }
    self.init(adapters, factors: factors, baseModel: nil, path: path)
  }

  /// The names of all factors in the order in which they are kept, A before B.
  static func names(_ adapters: LowRankAdapters, layerCount: Int) -> [String] {
    (0..<layerCount).flatMap { layer in
      adapters.targets.flatMap { target in ["A", "B"].map { ParameterTable.adapterName(layer, target, $0) } }
    }
  }

  init(_ adapters: LowRankAdapters, factors: [Factor], baseModel: String?, path: String) {
    (self.adapters, self.factors, self.baseModel, self.path) = (adapters, factors, baseModel, path)
  }
}

extension StoredModel {
  /// The plain model W + alpha / rank * B A: each number is that of a run's `model.h5`, to the bit, when base and
  /// adapter are that run's own in fp32. This model's weights move there.
  /// - Throws: `MartletError` (data) when the adapter belongs to a model of another shape.
  public func merging(_ adapter: StoredAdapter, pool: WorkerPool? = nil) throws -> StoredModel {
    StoredModel(model: try adapter.added(to: model).mergedInPlace(pool: pool), files: files)
  }
}

extension StepCheckpoint {
  /// The adapters that were trained, without the weights beside them.
  /// - Throws: `MartletError`: data when the step trained no adapters, configuration when they belong to weights that
  ///   the run changed.
  func adapter() throws -> StoredAdapter {
    let shape = try storedConfiguration()
    guard let adapters = shape.adapters else {
      throw MartletError(
        .data, "\(folder): was trained without lora, so it holds no adapter; use it as the model itself")
    }
    guard adapters.start == .orthogonal else {
      throw MartletError(
        .configuration,
        "\(folder): its adapters began with lora.init \(adapters.start.rawValue), which changes the base as well; use "
          + "the run as the model, or export it whole with --format hf")
    }
    let model = LanguageModel(configuration: shape)
    try read(.parameters, model.table, into: model.weights, model.table, only: ParameterTable.isAdapter)
    return StoredAdapter(of: model, path: folder)
  }
}
