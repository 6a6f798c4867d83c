/// The KL penalty as a part of the reward instead of the loss (verl, InstructGPT): r_t -= coefficient * kl(old, ref)_t.
public struct KLInReward: Sendable, Equatable {
  /// The estimator of the KL.
  public var penalty: KLPenalty
  /// `penalty` estimates the KL of each token.
  public init(_ penalty: KLPenalty) { self.penalty = penalty }

  /// The samples with the penalty added to their token rewards, and the current KL: the mean over sequences of the
  /// mean over their tokens (samples without tokens left out). Every sample must have `refLogProbs`.
  public func apply(_ samples: [PolicySample], coefficient: Double) -> (samples: [PolicySample], kl: Double) {
    var means: [Double] = []
    let changed = samples.map { sample -> PolicySample in
      guard let ref = sample.refLogProbs else {
        preconditionFailure("KL in reward: a sample of group \(sample.group) has no refLogProbs")
      }
      var result = sample
      var rewards = sample.tokenRewards ?? [Double](repeating: 0, count: ref.count)
      var sum = 0.0
      for t in ref.indices where sample.responseMask[t] {
        let kl = penalty.value(logProb: Double(sample.oldLogProbs[t]), refLogProb: Double(ref[t])).value
        rewards[t] -= coefficient * kl
        sum += kl
      }
      if sample.tokenCount > 0 { means.append(sum / Double(sample.tokenCount)) }
      result.tokenRewards = rewards
      return result
    }
    return (changed, means.isEmpty ? 0 : mean(means))
  }
}

/// Ziegler et al. 2019: moves the coefficient towards a target KL. Part of the training state.
public struct AdaptiveKLController: Codable, Sendable, Equatable {
  /// What the KL is multiplied by.
  public var coefficient: Double
  /// The KL aimed at.
  public var target: Double
  /// Sequences over which the coefficient adapts.
  public var horizon: Double

  /// Begins with `coefficient`.
  public init(coefficient: Double, target: Double = 0.1, horizon: Double = 10_000) {
    self.coefficient = coefficient
    self.target = target
    self.horizon = horizon
  }

  /// To be called after the coefficient was used. `sequences`: how many the KL was measured on.
  public mutating func update(kl: Double, sequences: Int) {
    coefficient *= 1 + clamp(kl / target - 1, -0.2, 0.2) * Double(sequences) / horizon
  }
}
