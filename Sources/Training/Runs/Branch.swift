import Checkpoint
import Foundation
import Reports
import Rollout
import Support
import Tensor

/// A run that continues from a step of another one, in a folder of its own.
public struct Branch {
  /// The run's folder.
  let source: String
  let stage: StageKind
  private let record: RunRecord
  /// The step that it continues from.
  let step: Int
  private let stepFolder: String

  /// - Parameters:
  ///   - run: a run's folder, or its name under `checkpoints/`.
  ///   - step: one that the run has a checkpoint of; nil: the newest.
  /// - Throws: `MartletError` (configuration) when there is no such run or step.
  public init(_ run: String, step: Int?) throws {
    guard let source = RunFolder.existing(run), let record = try RunRecord.read(source) else {
      throw MartletError(
        .configuration, "\(run): is not a run of a training stage; give its folder, or its name under checkpoints/")
    }
    let steps = try StepCheckpoint.steps(run: source)
    guard let step = step ?? steps.last, let folder = try StepCheckpoint.folder(run: source, step: step) else {
      let there = steps.isEmpty ? "none" : steps.map(String.init).joined(separator: ", ")
      throw MartletError(
        .configuration,
        "\(source): has no checkpoint of \(step.map { "step \($0)" } ?? "any step"); there are: \(there)")
    }
    (self.source, self.record, self.step, stepFolder) = (source, record, step, folder)
    stage = record.stage
  }

  /// Makes the folder `new`, with the optimizer's state. Earlier steps are the old run's, later ones the new run's.
  ///
  /// Keys that a resumed run may not change may change here, except those that the state depends on.
  /// - Returns: the new folder and the stage to resume it with.
  /// - Throws: `MartletError`: configuration for such keys, or when `new` is not empty; data when the checkpoint is
  ///   damaged.
  public func make(_ new: String, overrides: [String]) throws -> (folder: String, stage: StageKind) {
    let before = try configuration()
    let after = try configuration(overrides)
    let bound = ["model", "adapter", "new_model", "lora", "optimizer.kind", "optimizer.state"]
    for change in try ConfigurationTree(encoding: after).changes(from: ConfigurationTree(encoding: before))
    where bound.contains(where: { change.key == $0 || change.key.hasPrefix($0 + ".") }) {
      throw MartletError(
        .configuration, "\(change.text): the optimizer's state belongs to the old value; branch with --weights")
    }
    guard after.loss.advantage.requiresValues == before.loss.advantage.requiresValues else {
      throw MartletError(
        .configuration, "loss.advantage: one has a critic and the other has none; branch with --weights")
    }
    try build(new, after, files: nil)
    return (RunFolder.path(new), stage)
  }

  /// Makes the folder `new` from the weights alone. They are its model, and it begins at step 0.
  /// - Returns: as ``make(_:overrides:)``.
  public func makeFromWeights(_ new: String, overrides: [String]) throws -> (folder: String, stage: StageKind) {
    try fill(new) { folder in
      let stored = try ModelSource.load(stepFolder)
      try ModelFile.write(stored.model, files: stored.files, to: folder.file("start.h5"))
      var configuration = try configuration(overrides)
      (configuration.model, configuration.adapter, configuration.newModel) = (folder.file("start.h5"), nil, nil)
      try begin(folder, configuration, from: 1, hasOptimizer: false, files: nil)
    }
    return (RunFolder.path(new), stage)
  }

  /// `train STAGE --resume RUN --from-step N`: the branch must be of the same identity as the run.
  public static func fork(_ request: StageRequest, step: Int, into new: String?) throws -> StageRequest {
    let branch = try Branch(request.configuration.run, step: step)
    let new = new ?? branch.source + "-from-\(step)"
    try branch.build(new, branch.configuration(), files: branch.record.files)
    var request = request
    request.configuration.run = RunFolder.path(new)
    return request
  }

  /// The old run's configuration as it was at the step.
  private func configuration(_ overrides: [String] = []) throws -> Configuration {
    guard !overrides.contains(where: { $0.hasPrefix("run=") }) else {
      throw MartletError(.usage, "--set run=...: the new folder is the second argument")
    }
    var tree = try ConfigurationFile.written(source + "/config.yaml")
    if let then = try history().last?["configuration"] { tree = then }
    for override in overrides { try ConfigurationFile.apply(override, to: &tree) }
    let path = source + "/config.yaml"
    return try Configuration(tree: ConfigurationFile.resolved(tree, path), path: path)
  }

