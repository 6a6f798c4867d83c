import Foundation
import PPO
import Reports
import Rollout
import Support
import Tensor
import Transformer

/// Samples responses to problems and judges them: prompt, sampler, interpreter, grader, reward.
final class RolloutEngine {
  let loaded: LoadedModel
  let builder: PromptBuilder
  let sampler: Sampler
  private let interpreter: InterpreterHost?
  let grader: Grader
  private let judge: ProgramJudge
  private let configuration: Configuration
  private let context: StageContext

  /// - Parameters:
  ///   - packedStorage: memory for the packed weights, such as that of the gradients.
  ///   - scorer: scores the responses to problems of a task.
  init(
    _ loaded: LoadedModel, configuration: Configuration, context: StageContext, packedStorage: FloatBuffer? = nil,
    scorer: TaskScorer? = nil
  ) throws {
    self.loaded = loaded
    self.configuration = configuration
    self.context = context
    builder = try PromptBuilder(loaded, configuration)
    let python = configuration.interpreter.python
    let manifest = try configuration.tools.map { try ToolManifest(path: $0) }
    let usesPython = configuration.sampling.tools != .none && manifest?.hasPython ?? true
    interpreter = usesPython ? try context.interpreter(configuration.interpreter) : nil
    sampler = Sampler(
      model: loaded.model, tokenizer: loaded.tokenizer, stopTokens: builder.stopTokens, pool: context.pool,
      interpreter: interpreter, slots: configuration.slots, packedStorage: packedStorage,
      matmul: configuration.matmul)
    sampler.timer = context.timer
    sampler.tools = manifest.map {
      ToolPrograms($0, python: python, outputBytes: configuration.interpreter.outputBytes)
    }
    grader = Grader(python: python)
    judge = ProgramJudge(configuration, tokenizer: loaded.tokenizer, scorer: scorer)
    if manifest != nil, try !builder.form.showsTools {
      context.onEvent(
        .warning("tools: the prompt's template does not show tools to the model; describe them in prompt.system"))
    }
  }

  /// Whether programs give verdicts, which are not by value.
  var isJudgedByPrograms: Bool { judge.grades }

  /// How long a prompt may be.
  var room: PromptRoom { PromptRoom(loaded, builder: builder, configuration: configuration) }

  /// The problems that can be asked. The others are refused, or skipped and listed in `folder`.
  /// - Throws: `MartletError` (data) for a problem that leaves no room for a response, unless such problems are
  ///   skipped.
  func admit(_ problems: [PlacedProblem], folder: RunFolder, list: String = "skipped.jsonl") throws -> [Problem] {
    try room.admit(problems, list: folder.file(list), onEvent: context.onEvent)
  }

  /// Requests for `samples` responses to each problem.
  func requests(_ problems: [Problem], samples: Range<Int>) throws -> [SampleRequest] {
    let prefix = configuration.prompt.hint.map { hint in
      Prefix(
        hint: hint, kind: .prompt, reason: "a hint at the start of every response", tokenizer: loaded.tokenizer)
    }
    return try problems.flatMap { problem in
      let tokens = try builder.prompt(problem)
      return samples.map { SampleRequest(problem: problem, sample: $0, promptTokens: tokens, prefix: prefix) }
    }
  }

  /// What else an episode depends on, besides model, prompt and ``settings(step:)``: the arithmetic, and the
  /// interpreter's settings, sandbox and versions on this machine.
  var means: String {
    guard let interpreter else { return "\(configuration.matmul)" }
    let report = interpreter.report
    let modules = report.preloaded.sorted { $0.key < $1.key }
    return "\(configuration.matmul) \(interpreter.settings) \(report.tier) \(report.python) \(modules)"
  }

  /// The `sampling` section with the keys of a step's draws.
  func settings(step: Int) -> SamplerSettings {
    var settings = configuration.sampling
    (settings.seed, settings.step) = (configuration.seed, UInt64(step))
    return settings
  }

