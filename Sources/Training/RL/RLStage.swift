import Checkpoint
import Foundation
import PPO
import Reports
import Rollout
import Support

/// Reinforcement learning with the interpreter in the rollouts: sample, judge, learn.
enum RLStage {
  static func run(_ configuration: Configuration, folder: RunFolder, context: StageContext) throws {
    if folder.isFinished(configuration) { return context.onEvent(.note("\(folder.path) is finished")) }
    let placed = try Stage.problems(configuration.data, key: "data")
    let run = try TrainingRun(configuration, folder: folder, context: context)
    let placedHeldOut =
      try configuration.evalData.isEmpty ? [] : Stage.problems(configuration.evalData, key: "eval_data")
    let engine = try RolloutEngine(
      run.loaded, configuration: configuration, context: context, packedStorage: run.learner.gradients)
    let problems = try engine.admit(placed, folder: folder)
    let heldOut = try engine.admit(placedHeldOut, folder: folder, list: "skipped-eval.jsonl")
    let update = try PolicyUpdate(run)
    // The weights that change are told apart by the state's hash, which every step's metrics hold anyway.
    let fixed = run.loaded.identity(trained: false, pool: context.pool)
    let journal = try EpisodeJournal(folder, model: fixed, resume: context.resume)
    let source = EpisodeSource(engine, problems: problems, journal: journal, configuration: configuration)
    while !run.isDone {
      let started = ContinuousClock.now
      engine.sampler.weightsChanged()
      journal.model = fixed + (run.lastHash ?? run.hash())
      let place = run.state.place ?? run.state.step * source.span
      let (episodes, filtered): ([Episode], [Episode])
      do {
        (episodes, filtered) = try source.episodes(
          step: run.state.step, from: place, rates: run.state.successRates ?? [:])
      } catch let interruption as Interrupted {
        // Finished episodes of this step are in the journal; the weights are as the step before left them.
        try run.saveNow()
        throw interruption
      }
      let sampled = ContinuousClock.now
      if configuration.groups.knapsack {
        run.state.successRates = (run.state.successRates ?? [:]).merging(EpisodeSource.successRates(episodes)) { $1 }
      }
      let greedy =
        configuration.loss.advantage.requiresGreedyReward ? try source.greedyRewards(step: run.state.step) : [:]
      let (updates, rewardKL, samples) = try update.learn(
        filtered, own: true, greedy: greedy, maskTruncated: configuration.groups.maskTruncated,
        totalSteps: configuration.steps * EpisodeSource.updates(configuration))
      try EpisodeFile.write(episodes, to: folder.episodeFile(step: run.state.step + 1))
      var line = Metrics()
      line["step"] = .int(run.state.step + 1)
      describe(&line, episodes, engine)
      describe(&line, updates, samples, rewardKL)
      line["groups"] = .int(Set(filtered.map(\.id)).count)
      if !greedy.isEmpty { line["greedy_unscorable"] = .int(greedy.values.count { $0.isNaN }) }
      line["sampling_seconds"] = .double(Double((sampled - started) / .microseconds(1)) / 1e6)
      line["seconds"] = .double(Double((ContinuousClock.now - started) / .microseconds(1)) / 1e6)
      run.state.place = place + source.span
      let isBest = try isTimeToEvaluate(run) && evaluate(heldOut, &line, run, engine)
      try run.finishStep(line, saves: isBest)
      journal.forget(before: run.savedStep)
    }
    try run.finish()
    journal.remove()
  }

  /// One update on given episodes: groups by id, rewards from `reward.total`, old log-probs from the file.
  static func replay(
    _ path: String, _ configuration: Configuration, folder: RunFolder, context: StageContext
  ) throws {
    let episodes = try EpisodeFile.read(path)
    guard !episodes.isEmpty else { throw MartletError(.data, "\(path): there are no episodes") }
    guard configuration.loss.advantage == .distillation || episodes.contains(where: { $0.reward?.total != nil }) else {
      throw MartletError(
        .data, "\(path): no episode has a reward, so there is nothing to learn; eval --regrade gives rewards")
    }
    var configuration = configuration
    configuration.steps = max(1, configuration.steps)
    let run = try TrainingRun(configuration, folder: folder, context: context)
    for (index, episode) in episodes.enumerated() {
      if let defect = Experience.defect(episode, model: run.loaded.model.configuration) {
        throw MartletError(.data, "\(path):\(index + 1): \(defect)")
      }
    }
    let (updates, rewardKL, samples) = try PolicyUpdate(run).learn(
      episodes, own: false, totalSteps: configuration.steps)
    var line = Metrics()
    line["step"] = .int(run.state.step + 1)
    describe(&line, updates, samples, rewardKL)
    try run.finishStep(line)
    try run.finish()
  }

