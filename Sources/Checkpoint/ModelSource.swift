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

  /// Reads the model at `path`.
  /// - Parameter valueHead: as in ``ModelFile/read(_:valueHead:)``.
  /// - Throws: `MartletError`: `io` when nothing is there, `data` when it holds no model.
  public static func load(_ path: String, valueHead: Bool? = nil) throws -> StoredModel {
    switch try kind(path) {
    case .file(let file): try ModelFile.read(file, valueHead: valueHead)
    case .gguf(let file): try GGUFModel.read(file, valueHead: valueHead ?? false)
    case .step(let folder): try StepCheckpoint.open(folder, .weights).model(valueHead: valueHead)
    case .run(let folder): try newest(folder, .weights).model(valueHead: valueHead)
    case .huggingFace(let folder): try HuggingFaceFolder.read(folder, valueHead: valueHead ?? false)
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

  /// Reads the model at `path` and merges the adapter at `adapter` into it, where one is given.
  /// - Throws: `MartletError` as ``load(_:valueHead:)`` and ``StoredAdapter/load(_:)``, data when the two do not fit.
  public static func load(
    _ path: String, adapter: String?, valueHead: Bool? = nil, pool: WorkerPool? = nil
  ) throws -> StoredModel {
    guard let adapter else { return try load(path, valueHead: valueHead) }
    // The small file first: what is wrong with it shows before gigabytes are read.
    let stored = try StoredAdapter.load(adapter)
    return try load(path, valueHead: valueHead).merging(stored, pool: pool)
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
