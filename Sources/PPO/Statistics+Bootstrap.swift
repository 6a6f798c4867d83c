import Tensor

/// A 95 % interval.
public struct Interval: Codable, Sendable, Equatable {
  /// The lower end.
  public var low: Double
  /// The upper end.
  public var high: Double

  /// An interval from `low` to `high`.
  public init(low: Double, high: Double) {
    self.low = low
    self.high = high
  }
}

/// A figure as the sum of numerators over the sum of denominators, given problem by problem: accuracy is (right,
/// samples), tokens (tokens, responses), the share of calculation (calculation blocks, blocks).
public struct ProblemRatio: Sendable, Equatable {
  /// By problem.
  public var numerators: [Double]
  /// By problem, in the same order.
  public var denominators: [Double]

  /// Two numbers a problem.
  public init(numerators: [Double], denominators: [Double]) {
    precondition(
      numerators.count == denominators.count, "\(numerators.count) numerators, \(denominators.count) denominators")
    self.numerators = numerators
    self.denominators = denominators
  }

  /// The mean of one number a problem.
  public init(mean values: [Double]) {
    self.init(numerators: values, denominators: [Double](repeating: 1, count: values.count))
  }

  /// nil when the denominators add up to 0.
  public var value: Double? {
    let total = denominators.reduce(0, +)
    return total == 0 ? nil : numerators.reduce(0, +) / total
  }
}

/// Bootstrap over problems: problems are drawn with replacement, each with all its samples, since the samples of one
/// problem are not independent. The draws depend on the key and the number of problems alone, so figures over the
/// same problems, rows of a table included, are paired. Ends of the interval are the 2.5 and 97.5 % quantiles (linear
/// interpolation).
public struct ProblemBootstrap: Sendable {
  /// How many times the problems are drawn.
  public var draws: Int
  /// The seed of the draws.
  public var key: UInt64

  /// 10,000 draws, the same every time.
  public init(draws: Int = 10_000, key: UInt64 = 20_240_229) {
    precondition(draws > 0, "draws must be positive, got \(draws)")
    self.draws = draws
    self.key = key
  }

  /// nil without problems, or when no draw has a denominator.
  public func interval(_ ratio: ProblemRatio) -> Interval? {
    bootstrapInterval(problems: ratio.numerators.count, draws: draws, key: key) { drawn, _ in ratio.value(drawn) }
  }

  /// Interval of a's figure minus b's; both list the same problems in the same order.
  public func difference(_ a: ProblemRatio, _ b: ProblemRatio) -> Interval? {
    precondition(
      a.numerators.count == b.numerators.count, "\(a.numerators.count) problems against \(b.numerators.count)")
    return bootstrapInterval(problems: a.numerators.count, draws: draws, key: key) { drawn, _ in
      a.value(drawn) - b.value(drawn)
    }
  }
}

/// The 95 % interval of `figure` over draws of problems with replacement.
/// - Parameter figure: gets the drawn problems' indices and the draw's generator, for what else is drawn. NaN (the
///   drawn denominators add up to 0): the draw is left out.
/// - Returns: nil without problems, or when every draw is left out.
func bootstrapInterval(
  problems: Int, draws: Int, key: UInt64, _ figure: ([Int], inout CounterRandom) -> Double
) -> Interval? {
  if problems == 0 { return nil }
  var drawn = [Int](repeating: 0, count: problems)
  var figures: [Double] = []
  figures.reserveCapacity(draws)
  for draw in 0..<draws {
    var random = CounterRandom(seed: key, path: [UInt64(draw)])
    for place in drawn.indices { drawn[place] = random.index(below: problems) }
    let value = figure(drawn, &random)
    if !value.isNaN { figures.append(value) }
  }
  if figures.isEmpty { return nil }
  figures.sort()
  return Interval(low: quantile(figures, 0.025), high: quantile(figures, 0.975))
}

extension CounterRandom {
  /// An index below `count`, all equally likely but for 1 in 2^64.
  mutating func index(below count: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(count)).high) }
}
