/// Advantages by sample and response token (0 where the mask is false), and the critic's regression targets if any.
public struct Advantages: Sendable, Equatable {
  /// By sample and token.
  public var perToken: [[Double]]
  /// Returns the value head is fitted to; nil for estimators without a critic.
  public var returns: [[Double]]?

  /// Advantages by sample and token, with the critic's targets if there are any.
  public init(perToken: [[Double]], returns: [[Double]]? = nil) {
    self.perToken = perToken
    self.returns = returns
  }

  /// One number a sample, given to each of its tokens.
  init(spreading scalars: [Double], over batch: PolicyBatch) {
    perToken = zip(batch.samples, scalars).map { sample, a in sample.responseMask.map { $0 ? a : 0 } }
  }

  /// Clips every advantage to +-bound (5 in ReMax and in the Knapsack recipe).
  public mutating func clip(to bound: Double) {
    for i in perToken.indices {
      for t in perToken[i].indices { perToken[i][t] = PPO.clamp(perToken[i][t], -bound, bound) }
    }
  }
}

/// Rewards in, advantages out. Sums are in fp64 and do not depend on the order of the samples.
public protocol AdvantageEstimator: Sendable {
  /// The advantages of all samples of a rollout batch.
  func advantages(_ batch: PolicyBatch) -> Advantages
}

/// An estimator that looks at one group at a time and gives each sample one number.
///
/// Conforming types see scorable samples only. Unscorable samples (NaN reward) get 0, and so does the only scorable
/// sample of a larger group, which has nothing to be compared with. Groups of two or more with equal rewards get
/// exactly 0 before any formula runs: a rounded mean over a tiny eps would otherwise make a signal out of nothing.
public protocol GroupAdvantageEstimator: AdvantageEstimator {
  /// - Parameters:
  ///   - rewards: R of the group's scorable samples, one when the group is a single sample.
  ///   - lengths: T of the same samples.
  func groupAdvantages(rewards: [Double], lengths: [Int]) -> [Double]
}

extension GroupAdvantageEstimator {
  /// Each sample's number on each of its tokens.
  public func advantages(_ batch: PolicyBatch) -> Advantages {
    Advantages(spreading: sampleAdvantages(batch), over: batch)
  }

  func sampleAdvantages(_ batch: PolicyBatch) -> [Double] {
    var scalars = [Double](repeating: 0, count: batch.samples.count)
    for group in batch.groups {
      let scorable = group.filter { !batch.samples[$0].totalReward.isNaN }
      let rewards = scorable.map { batch.samples[$0].totalReward }
      if group.count > 1 && !hasSignal(rewards) { continue }
      if rewards.isEmpty { continue }
      let lengths = scorable.map { batch.samples[$0].tokenCount }
      for (i, a) in zip(scorable, groupAdvantages(rewards: rewards, lengths: lengths)) { scalars[i] = a }
    }
    return scalars
  }
}

/// True when the finite or infinite numbers differ at all; decided by max == min, never by a rounded deviation.
func hasSignal(_ values: [Double]) -> Bool {
  guard let low = values.min(), let high = values.max() else { return false }
  return low != high
}

func mean(_ values: [Double]) -> Double {
  orderFreeSum(values) / Double(values.count)
}

/// Standard deviation with divisor n - 1; 0 for equal values and for fewer than two.
func sampleDeviation(_ values: [Double]) -> Double {
  guard values.count > 1, hasSignal(values) else { return 0 }
  let center = mean(values)
  return (orderFreeSum(values.map { ($0 - center) * ($0 - center) }) / Double(values.count - 1)).squareRoot()
}
