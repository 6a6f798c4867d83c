/// Maximum likelihood: -log-prob. Old log-probs and advantages are not read.
public struct SFTLoss: TokenPolicyLoss {
  public init() {}

  public func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    TokenLoss(loss: -logProb, dLogProb: -1)
  }
}

/// REINFORCE (Williams 1992), also GPG's policy term: -A log-prob, no ratio.
public struct ReinforceLoss: TokenPolicyLoss {
  public init() {}

  public func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    advantage == 0 ? .zero : TokenLoss(loss: -advantage * logProb, dLogProb: -advantage)
  }
}

/// DRO: -(A log-prob - beta / 2 difference^2), difference = log-prob - old log-prob (Richemond et al. 2024).
public struct DROLoss: TokenPolicyLoss {
  public var beta: Double
  public init(beta: Double) {
    precondition(beta > 0, "DRO needs beta > 0, got \(beta)")
    self.beta = beta
  }

  public func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    let difference = logProb - oldLogProb
    return TokenLoss(
      loss: -(advantage * logProb - 0.5 * beta * difference * difference), dLogProb: -advantage + beta * difference)
  }
}
