import PPO

/// REINFORCE with the advantage's root, so that rare successes count less: -sign(A) sqrt|A| log p.
struct RootLoss: TokenPolicyLoss {
  func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss {
    let root = advantage < 0 ? -(-advantage).squareRoot() : advantage.squareRoot()
    return TokenLoss(loss: -root * logProb, dLogProb: -root)
  }
}
