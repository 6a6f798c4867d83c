import Tensor

/// How many samples each prompt of a step gets when its success rate is known (Knapsack RL, Li et al. 2025).
///
/// The value of N samples is (1 - p^N - (1-p)^N) p (1-p)^2. Its gain p(1-p)^2 (p^N (1-p) + (1-p)^N p) falls strictly
/// with N, so giving each next sample to the largest gain, ties to the earlier prompt, is exact.
public struct KnapsackBudget: Codable, Sendable, Equatable {
  /// Samples every prompt gets whose success rate lies inside (0, 1), is 0, or is 1.
  public var minimum: Int
  /// Samples of a prompt that never succeeds.
  public var negative: Int
  /// Samples of a prompt that always succeeds.
  public var positive: Int
  /// The most samples that a prompt gets.
  public var maximum: Int
  /// Probability of seeing both outcomes that a prompt of rate p is worth; what is left goes to prompts without
  /// success.
  public var confidence: Double

  /// Bounds in ascending order; `confidence` inside (0, 1).
  public init(minimum: Int = 2, negative: Int = 2, positive: Int = 2, maximum: Int = 128, confidence: Double = 0.9) {
    precondition(minimum >= 1 && negative >= 0 && positive >= 0 && maximum >= minimum, "knapsack bounds out of order")
    precondition(confidence > 0 && confidence < 1, "confidence must lie inside (0, 1), got \(confidence)")
    self.minimum = minimum
    self.negative = negative
    self.positive = positive
    self.maximum = maximum
    self.confidence = confidence
  }

  /// - Parameters:
  ///   - rates: success rate of each prompt; nil without enough history: such a prompt gets `samplesPerPrompt`.
  ///   - n: samples per prompt; the budgets add up to n times the prompts.
  public func allocate(_ rates: [Double?], samplesPerPrompt n: Int) -> [Int] {
    var budgets = rates.map { p -> Int in
      guard let p else { return n }
      return p <= 0 ? negative : (p >= 1 ? positive : minimum)
    }
    var left = n * rates.count - budgets.reduce(0, +)
    if left < 0 { return rates.map { _ in n } }  // the floors alone cost more than there is
    let open = rates.indices.filter { (rates[$0] ?? 0) > 0 && rates[$0]! < 1 }
    let unsolved = rates.indices.filter { rates[$0] == 0 }
    if open.isEmpty { return spread(left, over: unsolved, budgets) ?? rates.map { _ in n } }

    let worth = open.reduce(0) { $0 + Int(min(Double(maximum), cost(rates[$1]!))) }
    if worth < left {
      let others = unsolved.isEmpty ? rates.indices.filter { !open.contains($0) } : unsolved
      if let given = spread(left - worth, over: others, budgets) {
        budgets = given
        left = worth
      }
    }
    var gains = open.map { gain(rates[$0]!, budgets[$0]) }
    while left > 0 {
      var best = -1
      for j in open.indices where budgets[open[j]] < maximum && (best < 0 || gains[j] > gains[best]) { best = j }
      if best < 0 { break }
      let prompt = open[best]
      budgets[prompt] += 1
      gains[best] = gain(rates[prompt]!, budgets[prompt])
      left -= 1
    }
    return spread(left, over: Array(rates.indices), budgets) ?? budgets
  }

  /// V(N) of a prompt with success rate p.
  public static func value(_ p: Double, samples: Int) -> Double {
    (1 - power(p, samples) - power(1 - p, samples)) * p * (1 - p) * (1 - p)
  }

  /// V(N + 1) - V(N).
  private func gain(_ p: Double, _ samples: Int) -> Double {
    let q = 1 - p
    return p * q * q * (Self.power(p, samples) * q + Self.power(q, samples) * p)
  }

  /// Samples until both outcomes were probably seen.
  private func cost(_ p: Double) -> Double {
    Mathematics.log(1 - confidence) / Mathematics.log(max(p, 1 - p))
  }

  private static func power(_ x: Double, _ n: Int) -> Double {
    (0..<n).reduce(1) { product, _ in product * x }
  }

  /// Evenly, the remainder to the first ones; nil when there is nobody to give to.
  private func spread(_ amount: Int, over prompts: [Int], _ budgets: [Int]) -> [Int]? {
    if prompts.isEmpty { return nil }
    var result = budgets
    for (j, prompt) in prompts.enumerated() {
      result[prompt] += amount / prompts.count + (j < amount % prompts.count ? 1 : 0)
    }
    return result
  }
}
