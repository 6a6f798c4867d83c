import Checkpoint
import Foundation
import Rollout
import Support

/// What a resumed run may change. Each key has a ``ResumeRule``; files and models are compared by their content.
extension RunFolder {
  /// A configuration that continues another one.
  struct Pending {
    var configuration: Configuration
    var given: ConfigurationTree?
    var changes: [ConfigurationChange]
    /// The folder within which paths are written relative to the run's.
    var root: String
  }

  /// Begins a run, or compares `configuration` with the one that it was begun with.
  /// - Parameter given: the configuration file without what was `--set`.
  /// - Throws: `MartletError` (configuration) when it would be another run; the folder is then as it was.
  func begin(
    _ stage: StageKind, _ configuration: Configuration, given: ConfigurationTree?, context: StageContext
  ) throws {
    pending = Pending(configuration: configuration, given: given, changes: [], root: context.root ?? path)
    guard let record = try RunRecord.read(path), !isFruitless else { return try start(stage, context) }
    do {
      try resume(record, as: stage, configuration, context)
    } catch let error as MartletError where context.anew && error.status == .configuration {
      context.onEvent(.note("\(error.message). It is made anew"))
      for name in Self.contents(path) { try FileManager.default.removeItem(atPath: file(name)) }
      pending?.changes = []
      try start(stage, context)
    }
  }

  private func start(_ stage: StageKind, _ context: StageContext) throws {
    guard let configuration = pending?.configuration else { return }
    var record = RunRecord(stage, configuration)
    if !isFruitless {
      context.onEvent(.warning("\(path): was begun by an older version, which did not record what it was begun with"))
      if FileManager.default.fileExists(atPath: modelFile) { record.finishedStep = configuration.steps }
    }
    unlink(file("history.jsonl"))
    try commit(fromStep: 1, context: context)
    try record.write(path)
    self.record = record
  }

  private func resume(
    _ record: RunRecord, as stage: StageKind, _ configuration: Configuration, _ context: StageContext
  ) throws {
    self.record = record
    guard record.stage == stage else {
      throw refusal("is a run of \(record.stage.rawValue); go on with train \(record.stage.rawValue) --resume \(path)")
    }
    let own = try Configuration.own(path)
    let changes = try self.changes(to: configuration, from: own, record, context)
    let others = changes.filter { change in
      Configuration.resumeRule(change.key, stage) == .identity
        && !(isStillSampling && change.key.hasPrefix("rejection."))
    }
    try refuse(others, inPipeline: context.root != nil)
    if stage == .hint, FileManager.default.fileExists(atPath: file("data.jsonl")),
      let late = changes.first(where: { $0.key == "hint.count" })
    {
      throw refusal("\(late.text): the examples are already made, so it would change nothing; start a new run")
    }
    pending?.changes = changes
    if [.sft, .rft, .rl].contains(stage) { try settleSteps(configuration, own, changes) }
    if changes.contains(where: { $0.key == "eval_data" }) { removeEvaluation() }
  }

  /// Whether `rft` has not yet selected its examples, so that its filter may still change.
  private var isStillSampling: Bool {
    record?.stage == .rft && !FileManager.default.fileExists(atPath: file("kept.jsonl"))
  }

  /// Whether only the final evaluation is left to do.
  func isFinished(_ configuration: Configuration) -> Bool {
    guard let done = record?.finishedStep else { return false }
    return done >= configuration.steps && FileManager.default.fileExists(atPath: modelFile)
  }

  /// Records that all steps are done and the model is written.
  func finish(step: Int) throws {
    record?.finishedStep = step
    try record?.write(path)
  }

  /// Writes the accepted configuration, and a line of `history.jsonl` if it is new or has changed.
  /// - Parameter step: the first step that it holds for, from 1.
  func commit(fromStep step: Int, context: StageContext) throws {
    guard let pending else { return }
    self.pending = nil
    for change in pending.changes { context.onEvent(.note("\(path): \(change.text), from step \(step) on")) }
    var portable = pending.configuration.mapPaths { PortablePath.portable($0, in: path, root: pending.root) }
    portable.run = PortablePath.prefix
    let tree = try ConfigurationTree(encoding: portable)
    if !pending.changes.isEmpty || !FileManager.default.fileExists(atPath: file("history.jsonl")) {
      try addHistory(step, pending.changes, tree)
    }
    let files = Set(pending.changes.map(\.key)).intersection(pending.configuration.files.map(\.key))
    if var record, !files.isEmpty {
      let now = RunRecord(record.stage, pending.configuration).files
      record.files = record.files.filter { !files.contains($0.key) } + now.filter { files.contains($0.key) }
      try record.write(path)
      self.record = record
    }
    if let given = pending.given { try writeFileAtomically(Data(given.yaml().utf8), to: file("given.yaml")) }
    try writeFileAtomically(Data(tree.yaml().utf8), to: file("config.yaml"))
  }

  private func addHistory(_ step: Int, _ changes: [ConfigurationChange], _ tree: ConfigurationTree) throws {
    let line = ConfigurationTree.map([
      ("from_step", .integer(step)), ("changes", ConfigurationChange.tree(changes)), ("configuration", tree),
    ]).json
    let old = FileManager.default.contents(atPath: file("history.jsonl")) ?? Data()
    // A run that is killed between this file and the next writes the line again.
    guard !old.split(separator: 0x0A).contains(where: { $0.elementsEqual(line.utf8) }) else { return }
    try writeFileAtomically(old + Data((line + "\n").utf8), to: file("history.jsonl"))
  }

