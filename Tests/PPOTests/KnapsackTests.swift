import PPO
import Testing

@Suite struct KnapsackTests {
  /// The best sum of values over every way to hand out `total`.
  private func best(_ rates: [Double], total: Int, low: Int, high: Int) -> Double {
    guard let p = rates.first else { return total == 0 ? 0 : -.infinity }
    var result = -Double.infinity
    for n in stride(from: low, through: min(high, total), by: 1) {
      let rest = best(Array(rates.dropFirst()), total: total - n, low: low, high: high)
      result = max(result, KnapsackBudget.value(p, samples: n) + rest)
    }
    return result
  }

  @Test func greedyIsExact() {
    var state: UInt64 = 5
    func number() -> Double {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(state >> 11) / Double(1 << 53)
    }
    for _ in 0..<200 {
      let rates = (0..<4).map { _ in 0.02 + 0.96 * number() }
      let knapsack = KnapsackBudget(minimum: 1, maximum: 9, confidence: 0.999_999)
      let budgets = knapsack.allocate(rates, samplesPerPrompt: 4)
      #expect(budgets.reduce(0, +) == 16)
      #expect(budgets.allSatisfy { (1...9).contains($0) })
      let value = zip(rates, budgets).reduce(0) { $0 + KnapsackBudget.value($1.0, samples: $1.1) }
      #expect(abs(value - best(rates, total: 16, low: 1, high: 9)) < 1e-14)
    }
  }

  @Test func everyBudgetIsSpent() {
    let knapsack = KnapsackBudget()
    let cases: [[Double?]] = [
      [nil, nil, nil], [0, 0, 1, 1], [1, 1, 1], [0.5, 0, 1, nil], [0.01, 0.99, 0.5], [0, nil], [nil, 0.5], [],
      [0.5, 0.5], [1, 0.5],
    ]
    for rates in cases {
      let budgets = knapsack.allocate(rates, samplesPerPrompt: 8)
      #expect(budgets.count == rates.count)
      #expect(budgets.reduce(0, +) == 8 * rates.count, "\(rates): \(budgets)")
      for (p, n) in zip(rates, budgets) where p == nil { #expect(n >= 8) }
    }
    // Without history or outcome there is nothing to weigh.
    #expect(knapsack.allocate([nil, nil], samplesPerPrompt: 8) == [8, 8])
    // Floors above the budget: everybody gets the same.
    #expect(KnapsackBudget(minimum: 16).allocate([0.5, 0.5], samplesPerPrompt: 8) == [8, 8])
    // Unsolved prompts get what the open ones are not worth; ties go to the earlier prompt.
    let surplus = knapsack.allocate([0.5, 0, 0, 1], samplesPerPrompt: 8)
    #expect(surplus == [5, 13, 12, 2])
    #expect(knapsack.allocate([0.1, 0.1, 0.1], samplesPerPrompt: 4) == [4, 4, 4])
  }
}
