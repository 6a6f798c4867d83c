import Checkpoint
import Foundation
import Support

/// Cases that differ in one stage have the stages before it in common. With the same seed those come out equal to the
/// bit, so a run takes them over from one that has made them.
extension Ablation {
  /// By stage, the hash of everything that its result depends on: its resolved values, and the same of the stages and
  /// problem files that it reads.
  static func stageKeys(_ parts: PipelineFile.Parts, _ identity: ConfigurationTree) -> [String: String] {
    var keys: [String: String] = [:]
    for stage in parts.stages {
      let read = parts.inputs(of: stage)
      let tree = ConfigurationTree.map([
        ("values", identity["stages"]?[stage.name] ?? .null),
        ("stages", .list(read.stages.map { .text(keys[$0] ?? "") })),
        ("problems", (try? ConfigurationTree(encoding: read.problems)) ?? .null),
      ])
      keys[stage.name] = sha256Hex(of: tree.json)
    }
    return keys
  }

  /// Puts finished stages of other runs into the folder of `run`, whose lock we hold, where they are what it would
  /// make. Large files are linked: no file of a run is written twice in place.
  /// - Throws: `MartletError` (io).
  func adoptStages(of run: Run, context: StageContext) throws {
    for stage in run.request.parts.stages {
      let target = run.folder + "/" + stage.name
      guard RunFolder.contents(target).isEmpty, let key = run.stageKeys[stage.name] else { continue }
      for donor in runs where donor.folder != run.folder && donor.stageKeys[stage.name] == key {
        let source = donor.folder + "/" + stage.name
        guard try Self.isFinished(stage, in: source), isMade(donor),
          let lock = try? RunFolder(source, resume: true)
        else { continue }
        try Self.copy(lock.path, to: target, in: run.folder)
        context.onEvent(.note("\(target): taken over from \(donor.name)/seed-\(donor.seed), which has made the same"))
        break
      }
    }
  }

  /// Whether the folder of `run` holds what the file asks for now.
  private func isMade(_ run: Run) -> Bool { (try? Mark.read(run.folder))?.identity == run.identity }

  private static func isFinished(_ stage: PipelineFile.Stage, in folder: String) throws -> Bool {
    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: folder + "/" + name) }
    switch stage.kind {
    case .eval: return has("eval.json")
    case .hint: return has("data.jsonl")
    case .sft, .rft, .rl:
      let done = try RunRecord.read(folder)?.finishedStep ?? -1
      return done >= stage.configuration.steps && has("model.h5")
        && (!stage.configuration.evaluates || has("eval.json"))
    }
  }

  /// Copies a stage's folder under a temporary name of `folder`, which opening a run removes, then renames it.
  private static func copy(_ source: String, to target: String, in folder: String) throws {
    let manager = FileManager.default
    let temporary = folder + "/.adopted.tmp-\(getpid())"
    do {
      try manager.createDirectory(atPath: temporary, withIntermediateDirectories: true)
      for case let name as String in manager.enumerator(atPath: source) ?? .init() where name != "LOCK" {
        let (from, to) = (source + "/" + name, temporary + "/" + name)
        var isFolder: ObjCBool = false
        guard manager.fileExists(atPath: from, isDirectory: &isFolder) else { continue }
        if isFolder.boolValue {
          try manager.createDirectory(atPath: to, withIntermediateDirectories: true)
        } else if !name.hasSuffix(".h5") || link(from, to) != 0 {
          try manager.copyItem(atPath: from, toPath: to)
        }
      }
      // An empty folder may be there, with a lock that nobody holds.
      if manager.fileExists(atPath: target) { try manager.removeItem(atPath: target) }
      try manager.moveItem(atPath: temporary, toPath: target)
    } catch {
      throw MartletError(.io, "\(target): cannot be copied from \(source): \(error.localizedDescription)")
    }
  }
}

extension PipelineFile.Parts {
  /// The stages and problem files of this pipeline that a stage reads.
  func inputs(of stage: PipelineFile.Stage) -> (stages: [String], problems: [PipelineFile.Generated]) {
    var read = Set<String>()
    _ = stage.configuration.mapPaths { path in
      if path.hasPrefix(root + "/") { read.insert(String(path.dropFirst(root.count + 1))) }
      return path
    }
    let folders = Set(read.map { String($0.prefix { $0 != "/" }) })
    return (stages.map(\.name).filter(folders.contains), problems.filter { read.contains($0.file) })
  }

  /// The parts that the stage `row` depends on, itself included. There is no table.
  func needed(by row: String) -> PipelineFile.Parts {
    var names: Set<String> = [row]
    var files = Set<String>()
    for stage in stages.reversed() where names.contains(stage.name) {
      let read = inputs(of: stage)
      names.formUnion(read.stages)
      files.formUnion(read.problems.map(\.file))
    }
    var parts = self
    parts.stages = stages.filter { names.contains($0.name) }
    parts.problems = problems.filter { files.contains($0.file) }
    parts.comparison = nil
    return parts
  }
}
