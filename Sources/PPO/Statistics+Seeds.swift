import Support
import Tensor

/// A figure of one case that was trained with several seeds and evaluated on the same problems each time.
public struct SeededRatio: Sendable, Equatable {
  /// By seed; each lists the same problems in the same order.
  public let seeds: [ProblemRatio]

  /// One ratio a seed, over the same problems.
  public init(_ seeds: [ProblemRatio]) {
    let count = seeds.first?.numerators.count ?? 0
    precondition(
      seeds.allSatisfy { $0.numerators.count == count }, "\(seeds.map(\.numerators.count)) problems by seed")
    self.seeds = seeds
  }

  /// The mean over seeds; nil when a seed has none.
  public var value: Double? {
    let values = seeds.compactMap(\.value)
    return values.isEmpty || values.count < seeds.count ? nil : values.reduce(0, +) / Double(values.count)
  }

  /// By problem, the mean over the seeds that have a value for it; NaN where none has.
  public var byProblem: [Double] {
    (seeds.first?.numerators.indices ?? 0..<0).map { problem in
      let values = seeds.filter { $0.denominators[problem] != 0 }.map {
        $0.numerators[problem] / $0.denominators[problem]
      }
      return values.isEmpty ? .nan : values.reduce(0, +) / Double(values.count)
    }
  }
}

/// Bootstrap over seeds and problems at once: each draw takes seeds and, the same for all of them, problems with
/// replacement.
///
/// The interval thus says what other seeds and other problems of the kind would give. A mean of S drawn seeds varies by
/// (S - 1) / S too little, so the seeds' part of each draw is stretched by sqrt(S / (S - 1)); with one seed the
/// interval is over problems alone. The draws depend on the key and the two counts, so that all cases of a table are
/// drawn alike (paired).
public struct SeededBootstrap: Sendable {
  /// How many times seeds and problems are drawn.
  public var draws: Int
  /// The seed of the draws.
  public var key: UInt64

  /// 10,000 draws, the same every time.
  public init(draws: Int = 10_000, key: UInt64 = 20_240_229) {
    precondition(draws > 0, "draws must be positive, got \(draws)")
    self.draws = draws
    self.key = key
  }

  /// nil without seeds or problems.
  public func interval(_ figure: SeededRatio) -> Interval? {
    interval(figure.seeds.count, figure.seeds.first?.numerators.count ?? 0) { seed, drawn in
      figure.seeds[seed].value(drawn)
    }
  }

  /// Interval of a's figure minus b's, seed by seed; both have the same seeds and problems in the same order.
  public func difference(_ a: SeededRatio, _ b: SeededRatio) -> Interval? {
    precondition(a.seeds.count == b.seeds.count, "\(a.seeds.count) seeds against \(b.seeds.count)")
    return interval(a.seeds.count, a.seeds.first?.numerators.count ?? 0) { seed, drawn in
      a.seeds[seed].value(drawn) - b.seeds[seed].value(drawn)
    }
  }

  private func interval(_ seeds: Int, _ problems: Int, _ figure: (Int, [Int]) -> Double) -> Interval? {
    guard seeds > 0 else { return nil }
    let stretch = seeds > 1 ? (Double(seeds) / Double(seeds - 1)).squareRoot() : 0
    return bootstrapInterval(problems: problems, draws: draws, key: key) { drawn, random in
      let bySeed = (0..<seeds).map { figure($0, drawn) }
      let mean = bySeed.reduce(0, +) / Double(seeds)
      var chosen = 0.0
      for _ in 0..<seeds { chosen += bySeed[random.index(below: seeds)] }
      return mean + stretch * (chosen / Double(seeds) - mean)
    }
  }
}

extension ProblemRatio {
  /// The figure over these problems, some of them several times; NaN when the denominators add up to 0.
  func value(_ drawn: [Int]) -> Double {
    var numerator = 0.0
    var denominator = 0.0
    for problem in drawn {
      numerator += numerators[problem]
      denominator += denominators[problem]
    }
    return denominator == 0 ? .nan : numerator / denominator
  }
}

/// The paired sign-flip (permutation) test of "neither of the two is better on such problems": the share of random sign
/// changes of the problems' differences whose sum is at least as far from 0 as the one that was seen.
/// - Parameter differences: one a problem; NaN (no value in one of the two) is left out.
/// - Returns: the two-sided p-value, (1 + hits) / (1 + draws); nil without differences.
public func signFlipTest(_ differences: [Double], draws: Int = 10_000, key: UInt64 = 20_240_229) -> Double? {
  let values = differences.filter { !$0.isNaN }
  guard !values.isEmpty else { return nil }
  let seen = values.reduce(0, +).magnitude
  // Sums of the same terms with other signs round differently.
  let margin = 1e-12 * values.reduce(0) { $0 + $1.magnitude }
  var hits = 0
  for draw in 0..<draws {
    var random = CounterRandom(seed: key, path: [UInt64(draw), stableHash("sign flip")])
    var sum = 0.0
    var bits: UInt64 = 0
    for (place, value) in values.enumerated() {
      if place % 64 == 0 { bits = random.next() }
      sum += bits & 1 == 0 ? value : -value
      bits >>= 1
    }
    if sum.magnitude >= seen - margin { hits += 1 }
  }
  return Double(1 + hits) / Double(1 + draws)
}
