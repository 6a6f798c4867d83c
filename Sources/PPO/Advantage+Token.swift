/// REINFORCE++: discounted returns of the token rewards, whitened over the whole batch (Hu 2025). The return is carried
/// unchanged across tokens the policy did not sample (verl's form): a tool block costs no discount.
public struct ReinforcePlusPlusAdvantage: AdvantageEstimator {
  /// Discount of what comes later.
  public var gamma: Double
  /// `gamma` discounts what comes later.
  public init(gamma: Double = 1) { self.gamma = gamma }

  /// Whitened returns of all samples.
  public func advantages(_ batch: PolicyBatch) -> Advantages {
    let masks = batch.samples.map(scorableMask)
    let returns = zip(batch.samples, masks).map { sample, mask in
      discountedReturns(sample.rewardByToken, mask: mask, gamma: gamma)
    }
    return Advantages(perToken: whiten(returns, mask: masks))
  }
}

/// REINFORCE++ with a group baseline: R - mean on every token, then whitened over the batch's tokens (verl's form;
/// OpenRLHF normalises by the population variance and adds the KL per token).
public struct ReinforcePlusPlusBaselineAdvantage: AdvantageEstimator {
  /// There is nothing to set.
  public init() {}

  /// Whitened group advantages of all samples.
  public func advantages(_ batch: PolicyBatch) -> Advantages {
    let spread = CenteredAdvantage().advantages(batch).perToken
    return Advantages(perToken: whiten(spread, mask: batch.samples.map(scorableMask)))
  }
}

/// How ReMax lets the KL penalty in `tokenRewards` act.
public enum ReMaxKL: String, Codable, Sendable, CaseIterable {
  /// A token answers for the penalties of all tokens from itself on (verl).
  case accumulated
  /// A token answers for its own penalty alone (the authors' code).
  case perToken = "per_token"
}

/// ReMax: rewards from the token on, minus the reward of the prompt's greedy answer (Li et al. 2024).
/// Every scorable sample must have `greedyReward`; where that is NaN nothing could score it, and the sample gets 0.
public struct ReMaxAdvantage: AdvantageEstimator {
  /// How the KL penalty in the token rewards acts.
  public var kl: ReMaxKL
  /// `kl` says how the KL penalty in the token rewards acts.
  public init(kl: ReMaxKL = .accumulated) { self.kl = kl }

  /// Rewards to go over the greedy answer's reward.
  public func advantages(_ batch: PolicyBatch) -> Advantages {
    let perToken = batch.samples.map { sample -> [Double] in
      let mask = scorableMask(sample)
      if sample.totalReward.isNaN { return mask.map { _ in 0 } }
      guard let baseline = sample.greedyReward else {
        preconditionFailure("ReMax: a sample of group \(sample.group) has no greedyReward")
      }
      if baseline.isNaN { return mask.map { _ in 0 } }
      switch kl {
      case .accumulated:
        let returns = discountedReturns(sample.rewardByToken, mask: mask, gamma: 1)
        return zip(returns, mask).map { $1 ? $0 - baseline : 0 }
      case .perToken:
        return mask.indices.map { mask[$0] ? sample.reward - baseline + (sample.tokenRewards?[$0] ?? 0) : 0 }
      }
    }
    return Advantages(perToken: perToken)
  }
}

/// The mask, emptied when the sample has no reward.
func scorableMask(_ sample: PolicySample) -> [Bool] {
  sample.totalReward.isNaN ? sample.responseMask.map { _ in false } : sample.responseMask
}

/// ret_t = r_t + gamma ret_next, where `next` is the policy's next token; 0 outside the mask.
func discountedReturns(_ rewards: [Double], mask: [Bool], gamma: Double) -> [Double] {
  var returns = [Double](repeating: 0, count: rewards.count)
  var running = 0.0
  for t in rewards.indices.reversed() where mask[t] {
    running = rewards[t] + gamma * running
    returns[t] = running
  }
  return returns
}
