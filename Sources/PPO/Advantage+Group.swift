/// GRPO: (R - mean) / (std + eps), std with divisor n - 1 (DeepSeekMath, outcome supervision; eps 1e-6 as verl, TRL
/// has 1e-4). A group of one keeps R / (1 + eps), as verl does (mean 0, std 1).
public struct GRPOAdvantage: GroupAdvantageEstimator {
  /// Added to the denominator.
  public var epsilon: Double
  /// `epsilon` is added to the denominator.
  public init(epsilon: Double = 1e-6) { self.epsilon = epsilon }

  /// (R - mean) / (std + eps).
  public func groupAdvantages(rewards: [Double], lengths: [Int]) -> [Double] {
    if rewards.count == 1 { return [rewards[0] / (1 + epsilon)] }
    let center = mean(rewards)
    let deviation = sampleDeviation(rewards)
    return rewards.map { ($0 - center) / (deviation + epsilon) }
  }
}

/// Mean of the group, standard deviation (divisor n - 1) of the whole batch (TRL `scale_rewards="batch"`). A group of
/// one gets 0, as in TRL.
public struct BatchScaledAdvantage: AdvantageEstimator {
  /// Added to the denominator.
  public var epsilon: Double
  /// `epsilon` is added to the denominator.
  public init(epsilon: Double = 1e-6) { self.epsilon = epsilon }

  /// One number a sample, on each of its tokens.
  public func advantages(_ batch: PolicyBatch) -> Advantages {
    let deviation = sampleDeviation(batch.samples.map(\.totalReward).filter { !$0.isNaN })
    var centered = CenteredAdvantage().sampleAdvantages(batch)
    for group in batch.groups where group.count == 1 { centered[group[0]] = 0 }
    return Advantages(spreading: centered.map { $0 / (deviation + epsilon) }, over: batch)
  }
}

/// Dr.GRPO: R - mean (Liu et al. 2025). A group of one keeps R, as verl does.
public struct CenteredAdvantage: GroupAdvantageEstimator {
  /// There is nothing to set.
  public init() {}

  /// R - mean.
  public func groupAdvantages(rewards: [Double], lengths: [Int]) -> [Double] {
    if rewards.count == 1 { return rewards }
    let center = mean(rewards)
    return rewards.map { $0 - center }
  }
}

/// RLOO: R - mean of the others = n / (n - 1) (R - mean) (Ahmadian et al. 2024). A group of one keeps R.
public struct RLOOAdvantage: GroupAdvantageEstimator {
  /// There is nothing to set.
  public init() {}

  /// n / (n - 1) (R - mean).
  public func groupAdvantages(rewards: [Double], lengths: [Int]) -> [Double] {
    if rewards.count == 1 { return rewards }
    let center = mean(rewards)
    let n = Double(rewards.count)
    return rewards.map { n / (n - 1) * ($0 - center) }
  }
}

/// OPO: R - sum(T R) / sum(T) (Hao et al. 2025): the length-weighted optimal baseline. A group of one keeps R.
public struct OPOAdvantage: GroupAdvantageEstimator {
  /// There is nothing to set.
  public init() {}

  /// R - sum(T R) / sum(T).
  public func groupAdvantages(rewards: [Double], lengths: [Int]) -> [Double] {
    if rewards.count == 1 { return rewards }
    let tokens = lengths.reduce(0, +)
    if tokens == 0 { return rewards.map { _ in 0 } }
    let baseline = orderFreeSum(zip(rewards, lengths).map { $0 * Double($1) }) / Double(tokens)
    return rewards.map { $0 - baseline }
  }
}

/// MaxRL: (R - mean) / (mean + eps), for rewards >= 0. A mean of 0 or less has no such scale and gives 0.
public struct MaxRLAdvantage: GroupAdvantageEstimator {
  /// Added to the denominator.
  public var epsilon: Double
  /// `epsilon` is added to the denominator.
  public init(epsilon: Double = 1e-6) { self.epsilon = epsilon }

  /// (R - mean) / (mean + eps).
  public func groupAdvantages(rewards: [Double], lengths: [Int]) -> [Double] {
    if rewards.count == 1 { return rewards }
    let center = mean(rewards)
    if center <= 0 { return rewards.map { _ in 0 } }
    return rewards.map { ($0 - center) / (center + epsilon) }
  }
}

/// Pass@k training: only the group's best sample gets (best - second) / (std + eps); a tie for the best gives 0.
public struct PassKAdvantage: GroupAdvantageEstimator {
  /// Added to the denominator.
  public var epsilon: Double
  /// `epsilon` is added to the denominator.
  public init(epsilon: Double = 1e-6) { self.epsilon = epsilon }

  /// (best - second) / (std + eps) for the best sample, 0 for the others.
  public func groupAdvantages(rewards: [Double], lengths: [Int]) -> [Double] {
    if rewards.count == 1 { return [0] }
    let order = rewards.indices.sorted { (rewards[$0], $1) > (rewards[$1], $0) }
    var result = [Double](repeating: 0, count: rewards.count)
    let gap = rewards[order[0]] - rewards[order[1]]
    result[order[0]] = gap / (sampleDeviation(rewards) + epsilon)
    return result
  }
}

/// GPG: alpha (R - mean), alpha = samples / samples with a reward other than 0 (Chu et al. 2025). A group of one keeps
/// alpha R.
public struct GPGAdvantage: AdvantageEstimator {
  /// There is nothing to set.
  public init() {}

  /// One number a sample, on each of its tokens.
  public func advantages(_ batch: PolicyBatch) -> Advantages {
    let scorable = batch.samples.map(\.totalReward).filter { !$0.isNaN }
    let alpha = Double(scorable.count) / Double(max(scorable.filter { $0 != 0 }.count, 1))
    let centered = CenteredAdvantage().sampleAdvantages(batch)
    return Advantages(spreading: centered.map { alpha * $0 }, over: batch)
  }
}
