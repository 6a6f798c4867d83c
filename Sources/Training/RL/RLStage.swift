import Checkpoint
import Foundation
import PPO
import Reports
import Rollout
import Support

/// Reinforcement learning with the interpreter in the rollouts: GRPO, or what the `loss` section makes of it.
struct RLStage {
  private let configuration: Configuration
  private let run: TrainingRun
  private let engine: RolloutEngine
  private let rollouts: EpisodeSource
  private let update: PolicyUpdate
  private let heldOut: [Problem]

  /// Runs the stage, or what is left of it.
  /// - Throws: `MartletError`; `Interrupted` when asked to stop, after saving.
  static func run(_ configuration: Configuration, folder: RunFolder, context: StageContext) throws {
    if folder.isFinished(configuration) { return context.onEvent(.note("\(folder.path) is finished")) }
    let stage = try RLStage(configuration, folder: folder, context: context)
    while !stage.run.isDone { try stage.step() }
    try stage.run.finish()
    stage.rollouts.journal.remove()
  }

  private init(_ configuration: Configuration, folder: RunFolder, context: StageContext) throws {
    self.configuration = configuration
    let problems = try StageProblems(
      configuration.data, heldOut: configuration.evalData, configuration, folder: folder, context: context)
    run = try TrainingRun(configuration, folder: folder, context: context)
    engine = try RolloutEngine(
      run.loaded, configuration: configuration, context: context, packedStorage: run.learner.gradients,
      scorer: problems.scorer)
    let given = try engine.admit(problems.given, folder: folder)
    heldOut = try engine.admit(problems.heldOut, folder: folder, list: "skipped-eval.jsonl")
    update = try PolicyUpdate(run)
    if let teacher = update.teacher {
      let responses = configuration.sampling.maxTokens
      try teacher.requireContext(of: engine.room.longestSequence(problems.given, responses: responses))
    }
    rollouts = EpisodeSource(
      engine, problems: given, order: try ProblemOrder(given, of: problems.given, configuration),
      journal: try EpisodeJournal(
        folder, model: run.loaded.identity(trained: false, pool: context.pool), resume: context.resume),
      configuration: configuration)
  }

  /// One step: sample G responses to each prompt, judge them, work out advantages, update the weights, evaluate, save.
  private func step() throws {
    let started = ContinuousClock.now
    let place = run.state.place ?? run.state.step * rollouts.span
    let (episodes, kept) = try sampleAndJudge(from: place)
    let samplingSeconds = started.secondsSince

    let greedy = try configuration.loss.advantage.requiresGreedyReward ? rollouts.greedyRewards(run.state.step) : [:]
    let batch = update.batch(kept, isOnPolicy: true, greedyRewards: greedy)
    let updates = try update.learn(batch, totalSteps: configuration.steps * EpisodeSource.updates(configuration))
    run.state.place = rollouts.nextPlace

    try EpisodeFile.write(episodes, to: run.folder.episodeFile(step: run.state.step + 1))
    var metrics = Metrics(step: run.state.step + 1)
    metrics.add(episodes, engine.evaluation(of: episodes))
    metrics.add(updates, of: batch)
    let groups = Set(kept.map(\.id))
    metrics["groups"] = .int(groups.count)
    if configuration.groups.hasBand { metrics["passed_over"] = .int(rollouts.passedOver) }
    if configuration.groups.cleanSuccesses {
      metrics["left_out"] = .int(episodes.count { groups.contains($0.id) } - kept.count)
    }
    if !greedy.isEmpty { metrics["greedy_unscorable"] = .int(greedy.values.count { $0.isNaN }) }
    metrics["sampling_seconds"] = .double(samplingSeconds)
    metrics["seconds"] = .double(started.secondsSince)

    let isBest = try isTimeToEvaluate && evaluate(&metrics)
    try run.finishStep(metrics, saves: isBest)
    rollouts.journal.forget(before: run.savedStep)
  }

  /// The step's judged episodes, sampled from the weights as they are, and those of them to learn from.
  private func sampleAndJudge(from place: Int) throws -> (all: [Episode], kept: [Episode]) {
    engine.sampler.weightsChanged()
    rollouts.journal.weights = run.lastHash ?? run.hash()
    let (episodes, kept): ([Episode], [Episode])
    do {
      (episodes, kept) = try rollouts.episodes(step: run.state.step, from: place, rates: run.state.successRates ?? [:])
    } catch let interruption as Interrupted {
      // Finished episodes of this step are in the journal; the weights are as the step before left them.
      try run.saveNow()
      throw interruption
    }
    if run.state.step == 0, let warning = configuration.warning(firstStep: episodes, folder: run.folder.path) {
      run.context.onEvent(.warning(warning))
    }
    if configuration.groups.knapsack || configuration.groups.hasBand {
      run.state.successRates = rollouts.measured(episodes, run.state.successRates ?? [:])
    }
    return (episodes, kept)
  }

  private var isTimeToEvaluate: Bool {
    configuration.evalEvery > 0 && (run.state.step + 1) % configuration.evalEvery == 0
  }

