import Tensor

/// GMPO (Zhao et al. 2025): the geometric mean of token ratios, each clipped in log space on the side its advantage
/// pushes to: min(difference, high) for A > 0, max(difference, -low) for A < 0; loss -A exp(mean). The paper's mean
/// over sequences is `seq_mean_token_mean`; its bounds are 0.4 and 0.4. The advantage of a response is its mean over
/// tokens.
public struct GMPOLoss: PolicyLoss {
  /// Log-ratios are clipped below -low where the advantage is negative.
  public var low: Double
  /// Log-ratios are clipped above `high` where the advantage is positive.
  public var high: Double

  /// The paper's range where nothing else is said.
  public init(low: Double = 0.4, high: Double = 0.4) {
    self.low = low
    self.high = high
  }

  /// Every term is multiplied by the advantage.
  public var vanishesWithoutAdvantage: Bool { true }

  /// The losses of a response's tokens and their derivatives by the log-probs.
  public func sequence(logProbs: [Double], oldLogProbs: [Double], advantages: [Double], mask: [Bool]) -> [TokenLoss] {
    var result = [TokenLoss](repeating: .zero, count: mask.count)
    let kept = mask.indices.filter { mask[$0] }
    guard let first = kept.first else { return result }
    let constant = kept.allSatisfy { advantages[$0] == advantages[first] }
    let advantage =
      constant ? advantages[first] : kept.reduce(0) { $0 + advantages[$1] } / Double(kept.count)
    if advantage == 0 { return result }
    var sum = 0.0
    for t in kept {
      let difference = logProbs[t] - oldLogProbs[t]
      if advantage > 0, difference > high {
        result[t].clip = .high
        sum += high
      } else if advantage < 0, difference < -low {
        result[t].clip = .low
        sum -= low
      } else {
        sum += difference
      }
    }
    let loss = -advantage * Mathematics.exp(sum / Double(kept.count))
    for t in kept {
      result[t].loss = loss
      result[t].dLogProb = result[t].clip == .none ? loss : 0
    }
    return result
  }
}
