import Checkpoint
import Foundation
import Rollout
import Support

/// A pipeline to run, and the file that asked for it.
public struct PipelineRequest {
  /// The file with its stages by name, and with what was `--set`.
  let tree: ConfigurationTree
  private(set) var parts: PipelineFile.Parts
  /// The pipeline's folder.
  package var folder: String { parts.root }
  /// The file without what was `--set`; nil: there is only the run's own.
  private let given: ConfigurationTree?

  /// What `train pipeline SOURCE [--set ...] [--resume]` asks for; the rules are those of ``StageRequest``.
  /// - Parameter source: a pipeline file; with `resume` also a pipeline's folder, or its name under `checkpoints/`.
  /// - Throws: `MartletError` naming file, stage and key; also for an override that addresses no stage.
  public init(_ source: String, overrides: [String] = [], resume: Bool) throws {
    if resume, let folder = StageRequest.run(source) {
      let path = folder + "/pipeline.yaml"
      guard FileManager.default.fileExists(atPath: path) else {
        throw MartletError(
          .configuration, "\(folder): is not a pipeline's run; resume it with the command of its stage")
      }
      try self.init(base: Self.own(folder), given: nil, overrides: overrides, path: path)
      return
    }
    let written = try PipelineTree.named(ConfigurationFile.written(source), path: source)
    var base = ConfigurationFile.resolved(written, source)
    if resume, let folder = try Self.folder(base, overrides),
      let begun = try? ConfigurationFile.written(folder + "/given.yaml")
    {
      let edited = try written.edits(since: PipelineTree.named(begun, path: source), over: Self.own(folder))
      base = ConfigurationFile.resolved(edited, source)
      base.set(["run"], to: .text(folder))
    }
    try self.init(base: base, given: written, overrides: overrides, path: source)
  }

  /// The pipeline of the file `path`, with its run in `run`.
  init(_ path: String, run: String) throws {
    var base = ConfigurationFile.resolved(
      try PipelineTree.named(ConfigurationFile.written(path), path: path), path)
    base.set(["run"], to: .text(run))
    try self.init(base: base, given: nil, overrides: [], path: path)
  }

  private init(base: ConfigurationTree, given: ConfigurationTree?, overrides: [String], path: String) throws {
    var tree = base
    for override in overrides { try PipelineTree.apply(override, to: &tree, path: path) }
    parts = try PipelineTree.parts(tree, path: path)
    (self.tree, self.given) = (tree, given)
  }

  /// This request with one more override.
  /// - Throws: `MartletError` (configuration) when no stage's resolved configuration and no problems change.
  func setting(_ override: String, path: String) throws -> PipelineRequest {
    let changed = try PipelineRequest(base: tree, given: given, overrides: [override], path: path)
    guard changed.parts.stages != parts.stages || changed.parts.problems != parts.problems else {
      throw MartletError(
        .configuration,
        "\(path): \(override) changes no stage: each has this value already, or sets its own; address it as "
          + "stages.NAME.key=value")
    }
    return changed
  }

  /// This request without the stages and problems that the stage `row` does not depend on, and without a table.
  func needed(by row: String) -> PipelineRequest {
    var request = self
    request.parts = parts.needed(by: row)
    return request
  }

  /// This request with one value changed.
  func putting(_ keys: [String], _ value: ConfigurationTree, path: String) throws -> PipelineRequest {
    var tree = tree
    tree.set(keys, to: value)
    return try PipelineRequest(base: tree, given: given, overrides: [], path: path)
  }

  private static func own(_ folder: String) throws -> ConfigurationTree {
    let path = folder + "/pipeline.yaml"
    var tree = try PipelineTree.named(ConfigurationFile.written(path), path: path)
    tree = ConfigurationFile.resolved(tree, path)
    tree.set(["run"], to: .text(PortablePath.resolve(PortablePath.prefix, in: folder)))
    return tree
  }

  /// The run's folder, if it is there.
  private static func folder(_ base: ConfigurationTree, _ overrides: [String]) throws -> String? {
    var tree = base
    for override in overrides where override.hasPrefix("run=") { try ConfigurationFile.apply(override, to: &tree) }
    guard case .text(let run)? = tree["run"] else { return nil }
    let folder = RunFolder.path(run)
    return FileManager.default.fileExists(atPath: folder + "/pipeline.yaml") ? folder : nil
  }

  /// Writes `pipeline.yaml`, which has every value, and `given.yaml`.
  func keep(in folder: RunFolder) throws {
    var portable = PipelineTree.listed(tree)
    portable.set(["run"], to: .text(PortablePath.prefix))
    if let given {
      try writeFileAtomically(Data(PipelineTree.listed(given).yaml().utf8), to: folder.file("given.yaml"))
    }
    try writeFileAtomically(Data(portable.yaml().utf8), to: folder.file("pipeline.yaml"))
  }
}
