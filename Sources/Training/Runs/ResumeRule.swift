import Rollout
import Support

/// What happens to a key whose value differs when a run is resumed. `docs/resume.md` lists all keys.
public enum ResumeRule: String, Sendable, CaseIterable {
  /// Changes no result, except how many steps there are: taken over.
  case free
  /// Changes the steps to come: taken over, and written to `history.jsonl` with the first step that it applies to.
  case recorded
  /// Would make another run: refused.
  case identity
}

extension Configuration {
  /// The rule of a key with dots (`optimizer.learning_rate`) in a run of this stage.
  public static func resumeRule(_ key: String, _ stage: StageKind) -> ResumeRule {
    let section = key.prefix { $0 != "." }
    func isOne(of names: [String]) -> Bool { names.contains(key) || names.contains(String(section)) }
    if isOne(of: free) { return stage == .eval && section == "eval_data" ? .identity : .free }
    if isOne(of: identity) { return .identity }
    switch stage {
    case .hint where key == "hint.count", .eval where key == "hint.count": return .free
    case .hint, .eval: return .identity
    case .sft, .rft: return isOne(of: recordedInTraining) ? .recorded : .identity
    case .rl: return isOne(of: recordedInTraining + recordedInSampling) ? .recorded : .identity
    }
  }

  private static let free = [
    "run", "steps", "save_every", "save_minutes", "keep_last", "keep_every", "eval_every", "eval_data", "slots",
    "ranks", "recompute", "reward.command_time_limit", "grader.time_limit", "task.time_limit",
  ]
  private static let identity = [
    "optimizer.kind", "optimizer.state", "reward.command", "grader.command", "task", "tools",
  ]
  private static let recordedInTraining = [
    "optimizer", "loss", "matmul", "gradient_shards", "share_prompts", "micro_batch_tokens", "update_batch",
  ]
  private static let recordedInSampling = [
    "prompts_per_step", "samples_per_prompt", "sampling", "prompt", "reward", "groups", "interpreter",
  ]

  /// The files and models that the result depends on, by key.
  var files: [(key: String, path: String)] {
    var files: [(key: String, path: String)] = []
    func add(_ key: String, _ path: String?) { if let path { files.append((key, path)) } }
    add("model", model)
    add("adapter", adapter)
    add("new_model.tokenizer", newModel.map { $0.tokenizer + "/tokenizer.json" })
    add("ref_model", refModel)
    add("teacher", teacher)
    for path in data { add("data", path) }
    for path in evalData { add("eval_data", path) }
    add("hint.edits", hint.edits)
    add("hint.episodes", hint.episodes)
    for path in rejection.mix { add("rejection.mix", path) }
    for path in ProgramCommand.files(reward.command) { add("reward.command", path) }
    for path in ProgramCommand.files(grader.command) { add("grader.command", path) }
    for path in ProgramCommand.files(task.command) { add("task.command", path) }
    add("tools", tools)
    for path in toolFiles { add("tools", path) }
    return files
  }

  /// This configuration with every path of ``files`` passed through `transform`.
  func mapPaths(_ transform: (String) -> String) -> Configuration {
    var mapped = self
    mapped.model = model.map(transform)
    mapped.adapter = adapter.map(transform)
    mapped.newModel?.tokenizer = transform(newModel?.tokenizer ?? "")
    mapped.refModel = refModel.map(transform)
    mapped.teacher = teacher.map(transform)
    mapped.data = data.map(transform)
    mapped.evalData = evalData.map(transform)
    mapped.hint.edits = hint.edits.map(transform)
    mapped.hint.episodes = hint.episodes.map(transform)
    mapped.rejection.mix = rejection.mix.map(transform)
    mapped.reward.command = Self.mapPaths(reward.command, transform)
    mapped.grader.command = Self.mapPaths(grader.command, transform)
    mapped.task.command = Self.mapPaths(task.command, transform)
    mapped.tools = tools.map(transform)
    return mapped
  }

  /// The files that the programs of the manifest name. A manifest that cannot be read has none; running says why.
  private var toolFiles: [String] {
    guard let tools, let manifest = try? ToolManifest(path: tools) else { return [] }
    return manifest.tools.flatMap { ProgramCommand.files($0.command?.words ?? []) }
  }

  private static func mapPaths(_ words: [String], _ transform: (String) -> String) -> [String] {
    words.indices.map { place in
      if ProgramCommand.isShipped(words[place]) { return words[place] }
      return ProgramCommand.isPath(words, place) || words[place].contains("/") ? transform(words[place]) : words[place]
    }
  }
}
