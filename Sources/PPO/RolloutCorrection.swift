import Tensor

/// What to do when tokens were not sampled from the distribution of the old log-probs: rollouts of another program.
///
/// e^u, u = old - sampler log-prob, is the importance weight of a token, and e^(sum u) that of a response.
public enum CorrectionKind: String, Codable, Sendable, CaseIterable {
  case none
  /// Truncated importance sampling: min(weight, high) (Yao et al. 2025; verl, TRL's `token_truncate`,
  /// `sequence_truncate`).
  case tisToken = "tis_token"
  case tisSequence = "tis_sequence"
  /// IcePop: the weight where it lies in low...high, else 0 (arXiv:2510.18855; TRL's `token_mask`, `sequence_mask`).
  case icepopToken = "icepop_token"
  case icepopSequence = "icepop_sequence"

  /// True when `low` matters.
  public var hasLowerBound: Bool { self == .icepopToken || self == .icepopSequence }
  fileprivate var bySequence: Bool { self == .tisSequence || self == .icepopSequence }
}

/// The `loss.correction` section of a configuration.
public struct CorrectionSettings: Codable, Sendable, Equatable {
  /// What is done.
  public var kind: CorrectionKind
  /// The smallest weight that IcePop keeps.
  public var low: Double
  /// The largest weight.
  public var high: Double

  /// No correction where nothing else is said.
  public init(_ kind: CorrectionKind = .none, low: Double = 0.5, high: Double = 2) {
    self.kind = kind
    self.low = low
    self.high = high
  }

  private enum CodingKeys: String, CodingKey { case kind, low, high }

  /// Factors for the policy term by sample and token: 1 without sampler log-probs, and outside the mask.
  public func factors(_ samples: [PolicySample]) -> [[Double]] {
    samples.map { sample in
      let ones = [Double](repeating: 1, count: sample.responseMask.count)
      guard kind != .none, let sampler = sample.samplerLogProbs else { return ones }
      let u = sampler.indices.map { sample.responseMask[$0] ? Double(sample.oldLogProbs[$0]) - Double(sampler[$0]) : 0 }
      let shared = kind.bySequence ? factor(u.reduce(0, +)) : 1
      return sample.responseMask.indices.map { t in
        sample.responseMask[t] ? (kind.bySequence ? shared : factor(u[t])) : 1
      }
    }
  }

  private func factor(_ u: Double) -> Double {
    let weight = Mathematics.exp(clamp(u, -20, 20))
    return kind.hasLowerBound ? (low <= weight && weight <= high ? weight : 0) : min(weight, high)
  }
}
