/// What to do when the sampler's distribution was not that of the old log-probs (imported rollouts, quantised
/// samplers).
public enum CorrectionKind: String, Codable, Sendable, CaseIterable {
  case none
  /// Truncated importance sampling: min(e^u, high) by token, or e^(sum u) by sequence (verl).
  case tisToken = "tis_token"
  case tisSequence = "tis_sequence"
  /// IcePop: e^u where it lies in low...high, else 0.
  case icepopToken = "icepop_token"
  case icepopSequence = "icepop_sequence"
  /// Rejection: tokens outside are masked out and N shrinks. k1: log low <= -u <= log high; k2: u^2 / 2 <= high;
  /// k3: e^u - 1 - u <= high.
  case rejectTokenK1 = "reject_token_k1"
  case rejectTokenK2 = "reject_token_k2"
  case rejectTokenK3 = "reject_token_k3"
  /// The same test on the sum, mean or maximum over the response, which is dropped as a whole.
  case rejectSumK1 = "reject_sum_k1"
  case rejectSumK2 = "reject_sum_k2"
  case rejectSumK3 = "reject_sum_k3"
  case rejectMeanK1 = "reject_mean_k1"
  case rejectMeanK2 = "reject_mean_k2"
  case rejectMeanK3 = "reject_mean_k3"
  case rejectMaxK2 = "reject_max_k2"
  case rejectMaxK3 = "reject_max_k3"

  /// True when `low` matters.
  public var usesBounds: Bool {
    switch self {
    case .icepopToken, .icepopSequence, .rejectTokenK1, .rejectSumK1, .rejectMeanK1: return true
    default: return false
    }
  }
}

public struct CorrectionSettings: Codable, Sendable, Equatable {
  public var kind: CorrectionKind
  public var low: Double
  public var high: Double
  /// Divides the weights by their mean over the batch's tokens (skipped when it is 1e-8 or less).
  public var normalize: Bool

  public init(_ kind: CorrectionKind = .none, low: Double = 0.5, high: Double = 2, normalize: Bool = false) {
    self.kind = kind
    self.low = low
    self.high = high
    self.normalize = normalize
  }

  private enum CodingKeys: String, CodingKey { case kind, low, high, normalize }

  public init(from decoder: any Decoder) throws {
    let c = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      try c.decodeIfPresent(CorrectionKind.self, forKey: .kind) ?? .none,
      low: try c.decodeIfPresent(Double.self, forKey: .low) ?? 0.5,
      high: try c.decodeIfPresent(Double.self, forKey: .high) ?? 2,
      normalize: try c.decodeIfPresent(Bool.self, forKey: .normalize) ?? false)
  }

  /// Factors for the policy term by sample and token, and the samples with rejected tokens taken out of their masks,
  /// which is what weights and advantages of the update must be made from. u = old - sampler log-prob; samples
  /// without sampler log-probs are left as they are.
  public func apply(_ samples: [PolicySample]) -> (factors: [[Double]], samples: [PolicySample]) {
    var factors = samples.map { [Double](repeating: 1, count: $0.responseMask.count) }
    var result = samples
    for (i, sample) in samples.enumerated() {
      guard kind != .none, let sampler = sample.samplerLogProbs else { continue }
      let u = sampler.indices.map { sample.responseMask[$0] ? Double(sample.oldLogProbs[$0]) - Double(sampler[$0]) : 0 }
      let kept = sample.responseMask.indices.filter { sample.responseMask[$0] }
      switch kind {
      case .none: break
      case .tisToken, .icepopToken: for t in kept { factors[i][t] = factor(u[t]) }
      case .tisSequence, .icepopSequence:
        let shared = factor(kept.reduce(0) { $0 + u[$1] })
        for t in kept { factors[i][t] = shared }
      default: reject(u, kept, &result[i])
      }
    }
    if normalize { normalizeFactors(&factors, samples) }
    return (factors, result)
  }

  private func factor(_ u: Double) -> Double {
    let weight = ScalarMath.exp(clamp(u, -20, 20))
    switch kind {
    case .icepopToken, .icepopSequence: return low <= weight && weight <= high ? weight : 0
    default: return min(weight, high)
    }
  }

  private func measure(_ u: Double) -> Double {
    let x = clamp(u, -20, 20)
    switch kind {
    case .rejectTokenK1, .rejectSumK1, .rejectMeanK1: return -x
    case .rejectTokenK2, .rejectSumK2, .rejectMeanK2, .rejectMaxK2: return 0.5 * x * x
    default: return ScalarMath.exp(x) - 1 - x
    }
  }

  private func accepts(_ x: Double) -> Bool {
    switch kind {
    case .rejectTokenK1, .rejectSumK1, .rejectMeanK1: return ScalarMath.log(low) <= x && x <= ScalarMath.log(high)
    default: return x <= high
    }
  }

  private func reject(_ u: [Double], _ kept: [Int], _ sample: inout PolicySample) {
    let x = kept.map { measure(u[$0]) }
    guard let largest = x.max() else { return }
    let sum = x.reduce(0, +)
    switch kind {
    case .rejectTokenK1, .rejectTokenK2, .rejectTokenK3:
      for (t, value) in zip(kept, x) where !accepts(value) { sample.responseMask[t] = false }
    case .rejectSumK1, .rejectSumK2, .rejectSumK3: if !accepts(sum) { sample.maskTruncated() }
    case .rejectMeanK1, .rejectMeanK2, .rejectMeanK3:
      if !accepts(sum / (Double(x.count) + 1e-8)) { sample.maskTruncated() }
    default: if !accepts(largest) { sample.maskTruncated() }
    }
  }

  private func normalizeFactors(_ factors: inout [[Double]], _ samples: [PolicySample]) {
    // By sequence when the weights are, by token otherwise.
    let bySequence = kind == .tisSequence || kind == .icepopSequence
    let rows = zip(factors, samples).map { f, s in zip(f, s.responseMask).filter(\.1).map(\.0) }.filter { !$0.isEmpty }
    let values = bySequence ? rows.map { $0[0] } : rows.flatMap { $0 }
    guard !values.isEmpty else { return }
    let center = orderFreeSum(values) / Double(values.count)
    if center <= 1e-8 { return }
    for i in factors.indices { for t in factors[i].indices { factors[i][t] /= center } }
  }
}
