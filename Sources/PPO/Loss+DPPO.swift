import Tensor

/// DPPO by total variation (prime-rl): a token is kept while its probability moved by less than the bounds in the
/// direction of its advantage; -keep A ratio + penalty (log ratio)^2. `oldLogProb` is the sampler's.
public struct DPPOLoss: TokenPolicyLoss {
  /// How far a probability may fall.
  public var low: Double
  /// How far a probability may rise.
  public var high: Double
  /// Factor of the squared log-ratio.
  public var penalty: Double

  /// prime-rl's numbers where nothing else is said.
  public init(low: Double = 0.2, high: Double = 0.2, penalty: Double = 1e-3) {
    self.low = low
    self.high = high
    self.penalty = penalty
  }

  /// The loss of one token and its derivative by `logProb`.
  public func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    let difference = logProb - oldLogProb
    let move = Mathematics.exp(logProb) - Mathematics.exp(oldLogProb)
    let side: ClipSide = advantage > 0 ? (move > high ? .high : .none) : (move < -low ? .low : .none)
    let policy = side == .none && advantage != 0 ? -advantage * Mathematics.exp(difference) : 0
    return TokenLoss(
      loss: policy + penalty * difference * difference, dLogProb: policy + 2 * penalty * difference, clip: side)
  }
}