  private static func isTimeToEvaluate(_ run: TrainingRun) -> Bool {
    let every = run.configuration.evalEvery
    return every > 0 && (run.state.step + 1) % every == 0
  }

  /// Evaluates the weights that the step leaves, always with the same draws; figures go into the line as `eval_...`.
  /// - Returns: whether they are the best so far.
  private static func evaluate(
    _ problems: [Problem], _ line: inout Metrics, _ run: TrainingRun, _ engine: RolloutEngine
  ) throws -> Bool {
    engine.sampler.weightsChanged()
    let episodes = try engine.run(engine.requests(problems, samples: 0..<1), step: 0, what: "evaluating")
    let figures = Evaluation(episodes, labels: episodes.map { engine.analysis($0).blocks.map(\.label) })
    for figure in Evaluation.figures {
      line["eval_" + figure.rawValue] = figures.value(figure).map { .double($0) } ?? .null
    }
    let step = run.state.step + 1
    let accuracy = figures.value(.accuracy) ?? 0
    let isBest = accuracy > run.state.best?.accuracy ?? -1
    if isBest { run.state.best = TrainingState.Best(step: step, accuracy: accuracy) }
    line["best_step"] = run.state.best.map { .int($0.step) }
    run.context.onEvent(.evaluated(figures, step: step))
    return isBest
  }

  private static func describe(_ line: inout Metrics, _ episodes: [Episode], _ engine: RolloutEngine) {
    let figures = Evaluation(episodes, labels: episodes.map { engine.analysis($0).blocks.map(\.label) })
    let rewards = episodes.compactMap { $0.reward?.total }
    line["reward"] = .double(rewards.reduce(0, +) / Double(max(1, rewards.count)))
    line["unscorable"] = .int(episodes.count - rewards.count)
    for figure in Evaluation.figures { line[figure.rawValue] = figures.value(figure).map { .double($0) } ?? .null }
    line["cut_off"] = .double(
      Double(episodes.count { $0.finish == .length }) / Double(max(1, episodes.count)))
  }

  private static func describe(
    _ line: inout Metrics, _ updates: [UpdateResult], _ samples: [LearningSample], _ rewardKL: Double?
  ) {
    func mean(_ value: (UpdateResult) -> Double) -> Metrics.Value {
      .double(updates.isEmpty ? 0 : updates.map(value).reduce(0, +) / Double(updates.count))
    }
    line["updates"] = .int(updates.count)
    line["loss"] = mean(\.metrics.loss)
    line["value_loss"] = mean(\.valueLoss)
    line["grad_norm"] = mean(\.gradientNorm)
    line["learning_rate"] = mean(\.learningRate)
    line["entropy"] = mean(\.metrics.entropy)
    line["kl"] = mean(\.metrics.refKL)
    line["approx_kl"] = mean(\.metrics.approxKL3)
    line["clip_fraction"] = mean(\.metrics.clipFraction)
    line["ratio_mean"] = mean(\.metrics.ratioMean)
    line["ratio_max"] = .double(updates.map(\.metrics.ratioMax).max() ?? 1)
    line["ratio_first"] = .double(updates.first?.metrics.ratioMax ?? 1)
    if let rewardKL { line["reward_kl"] = .double(rewardKL) }
    let active = samples.count { sample in sample.advantages.contains { $0 != 0 } }
    line["advantage_share"] = .double(Double(active) / Double(max(1, samples.count)))
    line["trained_tokens"] = .int(updates.reduce(0) { $0 + $1.metrics.tokens })
  }
}
