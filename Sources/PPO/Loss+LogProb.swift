/// Maximum likelihood: -log-prob. Old log-probs and advantages are not read.
public struct SFTLoss: TokenPolicyLoss {
  /// There is nothing to set.
  public init() {}

  /// The loss of one token and its derivative by `logProb`.
  public func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    TokenLoss(loss: -logProb, dLogProb: -1)
  }
}

/// REINFORCE (Williams 1992), also GPG's policy term: -A log-prob, no ratio.
public struct ReinforceLoss: TokenPolicyLoss {
  /// There is nothing to set.
  public init() {}

  /// Every term is multiplied by the advantage.
  public var vanishesWithoutAdvantage: Bool { true }

  /// The loss of one token and its derivative by `logProb`.
  public func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    advantage == 0 ? .zero : TokenLoss(loss: -advantage * logProb, dLogProb: -advantage)
  }
}

/// DRO: -(A log-prob - beta / 2 difference^2), difference = log-prob - old log-prob (Richemond et al. 2024).
public struct DROLoss: TokenPolicyLoss {
  /// Strength of the pull towards the old log-prob, above 0.
  public var beta: Double
  /// `beta` must be above 0.
  public init(beta: Double) {
    precondition(beta > 0, "DRO needs beta > 0, got \(beta)")
    self.beta = beta
  }

  /// The loss of one token and its derivative by `logProb`.
  public func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    let difference = logProb - oldLogProb
    return TokenLoss(
      loss: -(advantage * logProb - 0.5 * beta * difference * difference), dLogProb: -advantage + beta * difference)
  }
}
