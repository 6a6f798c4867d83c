/// What generalised advantage estimation makes of tokens the policy did not sample.
public enum GAEObservation: String, Codable, Sendable, CaseIterable {
  /// They are no states: the recursion passes over them undiscounted (verl).
  case skip
  /// They are states of value 0 and reward 0 (OpenRLHF).
  case zero
  /// They are states like any other, with the critic's value (TRL-PPO, SkyRL).
  case plain
}

/// Generalised advantage estimation (Schulman et al. 2016, eq. 16): delta_t = r_t + gamma V_next - V_t,
/// A_t = delta_t + gamma lambda A_next. Returns are A + V before whitening; `values` must be given.
public struct GAEAdvantage: AdvantageEstimator {
  /// Discount of what comes later.
  public var gamma: Double
  /// Decay of the temporal differences that are added up.
  public var lambda: Double
  /// What becomes of tokens that the policy did not sample.
  public var observation: GAEObservation
  /// Whitens over the policy's tokens of the whole batch (see `whiten`).
  public var whitens: Bool

  /// No discount and no bootstrapping where nothing else is said.
  public init(gamma: Double = 1, lambda: Double = 1, observation: GAEObservation = .skip, whitens: Bool = true) {
    self.gamma = gamma
    self.lambda = lambda
    self.observation = observation
    self.whitens = whitens
  }

  /// Advantages and returns of all samples.
  public func advantages(_ batch: PolicyBatch) -> Advantages {
    var advantages: [[Double]] = []
    var returns: [[Double]] = []
    for sample in batch.samples {
      guard let values = sample.values else {
        preconditionFailure("gae: a sample of group \(sample.group) has no values")
      }
      let mask = scorableMask(sample)
      let rewards = sample.rewardByToken
      var a = [Double](repeating: 0, count: mask.count)
      // Where nothing is known (tool tokens, unscorable samples) the target is the value itself: no gradient.
      var target = values.map(Double.init)
      var nextValue = 0.0
      var nextAdvantage = 0.0
      for t in mask.indices.reversed() {
        if !mask[t] && observation == .skip { continue }
        let value = mask[t] || observation == .plain ? Double(values[t]) : 0
        let reward = mask[t] ? rewards[t] : 0
        let delta = reward + gamma * nextValue - value
        nextAdvantage = delta + gamma * lambda * nextAdvantage
        nextValue = value
        if mask[t] {
          a[t] = nextAdvantage
          target[t] = nextAdvantage + value
        }
      }
      advantages.append(a)
      returns.append(target)
    }
    if whitens { advantages = whiten(advantages, mask: batch.samples.map(scorableMask)) }
    return Advantages(perToken: advantages, returns: returns)
  }
}
