/// One sampled response, as the losses see it. All arrays cover the whole response in order: the model's tokens and
/// what stands between them (tool output, hints). `responseMask` is true where the policy sampled the token; numbers
/// where it is false are never read.
public struct PolicySample: Sendable, Equatable {
  /// Samples of one prompt share this number; any values, any order.
  public var group: Int
  /// Reward of the whole response; NaN when nothing could score it (left out of every statistic, advantage 0).
  public var reward: Double
  /// Which tokens the policy sampled.
  public var responseMask: [Bool]
  /// Log-probs stored when the tokens were drawn, of the temperature-scaled (and filtered) distribution.
  public var oldLogProbs: [Float]
  /// Log-probs of the reference policy.
  public var refLogProbs: [Float]?
  /// Log-probs of the teacher of an on-policy distillation.
  public var teacherLogProbs: [Float]?
  /// Log-probs another sampler reported, when they may differ from `oldLogProbs` (imported rollouts).
  public var samplerLogProbs: [Float]?
  /// The critic's values at the time of sampling.
  public var values: [Float]?
  /// Rewards given to single tokens beside `reward`, for instance the KL penalty of `KLInReward`.
  public var tokenRewards: [Double]?
  /// Reward of the greedy answer to the same prompt (ReMax).
  public var greedyReward: Double?

  /// A sample whose arrays are as long as `responseMask`; `greedyReward` and `teacherLogProbs` can be set afterwards.
  public init(
    group: Int, reward: Double, responseMask: [Bool], oldLogProbs: [Float], refLogProbs: [Float]? = nil,
    samplerLogProbs: [Float]? = nil, values: [Float]? = nil, tokenRewards: [Double]? = nil
  ) {
    let count = responseMask.count
    func check(_ other: Int?, _ name: String) {
      precondition(other == nil || other == count, "\(name) has \(other ?? 0) tokens, responseMask has \(count)")
    }
    check(oldLogProbs.count, "oldLogProbs")
    check(refLogProbs?.count, "refLogProbs")
    check(samplerLogProbs?.count, "samplerLogProbs")
    check(values?.count, "values")
    check(tokenRewards?.count, "tokenRewards")
    self.group = group
    self.reward = reward
    self.responseMask = responseMask
    self.oldLogProbs = oldLogProbs
    self.refLogProbs = refLogProbs
    self.samplerLogProbs = samplerLogProbs
    self.values = values
    self.tokenRewards = tokenRewards
  }

  /// T_i: tokens the policy sampled.
  public var tokenCount: Int { responseMask.reduce(0) { $0 + ($1 ? 1 : 0) } }

  /// The runs of tokens that the policy sampled without a break: tool output stands between them.
  public var turns: [Range<Int>] {
    var turns: [Range<Int>] = []
    for t in responseMask.indices where responseMask[t] {
      if let last = turns.last, last.upperBound == t {
        turns[turns.count - 1] = last.lowerBound..<t + 1
      } else {
        turns.append(t..<t + 1)
      }
    }
    return turns
  }

  /// R_i = reward + sum of token rewards over the policy's tokens.
  public var totalReward: Double {
    var sum = reward
    guard let tokenRewards else { return sum }
    for t in responseMask.indices where responseMask[t] { sum += tokenRewards[t] }
    return sum
  }

  /// r_t: token rewards, and `reward` at the last token of the policy; 0 elsewhere.
  public var rewardByToken: [Double] {
    var rewards = [Double](repeating: 0, count: responseMask.count)
    for t in responseMask.indices where responseMask[t] { rewards[t] = tokenRewards?[t] ?? 0 }
    if let last = responseMask.lastIndex(of: true) { rewards[last] += reward }
    return rewards
  }

  /// Takes the whole response out of the loss, as DAPO's overlong filter does. Its reward still counts in the group's
  /// statistics.
  public mutating func leaveLoss() {
    responseMask = [Bool](repeating: false, count: responseMask.count)
  }
}

/// The samples that advantages are estimated from: a whole rollout batch, not a micro-batch.
public struct PolicyBatch: Sendable, Equatable {
  /// All samples, in any order.
  public let samples: [PolicySample]
  /// Sample indices of each group, groups in the order of their first sample.
  public let groups: [[Int]]

  /// Sorts the samples into their groups.
  public init(_ samples: [PolicySample]) {
    self.samples = samples
    var place: [Int: Int] = [:]
    var groups: [[Int]] = []
    for (i, sample) in samples.enumerated() {
      if let g = place[sample.group] {
        groups[g].append(i)
      } else {
        place[sample.group] = groups.count
        groups.append([i])
      }
    }
    self.groups = groups
  }
}
