import Checkpoint
import Foundation
import Rollout
import Tensor

/// Runs one stage of the recipe from its configuration.
public enum Stage {
  /// Runs `kind`. Finished runs are left as they are when resumed.
  /// - Throws: `MartletError`; `Interrupted` when asked to stop, after saving.
  public static func run(_ kind: StageKind, _ configuration: Configuration, context: StageContext) throws {
    guard !configuration.run.isEmpty else {
      throw MartletError(.configuration, "run: is missing; name the run's folder")
    }
    let folder = try RunFolder(configuration.run, resume: context.resume)
    context.onEvent(.stageStarted(name: kind.rawValue, detail: folder.path))
    let started = ContinuousClock.now
    switch kind {
    case .sft: try SFTStage.run(configuration, folder: folder, context: context)
    case .hint: try HintStage.run(configuration, folder: folder, context: context)
    case .rft: try RFTStage.run(configuration, folder: folder, context: context)
    case .rl: try RLStage.run(configuration, folder: folder, context: context)
    case .eval: try EvalStage.run(configuration, folder: folder, context: context)
    }
    context.onEvent(
      .stageEnded(name: kind.rawValue, seconds: Double((ContinuousClock.now - started) / .milliseconds(1)) / 1000))
  }

  /// One update on given episodes (`rl --replay`): groups by id, rewards from `reward.total`, old log-probs from the file.
  public static func replay(_ path: String, _ configuration: Configuration, context: StageContext) throws {
    try RLStage.replay(path, configuration, context: context)
  }

  /// Judges given episodes again (`eval --regrade`).
  public static func regrade(_ path: String, _ configuration: Configuration, context: StageContext) throws {
    try EvalStage.regrade(path, configuration, context: context)
  }

  /// Episodes of problems without a run folder (`generate`, `ask`), in input order, then by sample.
  public static func generate(
    _ problems: [Problem], loaded: LoadedModel, _ configuration: Configuration, context: StageContext,
    onText: ((Author, String) -> Void)? = nil
  ) throws -> [Episode] {
    let engine = try RolloutEngine(loaded, configuration: configuration, context: context)
    return try engine.run(
      engine.requests(problems, samples: 0..<configuration.samplesPerPrompt), step: 0, what: "sampling",
      onToken: onText.map { show in { _, tokens, author in show(author, loaded.tokenizer.decode(tokens)) } })
  }

  /// The problems of several files; ids that occur twice get a number.
  static func problems(_ paths: [String], key: String) throws -> [Problem] {
    guard !paths.isEmpty else { throw MartletError(.configuration, "\(key): names no file of problems") }
    var known: [String: Int] = [:]
    return try paths.flatMap { try Problem.readFile($0) }.map { problem in
      var problem = problem
      known[problem.id, default: 0] += 1
      if let times = known[problem.id], times > 1 { problem.id += "-\(times)" }
      return problem
    }
  }
}
