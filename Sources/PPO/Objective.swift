/// What one token adds to the loss, and the coefficients its log-prob and entropy send back into the model.
public struct TokenObjective: Sendable, Equatable {
  /// Weighted: policy * correction + kl_coef * KL - entropy_coef * entropy.
  public var loss: Double
  /// dLoss / dlog-prob and dLoss / dentropy, weight included: round to fp32 once and hand to the head.
  public var dLogProb: Double
  /// dLoss / dentropy, weight included.
  public var dEntropy: Double
  /// Before the weight, for metrics.
  public var policy: TokenLoss
  /// The KL to the reference before its coefficient, for metrics.
  public var kl: Double
}

/// The loss of a token: weight * (correction * policy + kl_coef * KL - entropy_coef * entropy). The correction for a
/// sampler that is not the policy acts on the policy term alone (as in TRL); one aggregation weight serves all three
/// (as in verl).
public struct PolicyObjective: Sendable {
  /// The policy loss.
  public let policy: any PolicyLoss
  /// The KL term.
  public let kl: KLPenalty
  /// What the KL is multiplied by.
  public let klCoefficient: Double
  /// Whether the KL is weighted by the policy ratio.
  public let klImportance: Bool
  /// What the entropy is multiplied by.
  public let entropyCoefficient: Double
  private let tokenPolicy: (any TokenPolicyLoss)?

  /// The policy loss alone where nothing else is said.
  public init(
    policy: any PolicyLoss, kl: KLPenalty = KLPenalty(.none), klCoefficient: Double = 0, klImportance: Bool = false,
    entropyCoefficient: Double = 0
  ) {
    self.policy = policy
    self.kl = kl
    self.klCoefficient = klCoefficient
    self.klImportance = klImportance
    self.entropyCoefficient = entropyCoefficient
    self.tokenPolicy = policy as? any TokenPolicyLoss
  }

  /// Whether a response's loss and coefficients are 0 whatever its log-probs are: its advantages are 0, and neither a
  /// KL term nor an entropy bonus acts on it.
  public func vanishes(_ sample: PolicySample, advantages: [Double]) -> Bool {
    if sample.tokenCount == 0 { return true }
    guard policy.vanishesWithoutAdvantage, entropyCoefficient == 0, kl.kind == .none || klCoefficient == 0 else {
      return false
    }
    return sample.responseMask.indices.allSatisfy { !sample.responseMask[$0] || advantages[$0] == 0 }
  }

  /// True when `sequence` must be used: a coefficient depends on all of its response's log-probs.
  public var requiresSequence: Bool { tokenPolicy == nil }

  /// One token of a policy loss that needs no sequence.
  public func token(
    logProb: Float, entropy: Float = 0, oldLogProb: Float, refLogProb: Float? = nil, advantage: Double,
    weight: Double, correction: Double = 1
  ) -> TokenObjective {
    guard let tokenPolicy else { preconditionFailure("this policy loss needs whole sequences") }
    let loss = tokenPolicy.token(
      logProb: Double(logProb), oldLogProb: Double(oldLogProb), advantage: advantage)
    return combine(
      loss, logProb: Double(logProb), entropy: Double(entropy), oldLogProb: Double(oldLogProb),
      refLogProb: refLogProb.map(Double.init), weight: weight, correction: correction)
  }

  /// All tokens of a response, for any policy loss; entries where the mask is false are zero.
  public func sequence(
    _ sample: PolicySample, logProbs: [Float], entropies: [Float]? = nil, advantages: [Double], weight: Double,
    corrections: [Double]? = nil
  ) -> [TokenObjective] {
    let count = sample.responseMask.count
    precondition(logProbs.count == count, "\(logProbs.count) log-probs for a response of \(count) tokens")
    precondition(advantages.count == count, "\(advantages.count) advantages for a response of \(count) tokens")
    let old = sample.oldLogProbs.map(Double.init)
    let losses = policy.sequence(
      logProbs: logProbs.map(Double.init), oldLogProbs: old, advantages: advantages, mask: sample.responseMask)
    return losses.indices.map { t in
      if !sample.responseMask[t] { return TokenObjective(loss: 0, dLogProb: 0, dEntropy: 0, policy: .zero, kl: 0) }
      return combine(
        losses[t], logProb: Double(logProbs[t]), entropy: Double(entropies?[t] ?? 0), oldLogProb: old[t],
        refLogProb: sample.refLogProbs.map { Double($0[t]) }, weight: weight, correction: corrections?[t] ?? 1)
    }
  }

  private func combine(
    _ loss: TokenLoss, logProb: Double, entropy: Double, oldLogProb: Double, refLogProb: Double?, weight: Double,
    correction: Double
  ) -> TokenObjective {
    var result = TokenObjective(
      loss: correction * loss.loss, dLogProb: correction * loss.dLogProb, dEntropy: 0, policy: loss, kl: 0)
    if kl.kind != .none, klCoefficient != 0 {
      guard let refLogProb else { preconditionFailure("a KL term needs reference log-probs") }
      let term =
        klImportance
        ? kl.importanceWeighted(logProb: logProb, oldLogProb: oldLogProb, refLogProb: refLogProb)
        : kl.value(logProb: logProb, refLogProb: refLogProb)
      result.kl = term.value
      result.loss += klCoefficient * term.value
      result.dLogProb += klCoefficient * term.derivative
    }
    if entropyCoefficient != 0 {
      result.loss -= entropyCoefficient * entropy
      result.dEntropy = -entropyCoefficient * weight
    }
    result.loss *= weight
    result.dLogProb *= weight
    return result
  }
}