  /// Samples and judges: the episodes in request order, graded and rewarded.
  /// - Throws: `Interrupted` when asked to stop. Finished episodes have been given to `onEpisode` by then.
  func run(
    _ requests: [SampleRequest], step: Int, what: String, onEpisode: ((Int, Episode) -> Void)? = nil,
    onCall: ((Int, Episode.Call) -> Void)? = nil, onToken: ((Int, [Int32], Author) -> Void)? = nil
  ) throws -> [Episode] {
    try judged(sampled(requests, step: step, what: what, onEpisode: onEpisode, onCall: onCall, onToken: onToken))
  }

  /// The same, not judged yet.
  func sampled(
    _ requests: [SampleRequest], step: Int, what: String, onEpisode: ((Int, Episode) -> Void)? = nil,
    onCall: ((Int, Episode.Call) -> Void)? = nil, onToken: ((Int, [Int32], Author) -> Void)? = nil
  ) throws -> [Episode] {
    do {
      return try sample(requests, step: step, what: what, onEpisode: onEpisode, onCall: onCall, onToken: onToken)
    } catch is CancellationError {
      throw Interrupted()
    }
  }

  private func sample(
    _ requests: [SampleRequest], step: Int, what: String, onEpisode: ((Int, Episode) -> Void)?,
    onCall: ((Int, Episode.Call) -> Void)?, onToken: ((Int, [Int32], Author) -> Void)?
  ) throws -> [Episode] {
    let started = ContinuousClock.now
    var shown = started
    let context = context
    return try sampler.run(
      requests, settings: settings(step: step), onEpisode: onEpisode, onCall: onCall, onToken: onToken,
      onProgress: { tokens, finished in
        let now = ContinuousClock.now
        guard now - shown > .milliseconds(200) || finished == requests.count else { return }
        shown = now
        let seconds = (now - started).seconds
        context.onEvent(
          .progress(
            Progress(
              what: what, done: finished, total: requests.count, unit: "responses",
              rate: seconds > 0 ? Double(tokens) / seconds : nil)))
      },
      isCancelled: { context.isCancelled })
  }

  /// Verdicts and rewards, by the built-in grader and the user's programs.
  /// - Parameters:
  ///   - known: what the programs said of an episode before: they are not asked again.
  ///   - onJudgement: is given an episode's place and what they say of it now.
  /// - Throws: `MartletError` (configuration) that names the program, the episode and what was wrong.
  func judged(
    _ episodes: [Episode], known: [Judgement?] = [], onJudgement: (Int, Judgement) -> Void = { _, _ in }
  ) throws -> [Episode] {
    context.onEvent(.phase("grading \(episodes.count) responses"))
    let graded = try graded(episodes)
    return try graded.indices.map { place in
      var episode = graded[place]
      guard episode.gold != nil else { return episode }
      if context.isCancelled, judge.isActive { throw Interrupted() }
      let before = known.isEmpty ? nil : known[place]
      let judgement = try before ?? judge.judgement(of: episode)
      if let judgement, before == nil { onJudgement(place, judgement) }
      if let verdict = judgement?.verdict { episode.verdict = verdict }
      episode.reward = configuration.reward.reward(
        for: episode, maxTokens: configuration.sampling.maxTokens, reply: judgement?.reward, score: judgement?.score)
      return episode
    }
  }

  /// The episodes with the built-in verdicts, except where a program gives them.
  private func graded(_ episodes: [Episode]) throws -> [Episode] {
    var graded = episodes.map(\.unjudged)
    let places = episodes.indices.filter { !judge.gives(verdictOf: episodes[$0]) }
    for (place, episode) in zip(places, try grade(places.map { episodes[$0] }, grader: grader)) {
      graded[place] = episode
    }
    return graded
  }

  /// The figures of judged episodes.
  /// - Parameter looks: the second look at each episode; nil: votes are counted by spelling.
  func evaluation(of episodes: [Episode], looks: [Evaluation.SecondLook]? = nil) -> Evaluation {
    Evaluation(episodes, labels: episodes.map { analysis($0).blocks.map(\.label) }, looks: looks)
  }

  /// What the model does with its interpreter in `episode`.
  func analysis(_ episode: Episode) -> BehaviourAnalysis {
    episode.analysis(loaded.tokenizer, tools: configuration.sampling.tools)
  }
}
