import Checkpoint
import Foundation
import Support
import Tensor

/// Adapters on their way to PEFT and back.
public enum AdapterFiles {
  /// Writes the adapter in `source` as a folder of PEFT.
  /// - Parameters:
  ///   - source: a run or step folder with `lora`, or a folder of PEFT.
  ///   - base: the name that PEFT shall find the base model by; nil: the Hugging Face folder that the run began from.
  /// - Returns: a line that says what was written.
  /// - Throws: `MartletError` as ``StoredAdapter/load(_:)``, or with status `io`.
  public static func export(_ source: String, to folder: String, type: StoredType, base: String?) throws -> String {
    let adapter = try StoredAdapter.load(source)
    let name = base ?? adapter.baseModel ?? baseModel(of: source)
    try PEFTFolder.write(adapter, to: folder, type: type, baseModel: name)
    let (rank, targets) = (adapter.adapters.rank, adapter.adapters.targets.map(\.rawValue).joined(separator: ", "))
    let base = name.map { "base model \($0)" } ?? "without the name of a base model, which --base would give"
    return "\(folder): adapters of rank \(rank) on \(targets), \(base), read again and equal"
  }

  /// The base model with the adapter of a PEFT folder merged into it.
  /// - Parameter base: where the base model lies; nil: where the folder says.
  /// - Throws: `MartletError`: configuration when that is not said or not there, data when the two do not fit.
  public static func merged(_ folder: String, base: String?, pool: WorkerPool) throws -> StoredModel {
    let adapter = try StoredAdapter.load(folder)
    guard let base = base ?? adapter.baseModel.flatMap({ FileManager.default.fileExists(atPath: $0) ? $0 : nil }) else {
      let said = adapter.baseModel.map { "its base model \($0) is not here" } ?? "it does not name its base model"
      throw MartletError(.configuration, "\(folder): \(said); name where it lies with --base")
    }
    return try ModelSource.load(base, valueHead: false, pool: pool).merging(adapter, pool: pool)
  }

  /// The Hugging Face folder that the run of a run or step folder began from.
  private static func baseModel(of source: String) -> String? {
    let run = StepCheckpoint.isStepFolder(source) ? (source as NSString).deletingLastPathComponent : source
    guard let model = try? Configuration.own(run).model,
      FileManager.default.fileExists(atPath: model + "/config.json")
    else { return nil }
    return model
  }
}
