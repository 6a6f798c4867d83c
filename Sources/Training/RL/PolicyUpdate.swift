import PPO
import Rollout
import Support
import Tensor

/// From judged episodes to optimizer steps: reference and old log-probs, advantages over the whole rollout batch, then
/// one update after the other.
struct PolicyUpdate {
  let run: TrainingRun
  let reference: ReferenceModel?

  private var loss: LossSettings { run.configuration.loss }

  init(_ run: TrainingRun) throws {
    self.run = run
    reference =
      run.configuration.loss.requiresReference
      ? try ReferenceModel(run.configuration, current: run.loaded, context: run.context) : nil
  }

  /// - Parameters:
  ///   - own: the episodes were sampled from these very weights, so the first update's log-probs must be the stored
  ///     ones.
  ///     Others' may be corrected for: see `loss.correction`.
  ///   - greedy: reward of the greedy answer by problem id (ReMax); NaN: nothing could score it, and its group leaves
  ///     the loss.
  /// - Returns: the results of the updates and the KL that was taken off the rewards, if any.
  func learn(
    _ episodes: [Episode], own: Bool, greedy: [String: Double] = [:], maskTruncated: Bool = false, totalSteps: Int
  ) throws -> (updates: [UpdateResult], rewardKL: Double?, samples: [LearningSample]) {
    var samples = Experience.samples(episodes)
    for (index, episode) in episodes.enumerated() {
      let baseline = greedy[episode.id]
      samples[index].policy.greedyReward = baseline
      if baseline?.isNaN == true || (maskTruncated && episode.finish == .length) {
        samples[index].policy.leaveLoss()
      }
    }
    if !own, loss.correction.kind != .none { correct(&samples) }
    if let reference {
      run.context.onEvent(.phase("reference log-probs"))
      reference.score(&samples)
    }
    if loss.advantage.requiresValues { scoreValues(&samples) }
    let rewardKL = prepare(&samples)
    var updates: [UpdateResult] = []
    let size = run.configuration.updateBatch
    for start in stride(from: 0, to: samples.count, by: size) {
      let batch = Array(samples[start..<min(start + size, samples.count)])
      let weights = loss.aggregation.weights(batch.map(\.policy), length: loss.aggregationLength)
      run.announceUpdate(from: start, of: samples.count)
      let result = try run.learner.update(batch, weights: weights, totalSteps: totalSteps)
      if own, start == 0 { try check(result, batch, episodes) }
      updates.append(result)
    }
    return (updates, rewardKL, samples)
  }

  /// The stored log-probs are another sampler's. The policy's own take their place; the two give the factors.
  private func correct(_ samples: inout [LearningSample]) {
    let found = Learner.score(
      samples, pass: run.learner.pass, microBatchTokens: run.configuration.microBatchTokens
    ).logProbs
    for index in samples.indices {
      samples[index].policy.samplerLogProbs = samples[index].policy.oldLogProbs
      samples[index].policy.oldLogProbs = Experience.spread(found[index], over: samples[index].policy.responseMask)
    }
    for (index, factors) in loss.correction.factors(samples.map(\.policy)).enumerated() {
      samples[index].corrections = factors
    }
  }

  /// KL in the reward, advantages and returns, in this order: each reads what the one before it wrote.
  private func prepare(_ samples: inout [LearningSample]) -> Double? {
    var policies = samples.map(\.policy)
    var rewardKL: Double?
    if loss.klInReward {
      let coefficient = run.state.kl?.coefficient ?? loss.klCoef
      let applied = KLInReward(loss.klPenalty).apply(policies, coefficient: coefficient)
      policies = applied.samples
      rewardKL = applied.kl
      if loss.klTarget > 0 {
        var controller =
          run.state.kl
          ?? AdaptiveKLController(coefficient: loss.klCoef, target: loss.klTarget, horizon: loss.klHorizon)
        controller.update(kl: applied.kl, sequences: policies.count)
        run.state.kl = controller
      }
    }
    let advantages = loss.advantages(PolicyBatch(policies))
    for index in samples.indices {
      samples[index].policy = policies[index]
      samples[index].advantages = advantages.perToken[index]
      samples[index].returns = advantages.returns?[index]
    }
    return rewardKL
  }

  private func scoreValues(_ samples: inout [LearningSample]) {
    let scores = Learner.score(
      samples, pass: run.learner.pass, microBatchTokens: run.configuration.microBatchTokens, values: true)
    for index in samples.indices {
      samples[index].policy.values = Experience.spread(scores.values[index], over: samples[index].policy.responseMask)
    }
  }

  /// The sampler's log-probs are the trainer's, bit for bit; `blas` alone gives that up.
  private func check(_ result: UpdateResult, _ batch: [LearningSample], _ episodes: [Episode]) throws {
    guard run.configuration.matmul != .blas else { return }
    for (index, sample) in batch.enumerated() {
      for (place, (token, _)) in sample.targets.enumerated() {
        let now = result.logProbs[index][place]
        let drawn = sample.policy.oldLogProbs[token]
        guard now.bitPattern == drawn.bitPattern else {
          let episode = episodes[index]
          throw MartletError(
            .data,
            "episode \(episode.id), sample \(episode.sample), token \(sample.responseStart + token): drawn with log-prob "
              + "\(drawn), but the trainer finds \(now); this is a bug of ours: please report it with config.yaml")
        }
      }
    }
  }
}
