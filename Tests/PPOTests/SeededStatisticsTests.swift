import Testing

@testable import PPO

@Suite struct SeededStatisticsTests {
  private func ratio(_ values: [[Double]]) -> SeededRatio { SeededRatio(values.map { ProblemRatio(mean: $0) }) }

  @Test func theValueIsTheMeanOverSeeds() {
    let figure = SeededRatio([
      ProblemRatio(numerators: [1, 0], denominators: [2, 2]), ProblemRatio(numerators: [3, 1], denominators: [4, 4]),
    ])
    #expect(figure.value == (0.25 + 0.5) / 2)
    #expect(figure.byProblem == [(0.5 + 0.75) / 2, 0.125])
    #expect(SeededRatio([]).value == nil)
  }

  /// One seed: the bootstrap over problems. Equal seeds add nothing; seeds that differ widen the interval to what two
  /// of them tell.
  @Test func theIntervalCoversSeedsAndProblems() throws {
    let problems = (0..<40).map { Double($0 % 2) }
    let one = try #require(SeededBootstrap().interval(ratio([problems])))
    let plain = try #require(ProblemBootstrap().interval(ProblemRatio(mean: problems)))
    // Other draws of the same kind.
    #expect(abs(one.low - plain.low) < 0.03 && abs(one.high - plain.high) < 0.03)
    let equal = try #require(SeededBootstrap().interval(ratio([problems, problems, problems])))
    #expect(abs(equal.low - one.low) < 0.03 && abs(equal.high - one.high) < 0.03)
    // No problem varies: all width is the seeds'. Of two seeds at 0 and 1 the mean varies by sqrt(2) * 0.5 at the ends.
    let seeds = try #require(
      SeededBootstrap().interval(ratio([[Double](repeating: 0, count: 9), [Double](repeating: 1, count: 9)])))
    #expect(abs(seeds.low - (0.5 - 0.5 * 2.0.squareRoot())) < 1e-9)
    #expect(abs(seeds.high - (0.5 + 0.5 * 2.0.squareRoot())) < 1e-9)
  }

  /// The problems' own difficulty does not count: both cases have the same ones, drawn alike.
  @Test func differencesArePaired() throws {
    let a = ratio([(0..<30).map { Double($0) }, (0..<30).map { Double($0) + 1 }])
    let b = ratio([(0..<30).map { Double($0) - 2 }, (0..<30).map { Double($0) - 1 }])
    let difference = try #require(SeededBootstrap().difference(a, b))
    #expect(abs(difference.low - 2) < 1e-9 && abs(difference.high - 2) < 1e-9)
  }

  @Test func theSignFlipTestCountsSigns() throws {
    // All of n differences of one sign and size: 2 of 2^n sign patterns are as far out.
    let p = try #require(signFlipTest([1, 1, 1, 1]))
    #expect(abs(p - 2.0 / 16) < 0.015)
    #expect(try #require(signFlipTest([Double](repeating: 1, count: 40))) < 0.001)
    #expect(signFlipTest([1, -1, 2, -2]) == 1)
    #expect(signFlipTest([0, 0, 0]) == 1)
    #expect(signFlipTest([.nan]) == nil)
    // Rounding does not hide that a pattern is as far out as the one seen.
    #expect(abs(try #require(signFlipTest([0.1, 0.2, 0.3])) - 0.25) < 0.02)
  }
}
