import PPO
import Rollout
import Support
import Tensor
import Transformer

/// The judged episodes of one rollout step, ready for the loss.
struct RolloutBatch {
  let episodes: [Episode]
  /// One for each episode.
  var samples: [LearningSample]
  /// Whether the very weights that learn now have sampled the episodes.
  let isOnPolicy: Bool
  /// The mean KL that was taken off the rewards; nil: the loss takes none.
  var rewardKL: Double?

  /// The mean of log-prob - teacher's log-prob over the drawn tokens of the loss; nil without a teacher.
  var teacherKL: Double? {
    let policies = samples.map(\.policy).filter { $0.teacherLogProbs != nil }
    let differences = policies.flatMap { policy -> [Double] in
      policy.responseMask.indices.filter { policy.responseMask[$0] }.map {
        Double(policy.oldLogProbs[$0]) - Double(policy.teacherLogProbs?[$0] ?? 0)
      }
    }
    return policies.isEmpty ? nil : differences.reduce(0, +) / Double(max(1, differences.count))
  }
}

/// From judged episodes to optimizer steps: log-probs of the reference, advantages over the whole rollout batch, then
/// one update after the other.
struct PolicyUpdate {
  let run: TrainingRun
  let reference: ReferenceModel?
  let teacher: Teacher?

  private var loss: LossSettings { run.configuration.loss }

  init(_ run: TrainingRun) throws {
    self.run = run
    reference =
      run.configuration.loss.requiresReference
      ? try ReferenceModel(run.configuration, current: run.loaded, context: run.context) : nil
    teacher = try run.configuration.teacher.map {
      try Teacher($0, of: run.loaded, run.configuration, context: run.context)
    }
  }

  /// Gives the episodes all that the loss reads: masks, old and reference log-probs, values, advantages.
  /// - Parameters:
  ///   - isOnPolicy: these very weights sampled the episodes, so the first update must find the stored log-probs. Those
  ///     of another sampler may be corrected for: see `loss.correction`.
  ///   - greedyRewards: the reward of the greedy answer by problem id (ReMax). NaN: nothing could score it, and its
  ///     group leaves the loss.
  func batch(_ episodes: [Episode], isOnPolicy: Bool, greedyRewards: [String: Double] = [:]) -> RolloutBatch {
    var samples = LearningSample.samples(episodes)
    for (index, episode) in episodes.enumerated() {
      let baseline = greedyRewards[episode.id]
      samples[index].policy.greedyReward = baseline
      if baseline?.isNaN == true || isMasked(episode) { samples[index].policy.leaveLoss() }
    }
    if !isOnPolicy, loss.correction.kind != .none { correctForSampler(&samples) }
    if let reference {
      run.context.onEvent(.phase("reference log-probs"))
      reference.addLogProbs(to: &samples)
    }
    if let teacher {
      run.context.onEvent(.phase("the teacher's log-probs"))
      teacher.addViews(to: &samples, loss.teacherTerm)
    }
    if loss.advantage.requiresValues { addValues(to: &samples) }
    let rewardKL = loss.klInReward ? takeKLOffRewards(&samples) : nil
    addAdvantages(to: &samples)
    return RolloutBatch(episodes: episodes, samples: samples, isOnPolicy: isOnPolicy, rewardKL: rewardKL)
  }

  /// One optimizer step for each `update_batch` samples, in order.
  /// - Throws: `MartletError` (data) when a gradient is not finite, or when the first update does not find the
  ///   log-probs that the sampler stored.
  func learn(_ batch: RolloutBatch, totalSteps: Int) throws -> [UpdateResult] {
    let size = run.configuration.updateBatch
    return try stride(from: 0, to: batch.samples.count, by: size).map { start in
      let samples = Array(batch.samples[start..<min(start + size, batch.samples.count)])
      let weights = loss.aggregation.weights(samples.map(\.policy), length: loss.aggregationLength)
      run.announceUpdate(from: start, of: batch.samples.count)
      let result = try run.learner.update(samples, weights: weights, totalSteps: totalSteps)
      if batch.isOnPolicy, start == 0 { try checkLogProbs(result, samples, batch.episodes) }
      return result
    }
  }

  /// Whether `groups` takes the response out of the loss.
  private func isMasked(_ episode: Episode) -> Bool {
    let configuration = run.configuration
    if configuration.groups.maskTruncated, episode.finish == .length { return true }
    // A program that judges may read answers without a box.
    let endAnswers = !configuration.grader.command.isEmpty || !configuration.task.command.isEmpty
    return configuration.groups.maskVoid
      && episode.hasVoidTurn(run.loaded.tokenizer, tools: configuration.sampling.tools, endAnswers: endAnswers)
  }

