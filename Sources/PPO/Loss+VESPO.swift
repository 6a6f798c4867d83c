import Tensor

/// VESPO (TRL): -sg(phi) A log-prob with log phi = lambda + k w - lambda e^w, where w is the sum of the response's
/// log-ratios (each clamped to +-20), clamped to [log 1e-8, 20]; (k, lambda) = (2, 3) for A >= 0 and (3, 2) below.
public struct VESPOLoss: PolicyLoss {
  /// There is nothing to set.
  public init() {}

  /// Every term is multiplied by the advantage.
  public var vanishesWithoutAdvantage: Bool { true }

  /// The losses of a response's tokens and their derivatives by the log-probs.
  public func sequence(logProbs: [Double], oldLogProbs: [Double], advantages: [Double], mask: [Bool]) -> [TokenLoss] {
    var sum = 0.0
    for t in mask.indices where mask[t] { sum += clamp(logProbs[t] - oldLogProbs[t], -20, 20) }
    let w = clamp(sum, Mathematics.log(1e-8), 20)
    return mask.indices.map { t in
      if !mask[t] || advantages[t] == 0 { return .zero }
      let (k, lambda) = advantages[t] > 0 ? (2.0, 3.0) : (3.0, 2.0)
      let phi = Mathematics.exp(lambda + k * w - lambda * Mathematics.exp(w))
      return TokenLoss(loss: -phi * advantages[t] * logProbs[t], dLogProb: -phi * advantages[t])
    }
  }
}
