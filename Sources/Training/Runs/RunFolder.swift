import Checkpoint
import Foundation
import Support
import Tensor

/// A run's folder: its lock, configuration, episodes and model.
package final class RunFolder {
  let path: String
  private let lock: RunLock
  /// Whether the folder was empty when it was opened.
  let isNew: Bool
  /// The record of the run; nil before ``begin(_:_:given:context:)``.
  var record: RunRecord?
  /// A configuration that is accepted but not yet written, with its changes.
  var pending: Pending?

  /// Opens the folder for writing.
  /// - Throws: `MartletError`: configuration when it is not empty and `resume` is false; try again when another run
  ///   holds it.
  init(_ run: String, resume: Bool) throws {
    path = Self.path(run)
    let manager = FileManager.default
    do {
      try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw MartletError(.io, "\(path): cannot be made: \(error.localizedDescription); check the folder above it")
    }
    lock = try RunLock(run: path)
    // We hold the lock, so files with temporary names belong to a process that was killed.
    for name in Self.contents(path) where name.hasPrefix(".") && name.contains(".tmp-") {
      try? manager.removeItem(atPath: path + "/" + name)
    }
    let there = Self.contents(path)
    isNew = there.isEmpty
    if !resume, let first = there.sorted().first {
      lock.release()
      throw MartletError(
        .configuration, "\(path): is not empty (\(first)); go on with --resume, name another run, or remove it")
    }
  }

  deinit { lock.release() }

  /// Names in the folder, without its lock.
  static func contents(_ path: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { $0 != "LOCK" }
  }

  /// Whether the run has made nothing yet that a later start could use.
  var isFruitless: Bool {
    func isBeginning(_ name: String) -> Bool {
      Self.beginnings.contains(name) || name.hasPrefix("events.out.") || (name == "journal" && journalIsEmpty)
    }
    let journals = Self.contents(file("journal")).map { file("journal/" + $0) }
    let journalIsEmpty = journals.allSatisfy { FileManager.default.contents(atPath: $0)?.isEmpty ?? true }
    let metrics = FileManager.default.contents(atPath: file("metrics.jsonl")) ?? Data()
    return metrics.isEmpty && Self.contents(path).allSatisfy(isBeginning)
  }

  private static let beginnings: Set = [
    "config.yaml", "given.yaml", "pipeline.yaml", "history.jsonl", RunRecord.name, "metrics.jsonl",
    "skipped.jsonl", "skipped-eval.jsonl",
  ]

  /// Call it when the stage failed. A new folder without results is emptied, so that the corrected command can be given
  /// again.
  func discardIfFruitless() {
    guard isNew, isFruitless else { return }
    for name in Self.contents(path) { try? FileManager.default.removeItem(atPath: file(name)) }
  }

  /// `checkpoints/<run>` for a bare name; anything with a slash is a path.
  package static func path(_ run: String) -> String { run.contains("/") ? run : "\(NamedPath.home)/\(run)" }

  /// The folder of an existing run, by its name or path; nil: there is none.
  static func existing(_ run: String) -> String? {
    [path(run), run, "\(NamedPath.home)/\(run)"].first { folder in
      ["config.yaml", "pipeline.yaml", "ablation.yaml", RunRecord.name].contains {
        FileManager.default.fileExists(atPath: folder + "/" + $0)
      }
    }
  }

  func file(_ name: String) -> String { path + "/" + name }
  var modelFile: String { file("model.h5") }

  /// The journal `journal/NAME`, made anew unless the run is resumed.
  func journal(_ name: String, resume: Bool) throws -> Journal {
    let path = try journalFolder() + "/" + name
    if !resume { unlink(path) }
    return try Journal(path: path)
  }

  /// `journal`, made where it is missing.
  func journalFolder() throws -> String {
    let folder = file("journal")
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw MartletError(.io, "\(folder): cannot be made: \(error.localizedDescription)")
    }
    return folder
  }

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
