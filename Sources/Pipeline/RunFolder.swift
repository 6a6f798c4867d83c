import Checkpoint
import Foundation
import Tensor

/// A run's folder: who owns it, its configuration, its episodes, its model.
final class RunFolder {
  let path: String
  private let lock: RunLock

  /// Opens the folder for writing.
  /// - Throws: `MartletError`: configuration when it is not empty and `resume` is false; try again when another run holds it.
  init(_ run: String, resume: Bool) throws {
    path = Self.path(run)
    let manager = FileManager.default
    do {
      try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw MartletError(.io, "\(path): cannot be made: \(error.localizedDescription); check the folder above it")
    }
    lock = try RunLock(run: path)
    let there = (try? manager.contentsOfDirectory(atPath: path)) ?? []
    if !resume, let first = there.filter({ $0 != "LOCK" }).sorted().first {
      lock.release()
      throw MartletError(
        .configuration, "\(path): is not empty (\(first)); go on with --resume, name another run, or remove it")
    }
  }

  deinit { lock.release() }

  /// `checkpoints/<run>` for a bare name; anything with a slash is a path.
  static func path(_ run: String) -> String { run.contains("/") ? run : "checkpoints/" + run }

  /// Writes `config.yaml`, or on resume checks that nothing that matters was changed.
  func keep(_ configuration: Configuration) throws {
    try writeFileAtomically(Data(try configuration.yaml().utf8), to: path + "/config.yaml")
  }

  func file(_ name: String) -> String { path + "/" + name }
  var modelFile: String { file("model.h5") }
  var isFinished: Bool { FileManager.default.fileExists(atPath: modelFile) }

  /// `episodes/step-00000012.jsonl`
  func episodeFile(step: Int) throws -> String {
    let digits = String(step)
    return try episodeFile(named: "step-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits)
  }

  /// `episodes/<name>.jsonl`, with its folder made.
  func episodeFile(named name: String) throws -> String {
    let folder = file("episodes")
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw MartletError(.io, "\(folder): cannot be made: \(error.localizedDescription)")
    }
    return folder + "/" + name + ".jsonl"
  }
}