  // MARK: - Comparing

  /// How `configuration` differs from the run's: values by key, files by content.
  private func changes(
    to configuration: Configuration, from own: Configuration, _ record: RunRecord, _ context: StageContext
  ) throws -> [ConfigurationChange] {
    func plain(_ configuration: Configuration) throws -> ConfigurationTree {
      var plain = configuration
      (plain.run, plain.data, plain.evalData, plain.rejection.mix) = ("", [], [], [])
      (plain.model, plain.adapter, plain.refModel, plain.hint.edits, plain.hint.episodes) = (nil, nil, nil, nil, nil)
      plain.newModel?.tokenizer = ""
      (plain.tools, plain.teacher) = (nil, nil)
      func masked(_ words: [String]) -> [String] {
        words.indices.map { ProgramCommand.isPath(words, $0) ? "a file" : words[$0] }
      }
      plain.reward.command = masked(plain.reward.command)
      plain.grader.command = masked(plain.grader.command)
      plain.task.command = masked(plain.task.command)
      return try ConfigurationTree(encoding: plain)
    }
    let changes = try plain(configuration).changes(from: plain(own))
    return try changes + fileChanges(to: configuration, from: own, record, context)
  }

  private func fileChanges(
    to configuration: Configuration, from own: Configuration, _ record: RunRecord, _ context: StageContext
  ) throws -> [ConfigurationChange] {
    let keys = Set(configuration.files.map(\.key) + record.files.map(\.key)).sorted()
    return keys.compactMap { key in
      let paths = configuration.files.filter { $0.key == key }.map(\.path)
      let before = record.files.filter { $0.key == key }
      let known = own.files.filter { $0.key == key }.map(\.path)
      var same = paths.count == before.count
      for (path, old) in zip(paths, before) {
        let now = try? ContentHash.of(path)
        if let now, let then = old.sha256 {
          if now != then { same = false }
        } else if !known.map(PortablePath.absolute).contains(PortablePath.absolute(path)) {
          same = false
        } else {
          context.onEvent(.warning("\(self.path): \(key): \(path) cannot be compared with what the run began with"))
        }
      }
      guard !same else { return nil }
      func list(_ paths: [String]) -> ConfigurationTree { .list(paths.map { .text($0) }) }
      // Files whose names are the same and whose contents differ.
      let isNamed = paths.map(PortablePath.absolute) == known.map(PortablePath.absolute)
      return ConfigurationChange(
        key: key, from: list(known), to: isNamed ? .text("other contents of the same name") : list(paths))
    }
  }

  private func refusal(_ text: String) -> MartletError { MartletError(.configuration, "\(path): \(text)") }

  private func refuse(_ changes: [ConfigurationChange], inPipeline: Bool) throws {
    guard let first = changes.first else { return }
    let others = changes.dropFirst().map { "; " + $0.text }.joined()
    let remedy =
      inPipeline
      ? "give --anew to make the stage again"
      : "start a new run, or branch from this one with train branch \(path) NEW --set \(first.key)=..."
    throw refusal("\(first.text)\(others): that would be another run; undo the change, \(remedy)")
  }

  /// Steps may be added to a run, even a finished one. Finished steps stay.
  private func settleSteps(
    _ configuration: Configuration, _ own: Configuration, _ changes: [ConfigurationChange]
  ) throws {
    let finished = FileManager.default.fileExists(atPath: modelFile) ? record?.finishedStep : nil
    let saved = try StepCheckpoint.steps(run: path).last
    let done = finished ?? saved ?? 0
    guard configuration.steps >= done else {
      throw refusal(
        "steps: \(configuration.steps), but \(done) are done; give as many or more, or go back with "
          + "train branch \(path) NEW --step \(configuration.steps)")
    }
    guard let finished else { return }
    guard configuration.steps > finished else {
      let late = changes.filter { Configuration.resumeRule($0.key, record?.stage ?? .sft) == .recorded }
      guard let first = late.first else { return }
      throw refusal(
        "\(first.text): all \(finished) steps are done, so it would change nothing; add steps, start a new run, or "
          + "branch from an earlier step with train branch \(path) NEW --step N")
    }
    guard saved == finished else {
      throw refusal(
        "steps: \(configuration.steps), but the run ended at \(finished) without a checkpoint of that step "
          + "(save_every and save_minutes were 0); start a new run with model=\(path)")
    }
    record?.finishedStep = nil
    try record?.write(path)
    unlink(modelFile)
    removeEvaluation()
  }

  private func removeEvaluation() {
    for name in ["eval.json", "episodes/eval.jsonl"] { unlink(file(name)) }
  }
}

extension Configuration {
  /// The configuration of the run in `folder`. Where moving the run has broken a path, the original path is used if it
  /// still exists.
  static func own(_ folder: String, overrides: [String] = []) throws -> Configuration {
    let configuration = try load(folder + "/config.yaml", overrides: overrides)
    let begun = try RunRecord.read(folder)?.files.map(\.path) ?? []
    let manager = FileManager.default
    return configuration.mapPaths { path in
      guard !manager.fileExists(atPath: path) else { return path }
      let name = (path as NSString).lastPathComponent
      return begun.first { ($0 as NSString).lastPathComponent == name && manager.fileExists(atPath: $0) } ?? path
    }
  }
}