  /// The stored log-probs are another sampler's. The policy's own take their place; both together give the importance
  /// weights.
  private func correctForSampler(_ samples: inout [LearningSample]) {
    let found = Learner.score(
      samples, pass: run.learner.pass, microBatchTokens: run.configuration.microBatchTokens
    ).logProbs
    for index in samples.indices {
      samples[index].policy.samplerLogProbs = samples[index].policy.oldLogProbs
      samples[index].policy.oldLogProbs = samples[index].spread(found[index])
    }
    for (index, factors) in loss.correction.factors(samples.map(\.policy)).enumerated() {
      samples[index].corrections = factors
    }
  }

  private func addValues(to samples: inout [LearningSample]) {
    let scores = Learner.score(
      samples, pass: run.learner.pass, microBatchTokens: run.configuration.microBatchTokens, values: true)
    for index in samples.indices { samples[index].policy.values = samples[index].spread(scores.values[index]) }
  }

  /// Takes the KL to the reference off the rewards, and adapts its coefficient where `kl_target` asks for that.
  /// - Returns: the mean KL.
  private func takeKLOffRewards(_ samples: inout [LearningSample]) -> Double {
    let coefficient = run.state.kl?.coefficient ?? loss.klCoef
    let applied = KLInReward(loss.klPenalty).apply(samples.map(\.policy), coefficient: coefficient)
    for index in samples.indices { samples[index].policy = applied.samples[index] }
    if loss.klTarget > 0 {
      var controller =
        run.state.kl
        ?? AdaptiveKLController(coefficient: loss.klCoef, target: loss.klTarget, horizon: loss.klHorizon)
      controller.update(kl: applied.kl, sequences: samples.count)
      run.state.kl = controller
    }
    return applied.kl
  }

  private func addAdvantages(to samples: inout [LearningSample]) {
    let advantages = loss.advantages(PolicyBatch(samples.map(\.policy)))
    for index in samples.indices {
      samples[index].advantages = advantages.perToken[index]
      samples[index].returns = advantages.returns?[index]
    }
  }

  /// The sampler's log-probs are the trainer's, bit for bit; `blas` alone gives that up.
  private func checkLogProbs(_ result: UpdateResult, _ samples: [LearningSample], _ episodes: [Episode]) throws {
    guard run.configuration.matmul != .blas else { return }
    for (index, sample) in samples.enumerated() {
      guard let found = result.logProbs[index] else { continue }  // it did not go through the model
      for (place, (token, _)) in sample.targets.enumerated() {
        let now = found[place]
        let drawn = sample.policy.oldLogProbs[token]
        guard now.bitPattern == drawn.bitPattern else {
          let episode = episodes[index]
          throw MartletError(
            .data,
            "episode \(episode.id), sample \(episode.sample), token \(sample.responseStart + token): drawn with "
              + "log-prob \(drawn), but the trainer finds \(now); this is a bug of ours: please report it with "
              + "config.yaml")
        }
      }
    }
  }
}

/// The frozen model of the KL term.
final class ReferenceModel {
  private let pass: TrainingPass
  private let microBatchTokens: Int

  /// Whether the reference needs no weights of its own: it is the policy without its adapters, which began at zero.
  static func sharesWeights(_ configuration: Configuration) -> Bool {
    configuration.refModel == nil && configuration.adapter == nil && configuration.lora.rank > 0
      && configuration.lora.start == .orthogonal
  }

  /// - Parameter current: the policy as it is now. Its weights are copied where no file holds them: without `ref_model`
  ///   and `model`.
  /// - Throws: `MartletError` when the model cannot be read, or has another vocabulary.
  init(_ configuration: Configuration, current: LoadedModel, context: StageContext) throws {
    let model: LanguageModel
    if Self.sharesWeights(configuration), current.model.configuration.adapters != nil {
      model = current.model.base(valueHead: false)
    } else if let path = configuration.refModel {
      model = try LoadedModel.load(path, valueHead: false, pool: context.pool).model
    } else if configuration.model != nil {
      model = try LoadedModel.make(configuration, valueHead: false, pool: context.pool).model
    } else {
      let plain = current.model.merged(pool: context.pool)
      var shape = plain.configuration
      shape.valueHead = false
      model = LanguageModel(configuration: shape)
      model.weights.pointer.update(from: plain.weights.pointer, count: model.weights.count)
    }
    let (own, policy) = (model.configuration.vocabularySize, current.model.configuration.vocabularySize)
    guard own == policy else {
      throw MartletError(
        .configuration,
        "ref_model: its vocabulary has \(own) tokens, the model's \(policy); name a model with the same tokenizer")
    }
    pass = TrainingPass(model: model, gradients: nil, matmul: configuration.matmul, pool: context.pool)
    pass.timer = context.timer
    microBatchTokens = configuration.microBatchTokens
  }

  /// Fills in `refLogProbs`.
  func addLogProbs(to samples: inout [LearningSample]) {
    let scores = Learner.score(samples, pass: pass, microBatchTokens: microBatchTokens)
    for index in samples.indices { samples[index].policy.refLogProbs = samples[index].spread(scores.logProbs[index]) }
  }
}
