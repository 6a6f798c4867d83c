import Tensor

/// CISPO (MiniMax-M1, eq. 4): -sg(bounded ratio) A log-prob. The ratio is a constant weight, so no token loses its
/// gradient.
public struct CISPOLoss: TokenPolicyLoss {
  /// How the ratio is bounded.
  public enum Bound: Sendable, Equatable {
    /// min(ratio, value): an absolute cap without a lower bound (TRL, for instance 5).
    case cap(Double)
    /// clamp(ratio, 1 - low, 1 + high) (verl, slime, SkyRL; the paper sets low to 1 or more, which turns it off).
    case clamp(low: Double, high: Double)
  }

  /// How the ratio is bounded.
  public var bound: Bound
  /// Clamps the log-ratio to +-this first (20 in verl); nil does not.
  public var differenceClamp: Double?

  /// `differenceClamp` clamps the log-ratio first; nil does not.
  public init(_ bound: Bound, differenceClamp: Double? = nil) {
    self.bound = bound
    self.differenceClamp = differenceClamp
  }

  /// Every term is multiplied by the advantage.
  public var vanishesWithoutAdvantage: Bool { true }

  /// The loss of one token and its derivative by `logProb`.
  public func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    if advantage == 0 { return .zero }
    var difference = logProb - oldLogProb
    if let limit = differenceClamp { difference = PPO.clamp(difference, -limit, limit) }
    let ratio = Mathematics.exp(difference)
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