  /// The lines of `history.jsonl` up to that step.
  private func history() throws -> [ConfigurationTree] {
    let path = source + "/history.jsonl"
    let text = FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    return try text.split(separator: "\n").map { try ConfigurationTree(yaml: String($0), path: path) }.filter { line in
      if case .integer(let from)? = line["from_step"] { from <= max(1, step) } else { false }
    }
  }

  // MARK: - Writing

  private func build(_ new: String, _ configuration: Configuration, files: [RunRecord.File]?) throws {
    try fill(new) { folder in
      try copySteps(to: folder)
      let lines = try history().map { $0.json + "\n" }.joined()
      try writeFileAtomically(Data(lines.utf8), to: folder.file("history.jsonl"))
      try begin(folder, configuration, from: step + 1, hasOptimizer: true, files: files)
    }
  }

  private func begin(
    _ folder: RunFolder, _ configuration: Configuration, from first: Int, hasOptimizer: Bool, files: [RunRecord.File]?
  ) throws {
    var record = RunRecord(stage, configuration)
    record.files = files ?? record.files
    record.parent = .init(run: source, step: step, hasOptimizer: hasOptimizer)
    let before = try self.configuration()
    var changes = try ConfigurationTree(encoding: configuration).changes(from: ConfigurationTree(encoding: before))
    changes.removeAll { $0.key == "run" }
    let given = try? ConfigurationFile.written(source + "/given.yaml")
    folder.pending = .init(configuration: configuration, given: given, changes: changes, root: folder.path)
    try folder.commit(fromStep: first, context: StageContext(threads: 1))
    try record.write(folder.path)
  }

  /// Copies the checkpoint, and what the steps up to it have left.
  private func copySteps(to folder: RunFolder) throws {
    let name = (stepFolder as NSString).lastPathComponent
    try Self.copyFolder(stepFolder, to: folder.file(name))
    _ = try StepCheckpoint.open(folder.file(name))
    for file in RunFolder.contents(source) where file == "metrics.jsonl" || file.hasPrefix("events.out.") {
      try FileManager.default.copyItem(atPath: source + "/" + file, toPath: folder.file(file))
    }
    try MetricsWriter(run: folder.path, resumeAfter: step).close()
    for file in ["kept.jsonl", "task.jsonl"] where FileManager.default.fileExists(atPath: source + "/" + file) {
      try FileManager.default.copyItem(atPath: source + "/" + file, toPath: folder.file(file))
    }
    for done in 0...step {
      let path = try folder.episodeFile(step: done)
      let old = source + "/episodes/" + (path as NSString).lastPathComponent
      if FileManager.default.fileExists(atPath: old) { try FileManager.default.copyItem(atPath: old, toPath: path) }
    }
  }

  /// Checkpoints never change, so a hard link is as good as a copy.
  private static func copyFolder(_ old: String, to new: String) throws {
    let manager = FileManager.default
    try manager.createDirectory(atPath: new, withIntermediateDirectories: true)
    for file in RunFolder.contents(old) {
      let (from, to) = (old + "/" + file, new + "/" + file)
      if link(from, to) != 0 { try manager.copyItem(atPath: from, toPath: to) }
    }
  }

  /// The folder gets its name once everything is in it.
  private func fill(_ new: String, _ body: (RunFolder) throws -> Void) throws {
    let target = RunFolder.path(new)
    guard RunFolder.contents(target).isEmpty else {
      throw MartletError(
        .configuration,
        "\(target): is not empty; if it is that branch already, go on with train \(stage.rawValue) "
          + "--resume \(target), else name another folder")
    }
    let name = (target as NSString).lastPathComponent
    let temporary = Support.folder(of: target) + "/.\(name).tmp-\(getpid())"
    let folder = try RunFolder(temporary, resume: false)
    do {
      try body(folder)
      rmdir(target)
      unlink(target + "/LOCK")
      rmdir(target)
      guard rename(temporary, target) == 0 else {
        throw MartletError(.io, "\(target): cannot be given its name: \(String(cString: strerror(errno)))")
      }
    } catch {
      try? FileManager.default.removeItem(atPath: temporary)
      if error is MartletError { throw error }
      throw MartletError(.io, "\(target): cannot be made: \(error.localizedDescription); check the disk and its rights")
    }
  }
}