  /// Evaluates the weights that the step leaves, always with the same draws, and adds the figures as `eval_...`.
  /// - Returns: whether these weights are the best so far.
  private func evaluate(_ metrics: inout Metrics) throws -> Bool {
    engine.sampler.weightsChanged()
    let episodes = try engine.run(engine.requests(heldOut, samples: 0..<1), step: 0, what: "evaluating")
    let evaluation = engine.evaluation(of: episodes)
    metrics.add(evaluation, prefix: "eval_")
    let accuracy = evaluation.value(.accuracy) ?? 0
    let isBest = accuracy > run.state.best?.accuracy ?? -1
    if isBest { run.state.best = TrainingState.Best(step: run.state.step + 1, accuracy: accuracy) }
    metrics["best_step"] = run.state.best.map { .int($0.step) }
    run.context.onEvent(.evaluated(evaluation, step: run.state.step + 1))
    return isBest
  }

  /// One update on given episodes: groups by id, rewards from `reward.total`, old log-probs from the file.
  /// - Throws: `MartletError` (data) naming file and line of an episode that cannot be learnt from.
  static func replay(
    _ path: String, _ configuration: Configuration, folder: RunFolder, context: StageContext
  ) throws {
    let episodes = try EpisodeFile.read(path)
    guard !episodes.isEmpty else { throw MartletError(.data, "\(path): there are no episodes") }
    guard configuration.teacher != nil || episodes.contains(where: { $0.reward?.total != nil }) else {
      throw MartletError(
        .data, "\(path): no episode has a reward, so there is nothing to learn; eval --regrade gives rewards")
    }
    var configuration = configuration
    configuration.steps = max(1, configuration.steps)
    let run = try TrainingRun(configuration, folder: folder, context: context)
    for (index, episode) in episodes.enumerated() {
      if let defect = episode.defect(for: run.loaded.model.configuration) {
        throw MartletError(.data, "\(path):\(index + 1): \(defect)")
      }
    }
    let update = try PolicyUpdate(run)
    let kept = try chosen(episodes, path, configuration)
    try update.teacher?.requireContext(of: kept.map(\.tokens.count).max() ?? 0)
    let batch = update.batch(kept, isOnPolicy: false)
    var metrics = Metrics(step: run.state.step + 1)
    metrics.add(try update.learn(batch, totalSteps: configuration.steps), of: batch)
    if configuration.groups.cleanSuccesses { metrics["left_out"] = .int(episodes.count - kept.count) }
    try run.finishStep(metrics)
    try run.finish()
  }
}

extension RLStage {
  /// The given episodes that are learnt from.
  /// - Throws: `MartletError` (data) for one without a verdict, where the choice goes by verdicts.
  private static func chosen(
    _ episodes: [Episode], _ path: String, _ configuration: Configuration
  ) throws -> [Episode] {
    guard let choice = configuration.cleanSuccesses else { return episodes }
    if let place = episodes.firstIndex(where: { $0.verdict == nil }) {
      throw MartletError(
        .data,
        "\(path):\(place + 1): there is no verdict, which groups.clean_successes goes by; eval --regrade gives one")
    }
    return choice.kept(episodes)
  }
}

extension Metrics {
  /// The figures of `evaluation`, each under its name behind `prefix`; null where there is none.
  fileprivate mutating func add(_ evaluation: Evaluation, prefix: String = "") {
    for figure in Evaluation.figures { self[prefix + figure.rawValue] = Value(evaluation.value(figure)) }
  }

  /// What a step's sampled episodes came to.
  fileprivate mutating func add(_ episodes: [Episode], _ evaluation: Evaluation) {
    let rewards = episodes.compactMap { $0.reward?.total }
    self["reward"] = .double(rewards.reduce(0, +) / Double(max(1, rewards.count)))
    self["unscorable"] = .int(episodes.count - rewards.count)
    add(evaluation)
    self["cut_off"] = .double(
      Double(episodes.count { $0.finish == .length }) / Double(max(1, episodes.count)))
  }

  /// Means over a step's optimizer updates, and what share of the samples they could learn from.
  fileprivate mutating func add(_ updates: [UpdateResult], of batch: RolloutBatch) {
    func mean(_ value: (UpdateResult) -> Double) -> Value {
      .double(updates.isEmpty ? 0 : updates.map(value).reduce(0, +) / Double(updates.count))
    }
    self["updates"] = .int(updates.count)
    self["loss"] = mean(\.metrics.loss)
    self["value_loss"] = mean(\.valueLoss)
    if updates.contains(where: { $0.observationLoss != nil }) {
      self["observation_loss"] = mean { $0.observationLoss ?? 0 }
    }
    self["grad_norm"] = mean(\.gradientNorm)
    self["learning_rate"] = mean(\.learningRate)
    self["entropy"] = mean(\.metrics.entropy)
    self["kl"] = mean(\.metrics.refKL)
    self["approx_kl"] = mean(\.metrics.approxKL3)
    self["clip_fraction"] = mean(\.metrics.clipFraction)
    self["ratio_mean"] = mean(\.metrics.ratioMean)
    self["ratio_max"] = .double(updates.map(\.metrics.ratioMax).max() ?? 1)
    self["ratio_first"] = .double(updates.first?.metrics.ratioMax ?? 1)
    if let rewardKL = batch.rewardKL { self["reward_kl"] = .double(rewardKL) }
    if let teacherKL = batch.teacherKL { self["teacher_kl"] = .double(teacherKL) }
    let active = batch.samples.count { sample in sample.isLearntFrom }
    self["advantage_share"] = .double(Double(active) / Double(max(1, batch.samples.count)))
    self["masked"] = .int(batch.samples.count { $0.policy.tokenCount == 0 })
    self["skipped"] = .int(updates.reduce(0) { $0 + $1.skipped })
    self["trained_tokens"] = .int(updates.reduce(0) { $0 + $1.metrics.tokens })
  }
}
