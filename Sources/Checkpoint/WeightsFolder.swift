import Foundation
import Support

/// Writes a folder of weights for other programs.
enum WeightsFolder {
  /// Calls `fill` with the folder to write into. A new folder appears whole or not at all; one that is there is written
  /// into, unless it holds weights other than `weightsName`.
  /// - Throws: `MartletError` with status `io`, or `data` when the folder holds other weights.
  static func write<Result>(
    _ folder: String, weightsName: String, _ fill: (_ folder: String) throws -> Result
  ) throws -> Result {
    let target = (folder as NSString).standardizingPath
    if exists(target) {
      guard isFolder(target) else { throw MartletError(.data, "\(folder): is a file; give the path of a new folder") }
      let foreign = try names(in: target).first {
        $0 != weightsName
          && ($0.hasSuffix(".safetensors") || $0.hasSuffix(".bin") || $0 == HuggingFaceFolder.indexName)
      }
      if let foreign {
        throw MartletError(
          .data, "\(join(folder, foreign)): belongs to other weights, which would be mixed up; export to a new folder")
      }
      return try fill(target)
    }
    let parent = Support.folder(of: target)
    let temporary = join(parent, ".\((target as NSString).lastPathComponent).tmp-\(getpid())")
    removeAll(temporary)
    guard mkdir(temporary, 0o777) == 0 else { throw systemError(folder, "cannot be made") }
    let result: Result
    do {
      result = try fill(temporary)
      guard rename(temporary, target) == 0 else { throw systemError(folder, "cannot be given its name") }
    } catch {
      removeAll(temporary)
      throw error
    }
    try syncFolder(parent)
    return result
  }
}
