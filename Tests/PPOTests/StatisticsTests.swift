import PPO
import Testing

@Suite struct StatisticsTests {
  /// All subsets of size k of 0..<n.
  private func subsets(_ n: Int, _ k: Int) -> [[Int]] {
    (0..<(1 << n)).filter { $0.nonzeroBitCount == k }.map { bits in (0..<n).filter { bits >> $0 & 1 == 1 } }
  }

  @Test func passAtKEqualsTheCountOverAllSubsets() {
    for n in 1...8 {
      for c in 0...n {
        for k in 1...n {
          let all = subsets(n, k)
          let any = Double(all.count { $0.contains { $0 < c } }) / Double(all.count)
          #expect(abs(passAtK(samples: n, correct: c, k: k) - any) < 1e-14)
        }
      }
    }
    #expect(averageAtK([true, false, true, true], k: 3) == 2.0 / 3)
  }

  /// The definition, subset by subset.
  private func naiveMajority(_ answers: [Int?], _ correct: [Bool], _ k: Int) -> Double {
    let all = subsets(answers.count, k)
    var sum = 0.0
    for subset in all {
      var votes: [Int: Int] = [:]
      for i in subset { if let a = answers[i] { votes[a, default: 0] += 1 } }
      guard let top = votes.values.max() else { continue }
      let winners = votes.filter { $0.value == top }.map(\.key)
      let right = winners.count { winner in correct[answers.firstIndex { $0 == winner }!] }
      sum += Double(right) / Double(winners.count)
    }
    return sum / Double(all.count)
  }

  @Test func majorityEqualsTheCountOverAllSubsets() {
    let cases: [([Int?], [Bool])] = [
      ([1, 1, 2, 3, 2, 1, nil, 4, 2], [true, true, false, false, false, true, false, true, false]),
      ([1, 2, 3, 4, 5], [false, true, false, true, false]),
      ([nil, nil, nil], [false, false, false]),
      ([7, 7, 7, 7], [true, true, true, true]),
      ([nil, 1, 1, 2, 2, nil, 3, 3, 9, 2], [false, true, true, false, false, false, true, true, false, false]),
    ]
    for (answers, correct) in cases {
      for k in 1...answers.count {
        let exact = majorityAtK(answers: answers, correct: correct, k: k)
        #expect(abs(exact - naiveMajority(answers, correct, k)) < 1e-13)
        // The sampled form estimates the same number: 4,096 draws, five standard errors.
        let sampled = majorityAtK(answers: answers, correct: correct, k: k, exactLimit: 0)
        #expect(abs(sampled - exact) < 5 * 0.5 / 64)
      }
    }
    // n = 1: the sample's own verdict.
    #expect(majorityAtK(answers: [3], correct: [true], k: 1) == 1)
  }

  @Test func majorityOfManySamples() {
    // 64 samples in 13 classes: maj@64 looks at all of them, maj@1 is the share of right ones.
    let answers = (0..<64).map { Optional($0 * $0 % 13) }
    let correct = answers.map { $0 == 1 }
    let share = Double(correct.count { $0 }) / 64
    #expect(abs(majorityAtK(answers: answers, correct: correct, k: 1) - share) < 1e-13)
    var votes = [Int](repeating: 0, count: 13)
    for a in answers { votes[a!] += 1 }
    let top = votes.max()!
    let expected = votes[1] == top ? 1 / Double(votes.count { $0 == top }) : 0
    #expect(abs(majorityAtK(answers: answers, correct: correct, k: 64) - expected) < 1e-13)
  }

  @Test func bootstrapIntervalsCoverAndPair() throws {
    let bootstrap = ProblemBootstrap()
    // 300 problems, 40 % right: the normal interval is 0.4 +- 1.96 sqrt(0.24 / 300).
    let values = (0..<300).map { $0 % 5 < 2 ? 1.0 : 0 }
    let interval = try #require(bootstrap.interval(ProblemRatio(mean: values)))
    #expect(abs(interval.low - (0.4 - 0.0554)) < 0.006)
    #expect(abs(interval.high - (0.4 + 0.0554)) < 0.006)
    // Same draws each time, and different ones with another key.
    #expect(bootstrap.interval(ProblemRatio(mean: values)) == interval)
    let noise = (0..<300).map { Double($0 * 7919 % 101) / 101 }
    let one = try #require(bootstrap.interval(ProblemRatio(mean: noise)))
    let other = try #require(ProblemBootstrap(key: 1).interval(ProblemRatio(mean: noise)))
    #expect(one != other)
    // Paired: a constant shift has an interval of no width, whatever the noise.
    let shifted = try #require(
      bootstrap.difference(ProblemRatio(mean: noise.map { $0 + 0.25 }), ProblemRatio(mean: noise)))
    #expect(abs(shifted.low - 0.25) < 1e-12 && abs(shifted.high - 0.25) < 1e-12)
    // Its sign follows the order of the arguments.
    let back = try #require(
      bootstrap.difference(ProblemRatio(mean: noise), ProblemRatio(mean: values)))
    let forth = try #require(
      bootstrap.difference(ProblemRatio(mean: values), ProblemRatio(mean: noise)))
    #expect(abs(back.low + forth.high) < 1e-12 && abs(back.high + forth.low) < 1e-12)
  }

  @Test func bootstrapOfRatiosAndOfNothing() throws {
    let bootstrap = ProblemBootstrap(draws: 500)
    #expect(bootstrap.interval(ProblemRatio(mean: [])) == nil)
    #expect(bootstrap.interval(ProblemRatio(numerators: [0, 0], denominators: [0, 0])) == nil)
    #expect(ProblemRatio(numerators: [0], denominators: [0]).value == nil)
    let ratio = ProblemRatio(numerators: [1, 0, 3], denominators: [2, 0, 4])
    #expect(ratio.value == 4.0 / 6)
    let interval = try #require(bootstrap.interval(ratio))
    #expect(interval.low == 0.5 && interval.high == 0.75)
    // One problem: nothing varies.
    #expect(bootstrap.interval(ProblemRatio(mean: [0.7])) == Interval(low: 0.7, high: 0.7))
  }
}
