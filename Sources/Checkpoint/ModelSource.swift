import Foundation
import Support
import Tensor
import Transformer

/// Whatever holds a model: an HDF5 or GGUF file, a run's folder (its `model.h5`, else its newest step), a step folder,
/// or a Hugging Face folder.
public enum ModelSource {
  private enum Kind {
    case file(String)
    case gguf(String)
    case step(String)
    case run(String)
    case huggingFace(String)
  }

  /// Reads the model at `path`, and merges the adapter at `adapter` into it where one is given.
  /// - Parameters:
  ///   - adapter: a folder that holds an adapter for it. Its model is read for any use.
  ///   - valueHead: as in ``ModelFile/read(_:valueHead:for:pool:)``.
  ///   - use: what the weights are for.
  ///   - pool: the threads that read.
  /// - Throws: `MartletError`: `io` when nothing is there, `data` when it holds no model, or one that the adapter
  ///   does not fit.
  public static func load(
    _ path: String, adapter: String? = nil, valueHead: Bool? = nil, for use: WeightUse = .any,
    pool: WorkerPool = WorkerPool()
  ) throws -> StoredModel {
    if let adapter {
      // The small file first: what is wrong with it shows before gigabytes are read.
      let stored = try StoredAdapter.load(adapter)
      return try load(path, valueHead: valueHead, pool: pool).merging(stored, pool: pool)
    }
    return switch try kind(path) {
    case .file(let file): try ModelFile.read(file, valueHead: valueHead, for: use, pool: pool)
    case .gguf(let file): try GGUFModel.read(file, valueHead: valueHead ?? false, pool: pool)
    case .step(let folder): try StepCheckpoint.open(folder, .weights).model(valueHead: valueHead)
    case .run(let folder): try newest(folder, .weights).model(valueHead: valueHead)
    case .huggingFace(let folder):
      try HuggingFaceFolder.read(folder, valueHead: valueHead ?? false, for: use, pool: pool)
    }
  }

  /// Reads the configuration and the files of the model at `path`, not its weights.
  public static func header(_ path: String) throws -> (configuration: ModelConfiguration, files: ModelFiles) {
    switch try kind(path) {
    case .file(let file): try ModelFile.readHeader(file)
    case .gguf(let file): try GGUFModel.readHeader(file)
    case .step(let folder): try StepCheckpoint.open(folder, .header).mergedHeader()
    case .run(let folder): try newest(folder, .header).mergedHeader()
    case .huggingFace(let folder): try HuggingFaceFolder.readHeader(folder)
    }
  }

  private static func kind(_ path: String) throws -> Kind {
    guard isFolder(path) else { return GGUFModel.isNamed(path) ? .gguf(path) : .file(path) }
    if exists(join(path, StepManifest.name)) { return .step(path) }
    let file = join(path, "model.h5")
    if exists(file) { return .file(file) }
    if try !StepCheckpoint.folders(path).isEmpty { return .run(path) }
    if exists(join(path, HuggingFaceFolder.configName)) { return .huggingFace(path) }
    throw MartletError(
      .data,
      "\(path): holds no model (neither model.h5, nor step folders, nor config.json); "
        + "give a model file, a run's folder, a step folder or a Hugging Face folder")
  }

  static func newest(_ run: String, _ extent: StepCheckpoint.Extent) throws -> StepCheckpoint {
    var refused: [String] = []
    guard let step = try StepCheckpoint.latest(run: run, extent, skipped: { refused.append($0) }) else {
      throw MartletError(
        .data, "\(run): no step folder can be used: \(refused.joined(separator: " | ")); use another run")
    }
    return step
  }
}
