import Checkpoint
import Foundation
import Support

extension Ablation {
  /// Everything that a run's result depends on: the resolved stages, the generated problems, and for files from outside
  /// their hashes instead of their paths.
  static func identity(_ parts: PipelineFile.Parts, _ hashes: inout [String: String]) throws -> ConfigurationTree {
    func content(_ path: String) -> String {
      guard !PortablePath.contains(parts.root, path) else { return path }
      let known = hashes[path] ?? (try? ContentHash.of(path)) ?? "unreadable \(path)"
      hashes[path] = known
      return known
    }
    let stages = try parts.stages.map { stage -> (key: String, value: ConfigurationTree) in
      let tree = try ConfigurationTree(encoding: stage.configuration.mapPaths(content))
      var kept = ConfigurationTree.map([("stage", .text(stage.kind.rawValue))])
      for (key, value) in tree.leaves where counts(key, stage.kind) {
        kept.set(key.split(separator: ".").map(String.init), to: value)
      }
      return (stage.name, kept)
    }
    return .map([("stages", .map(stages)), ("problems", try ConfigurationTree(encoding: parts.problems))])
  }

  /// Whether a key changes results. Keys that a resumed run may change freely do not, except for the number of steps.
  private static func counts(_ key: String, _ kind: StageKind) -> Bool {
    key == "steps" || Configuration.resumeRule(key, kind) != .free
  }

  /// `case.json` in a run's folder: what the run is made with, and whether it is done.
  struct Mark {
    var identity: ConfigurationTree
    var isFinished: Bool

    static func read(_ folder: String) throws -> Mark? {
      let path = folder + "/case.json"
      guard let data = FileManager.default.contents(atPath: path) else { return nil }
      let tree = try ConfigurationTree(yaml: String(decoding: data, as: UTF8.self), path: path)
      guard let identity = tree["identity"], case .bool(let isFinished)? = tree["finished"] else {
        throw MartletError(.data, "\(path): is damaged; give --anew to make the run again")
      }
      return Mark(identity: identity, isFinished: isFinished)
    }

    func write(_ folder: String) throws {
      let tree = ConfigurationTree.map([
        ("sha256", .text(sha256Hex(of: identity.json))), ("finished", .bool(isFinished)), ("identity", identity),
      ])
      try writeFileAtomically(Data((tree.json + "\n").utf8), to: folder + "/case.json")
    }
  }
}

extension PipelineRequest {
  /// The same stages and problems; both must lie in the same folder.
  func isEqual(to other: PipelineRequest) -> Bool {
    parts.stages == other.parts.stages && parts.problems == other.parts.problems
  }

  /// The pipeline with this seed for all stages that have none of their own.
  func with(seed: UInt64, path: String) throws -> PipelineRequest {
    try putting(["defaults", "seed"], .unsigned(seed), path: path)
  }

  /// The pipeline in another folder.
  func with(run: String, path: String) throws -> PipelineRequest { try putting(["run"], .text(run), path: path) }
}
