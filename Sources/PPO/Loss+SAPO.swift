import Tensor

/// SAPO (Gao et al. 2025): a soft gate instead of a clip, -A sigma(k (ratio - 1)) 4 / k, with k by the sign of A.
public struct SAPOLoss: TokenPolicyLoss {
  /// k for positive advantages.
  public var positive: Double
  /// k for negative advantages.
  public var negative: Double

  /// The paper's temperatures where nothing else is said.
  public init(positive: Double = 1, negative: Double = 1.05) {
    precondition(positive > 0 && negative > 0, "SAPO temperatures must be positive, got \(positive) and \(negative)")
    self.positive = positive
    self.negative = negative
  }

  /// Every term is multiplied by the advantage.
  public var vanishesWithoutAdvantage: Bool { true }

  /// The loss of one token and its derivative by `logProb`.
  public func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    if advantage == 0 { return .zero }
    let k = advantage > 0 ? positive : negative
    let ratio = Mathematics.exp(logProb - oldLogProb)
    let x = k * (ratio - 1)
    let slope = Mathematics.sigmoidSlope(x)
    // A slope of 0 meets an infinite ratio far out.
    let dLogProb = slope == 0 ? 0 : -advantage * ratio * 4 * slope
    return TokenLoss(loss: -advantage * Mathematics.sigmoid(x) * 4 / k, dLogProb: dLogProb)
  }
}
