import Tensor

/// The clipped surrogate of PPO (Schulman et al. 2017, eq. 7) as GRPO and DAPO use it: -min(ratio A, clamp(ratio, 1 -
/// low, 1 + high) A). The borders are inside: a ratio on them keeps its gradient. DAPO's clip-higher is low 0.2, high
/// 0.28.
public struct ClipLoss: TokenPolicyLoss {
  /// The ratio is clipped below 1 - low.
  public var low: Double
  /// The ratio is clipped above 1 + high.
  public var high: Double
  /// Dual clip (Ye et al. 2020): for A < 0 the loss is at most -dual A. Off when nil; verl always has it, at 3. TRL's
  /// `delta` is the same for values of at least 1 + high.
  public var dual: Double?
  /// Clamps the log-ratio to +-this first (20 in verl and OpenRLHF); nil, as TRL, does not.
  public var differenceClamp: Double?

  /// PPO's range where nothing else is said.
  public init(low: Double = 0.2, high: Double = 0.2, dual: Double? = nil, differenceClamp: Double? = nil) {
    precondition(dual == nil || dual! > 1, "dual clip must be above 1, got \(dual ?? 0)")
    self.low = low
    self.high = high
    self.dual = dual
    self.differenceClamp = differenceClamp
  }

  /// Every term is multiplied by the advantage.
  public var vanishesWithoutAdvantage: Bool { true }

  /// The loss of one token and its derivative by `logProb`.
  public func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    if advantage == 0 { return .zero }
    var difference = logProb - oldLogProb
    var slope = 1.0
    if let bound = differenceClamp, abs(difference) > bound {
      difference = clamp(difference, -bound, bound)
      slope = 0
    }
    let ratio = Mathematics.exp(difference)
    if advantage > 0, ratio > 1 + high { return TokenLoss(loss: -(1 + high) * advantage, dLogProb: 0, clip: .high) }
    if advantage < 0, ratio < 1 - low { return TokenLoss(loss: -(1 - low) * advantage, dLogProb: 0, clip: .low) }
    if advantage < 0, let dual, ratio > dual { return TokenLoss(loss: -dual * advantage, dLogProb: 0, clip: .dual) }
    return TokenLoss(loss: -ratio * advantage, dLogProb: -ratio * advantage * slope)
  }
}
