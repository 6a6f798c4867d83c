import Foundation
import Support

/// A hash of what a file or a model holds, whatever its name and place.
public enum ContentHash {
  /// SHA-256 of a file's bytes, or of what decides what is read from a model's folder: `model.h5` of a run, the
  /// manifest of a step (which holds the hashes of its files), configuration, weights and tokenizer of a Hugging Face
  /// folder.
  /// - Throws: `MartletError` with status `io` when something cannot be read.
  public static func of(_ path: String) throws -> String {
    guard isFolder(path) else { return try InputFile(path).sha256() }
    var hash = SHA256()
    for name in try members(of: path) {
      hash.update("\(name)\0\(try InputFile(join(path, name)).sha256())\0".utf8)
    }
    return hash.hexDigest()
  }

  private static func members(of folder: String) throws -> [String] {
    if exists(join(folder, StepManifest.name)) { return [StepManifest.name] }
    if exists(join(folder, "model.h5")) { return ["model.h5"] }
    if let newest = try StepCheckpoint.folders(folder).last { return ["\(newest.name)/\(StepManifest.name)"] }
    let kinds = [".json", ".safetensors", ".jinja", ".model", ".txt"]
    return try names(in: folder).filter { name in kinds.contains { name.hasSuffix($0) } }.sorted()
  }
}
