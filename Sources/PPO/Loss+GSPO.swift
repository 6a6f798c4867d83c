/// GSPO (Zheng et al. 2025, eq. 5-7): the clip acts on s = exp(mean over the response's tokens of the log-ratio).
/// Loss -min(s A, clamp(s) A), gradient -s A / T for each token unless clipped. The paper's mean over sequences is the
/// aggregation `seq_mean_token_mean`, its bounds 3e-4 and 4e-4; with `seq_mean_token_sum` it is LUSPO.
public struct GSPOLoss: PolicyLoss {
  /// s is clipped below 1 - low.
  public var low: Double
  /// s is clipped above 1 + high.
  public var high: Double

  /// The paper's range where nothing else is said.
  public init(low: Double = 3e-4, high: Double = 4e-4) {
    self.low = low
    self.high = high
  }

  /// Every term is multiplied by the advantage.
  public var vanishesWithoutAdvantage: Bool { true }

  /// The losses of a response's tokens and their derivatives by the log-probs.
  public func sequence(logProbs: [Double], oldLogProbs: [Double], advantages: [Double], mask: [Bool]) -> [TokenLoss] {
    var tokens = GSPOTokenLoss(low: low, high: high)
      .sequence(logProbs: logProbs, oldLogProbs: oldLogProbs, advantages: advantages, mask: mask)
    // Every token moves s, so all share the mean coefficient: the same as GSPO-token when the advantage is constant.
    let kept = mask.indices.filter { mask[$0] }
    guard let first = kept.first, kept.contains(where: { advantages[$0] != advantages[first] }) else { return tokens }
    let shared = kept.reduce(0) { $0 + tokens[$1].dLogProb } / Double(kept.count)
    for t in kept { tokens[t].dLogProb = shared }
    return tokens
  }
}

/// GSPO-token (same paper, eq. 14): value of GSPO at each token, gradient -s A_t through the token's own log-prob, so
/// that advantages may differ within a response.
public struct GSPOTokenLoss: PolicyLoss {
  /// s is clipped below 1 - low.
  public var low: Double
  /// s is clipped above 1 + high.
  public var high: Double

  /// The paper's range where nothing else is said.
  public init(low: Double = 3e-4, high: Double = 4e-4) {
    self.low = low
    self.high = high
  }

  /// Every term is multiplied by the advantage.
  public var vanishesWithoutAdvantage: Bool { true }

  /// The losses of a response's tokens and their derivatives by the log-probs.
  public func sequence(logProbs: [Double], oldLogProbs: [Double], advantages: [Double], mask: [Bool]) -> [TokenLoss] {
    let logRatio = meanLogRatio(logProbs: logProbs, oldLogProbs: oldLogProbs, mask: mask)
    let token = ClipLoss(low: low, high: high)
    return mask.indices.map { t in
      mask[t] ? token.token(logProb: logRatio, oldLogProb: 0, advantage: advantages[t]) : .zero
    }
  }
}

/// Mean over the mask of log-prob - old log-prob; 0 for an empty mask.
func meanLogRatio(logProbs: [Double], oldLogProbs: [Double], mask: [Bool]) -> Double {
  var sum = 0.0
  var count = 0
  for t in mask.indices where mask[t] {
    sum += logProbs[t] - oldLogProbs[t]
    count += 1
  }
  return sum / Double(max(count, 1))
}
