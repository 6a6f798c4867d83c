/// On-policy distillation: a teacher's say on each token that the policy drew, A_t += c w_k (teacher's log-prob - old
/// log-prob). In expectation over the draws that is the gradient of the reverse KL(policy || teacher) at the token's
/// place.
///
/// w_k weighs the turns of a response with tool calls as SOD does (arXiv:2605.07725). With d_k the mean over turn k of
/// |old log-prob - teacher's log-prob|:
///
///     w_1 = 1,   w_k = min(prod_{u < k} (d_u + eps) / (d_{u+1} + eps), cap) = min((d_1 + eps) / (d_k + eps), cap)
///
/// A turn where both are further apart than in the first counts less: there the response has left what the teacher
/// knows. A turn is a run of tokens that the policy drew, up to what a tool put behind it.
public struct TeacherTerm: Sendable, Equatable {
  /// c.
  public var coefficient: Double
  /// The most that a turn weighs, 1 + delta in the paper; 0: every turn weighs 1.
  public var turnCap: Double

  static let epsilon = 1e-6

  /// `turnCap` 0 weighs no turns.
  public init(coefficient: Double = 1, turnCap: Double = 0) {
    self.coefficient = coefficient
    self.turnCap = turnCap
  }

  /// c w_k of each response token; 0 where the mask is false, and without a teacher's log-probs.
  public func weights(_ sample: PolicySample) -> [Double] {
    var weights = [Double](repeating: 0, count: sample.responseMask.count)
    guard let teacher = sample.teacherLogProbs else { return weights }
    var first: Double?
    for turn in sample.turns {
      let distance =
        turn.reduce(0) { $0 + abs(Double(sample.oldLogProbs[$1]) - Double(teacher[$1])) } / Double(turn.count)
      let start = first ?? distance
      if first == nil { first = distance }
      let ratio = (start + Self.epsilon) / (distance + Self.epsilon)
      for t in turn { weights[t] = coefficient * (turnCap > 0 ? min(ratio, turnCap) : 1) }
    }
    return weights
  }

  /// Adds the term to the advantages of all samples that have a teacher's log-probs.
  public func add(to advantages: inout Advantages, _ batch: PolicyBatch) {
    for (i, sample) in batch.samples.enumerated() {
      guard let teacher = sample.teacherLogProbs else { continue }
      for (t, weight) in weights(sample).enumerated() where sample.responseMask[t] {
        advantages.perToken[i][t] += weight * (Double(teacher[t]) - Double(sample.oldLogProbs[t]))
      }
    }
  }
}

/// Advantages of nothing but a teacher's say: 0, to which `TeacherTerm` is added. Rewards are not read.
public struct DistillationAdvantage: AdvantageEstimator {
  /// There is nothing to set.
  public init() {}

  /// 0 on each token.
  public func advantages(_ batch: PolicyBatch) -> Advantages {
    Advantages(perToken: batch.samples.map { [Double](repeating: 0, count: $0.responseMask.count) })
  }
}
