import Rollout
import Support
import Tokenization

/// Responses to some of a stage's problems, without a run: `diagnose`.
public struct Probe {
  /// The problems that were asked.
  public let problems: [Problem]
  /// Their judged responses, in the same order, then by sample.
  public let episodes: [Episode]
  /// Reads their tokens.
  public let tokenizer: Tokenizer

  /// Samples as `kind` does at its start: `rl` the same prompts and the same draws as in its first steps.
  /// - Parameters:
  ///   - count: how many problems to ask; 0: all.
  ///   - samples: responses to each; nil: what the configuration says.
  /// - Throws: `MartletError`; `Interrupted` when asked to stop: nothing is kept then.
  public init(
    _ given: Configuration, _ kind: StageKind, problems count: Int, samples: Int?, context: StageContext
  ) throws {
    guard kind == .rl || kind == .rft || kind == .eval else {
      throw MartletError(
        .configuration, "stage: \(kind.rawValue) has no rewards to look at; give a configuration of rl, rft or eval")
    }
    var configuration = given
    if let samples { configuration.samplesPerPrompt = samples }
    let files = kind == .eval ? configuration.data + configuration.evalData : configuration.data
    let source = try StageProblems(files, configuration, folder: nil, context: context)
    let loaded =
      try kind == .rft
      ? RFTStage.sampled(configuration, pool: context.pool)
      : LoadedModel.make(configuration, valueHead: false, pool: context.pool)
    let engine = try RolloutEngine(loaded, configuration: configuration, context: context, scorer: source.scorer)
    let admitted = try engine.room.admit(source.given, list: nil, onEvent: context.onEvent)
    let wanted = count == 0 ? admitted.count : min(count, admitted.count)
    problems =
      kind == .rl
      ? try ProblemOrder(admitted, of: source.given, configuration).first(wanted).map { admitted[$0] }
      : Array(admitted.prefix(wanted))
    episodes = try engine.run(
      engine.requests(problems, samples: 0..<configuration.samplesPerPrompt), step: 0, what: "sampling")
    tokenizer = loaded.tokenizer
  }
}
