/// CISPO (MiniMax-M1, eq. 4): -sg(bounded ratio) A log-prob. The ratio is a constant weight, so no token loses its
/// gradient.
public struct CISPOLoss: TokenPolicyLoss {
  public enum Bound: Sendable, Equatable {
    /// min(ratio, value): an absolute cap without a lower bound (TRL, for instance 5).
    case cap(Double)
    /// clamp(ratio, 1 - low, 1 + high) (verl, slime, SkyRL; the paper sets low to 1 or more, which turns it off).
    case clamp(low: Double, high: Double)
  }

  public var bound: Bound
  /// Clamps the log-ratio to +-this first (20 in verl); nil does not.
  public var differenceClamp: Double?

  public init(_ bound: Bound, differenceClamp: Double? = nil) {
    self.bound = bound
    self.differenceClamp = differenceClamp
  }

  public func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    if advantage == 0 { return .zero }
    var difference = logProb - oldLogProb
    if let limit = differenceClamp { difference = PPO.clamp(difference, -limit, limit) }
    let ratio = ScalarMath.exp(difference)
    let low: Double
    let high: Double
    switch bound {
    case .cap(let value): (low, high) = (0, value)
    case .clamp(let l, let h): (low, high) = (1 - l, 1 + h)
    }
    let weight = PPO.clamp(ratio, low, high)
    let side: ClipSide = ratio > high ? .high : (ratio < low ? .low : .none)
    return TokenLoss(loss: -weight * advantage * logProb, dLogProb: -weight * advantage, clip: side)
  }
}
