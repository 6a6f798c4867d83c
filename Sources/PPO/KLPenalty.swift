import Tensor

/// Estimators of KL(policy || reference) from one token, with d = reference log-prob - log-prob (Schulman's notes
/// "Approximating KL divergence").
public enum KLKind: String, Codable, Sendable, CaseIterable {
  case none
  /// -d. As a loss its expected gradient is 0: for the reward only.
  case k1
  /// d^2 / 2: as a loss, the right gradient of the reverse KL.
  case k2
  /// e^d - d - 1: never negative. GRPO's.
  case k3
  case abs
  /// Value of k1 with the gradient of k2 (verl's straight-through form).
  case k1Plus = "k1_plus"
  /// Value of k3 with the gradient of k2.
  case k3Plus = "k3_plus"
}

/// A token's KL term and its derivative by the log-prob.
public struct KLPenalty: Codable, Sendable, Equatable {
  /// The estimator.
  public var kind: KLKind
  /// k3's d is clamped to +-this first (20 in verl); 0 or less: no clamp, as TRL.
  public var differenceClamp: Double
  /// The value of k3 is clamped to +-this (10 in verl and CoRT's launch script); 0 or less: no clamp.
  public var valueClamp: Double

  /// No clamps where nothing else is said.
  public init(_ kind: KLKind, differenceClamp: Double = 0, valueClamp: Double = 0) {
    self.kind = kind
    self.differenceClamp = differenceClamp
    self.valueClamp = valueClamp
  }

  /// The term of one token and its derivative by `logProb`.
  public func value(logProb: Double, refLogProb: Double) -> (value: Double, derivative: Double) {
    let d = refLogProb - logProb
    switch kind {
    case .none: return (0, 0)
    case .k1: return (-d, 1)
    case .k2: return (0.5 * d * d, -d)
    case .abs: return (Swift.abs(d), d == 0 ? 0 : (d > 0 ? -1 : 1))
    case .k3: return k3(d)
    case .k1Plus: return (-d, -d)
    case .k3Plus: return (k3(d).value, -d)
    }
  }

  /// The value times the policy ratio, whose gradient is kept: unbiased off policy (TRL `use_bias_correction_kl`).
  public func importanceWeighted(
    logProb: Double, oldLogProb: Double, refLogProb: Double
  ) -> (value: Double, derivative: Double) {
    let ratio = Mathematics.exp(logProb - oldLogProb)
    if kind == .k3, differenceClamp <= 0, valueClamp <= 0 {
      // ratio (k3 + 1 - e^d) = -ratio d, without the cancellation.
      let d = refLogProb - logProb
      return (ratio * k3(d).value, -ratio * d)
    }
    let (value, derivative) = value(logProb: logProb, refLogProb: refLogProb)
    return (ratio * value, ratio * (value + derivative))
  }

  private func k3(_ d: Double) -> (value: Double, derivative: Double) {
    var slope = 1.0
    var bounded = d
    if differenceClamp > 0, Swift.abs(d) > differenceClamp {
      bounded = clamp(d, -differenceClamp, differenceClamp)
      slope = 0
    }
    let e = Mathematics.exp(bounded)
    let value = e - bounded - 1
    if valueClamp > 0, Swift.abs(value) > valueClamp { return (clamp(value, -valueClamp, valueClamp), 0) }
    return (value, slope * (1 - e))
  }
}
