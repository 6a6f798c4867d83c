import Foundation
import Rollout
import Support
import Testing

/// Pairs of every kind in docs/grading.md, each with its converse: what looks alike and is not equal.
@Suite struct GradingPairTests {
  private struct Pair: VerbatimNumbers {
    static let verbatimKeys: Set<String> = ["answer", "gold"]
    var kind: String
    var response: String?
    var answer: String?
    var gold: String
    var expected: Verdict
  }

  private static func pairs() throws -> [Pair] {
    let url = try #require(
      Bundle.module.url(forResource: "grading", withExtension: "jsonl", subdirectory: "Fixtures"))
    return try JSONLines.read(url.path, as: Pair.self)
  }

  @Test func everyKindIsGradedAsDocumented() throws {
    let pairs = try Self.pairs()
    #expect(Set(pairs.map(\.kind)).count == 13)
    let given = pairs.map { (answer: $0.answer ?? $0.response.flatMap { extractAnswer($0) }, gold: $0.gold) }
    let results = try Grader(limit: 20).gradeMany(given)
    for (pair, result) in zip(pairs, results) {
      #expect(
        result.verdict == pair.expected, "\(pair.kind): \(pair.answer ?? pair.response ?? "") against \(pair.gold)")
    }
    // Every kind has both verdicts: a grader that says one of them always is found.
    for kind in Set(pairs.map(\.kind)) {
      let verdicts = Set(pairs.filter { $0.kind == kind }.map(\.expected))
      #expect(verdicts.isSuperset(of: [.correct, .incorrect]), "\(kind)")
    }
  }

  @Test func verdictsDoNotDependOnTheWorkersOrTheOrder() throws {
    let pairs = try Self.pairs().filter { $0.answer != nil }.map { (answer: $0.answer, gold: $0.gold) }
    let one = try Grader(limit: 20, workers: 1).gradeMany(pairs)
    let three = try Grader(limit: 20, workers: 3).gradeMany(pairs.reversed())
    #expect(one == three.reversed())
  }

  @Test func costIsBounded() throws {
    let grader = Grader(limit: 10)
    let heavy = [
      "2^{10^9}", "10000000!", "9^{9^{9^9}}", "factorial(10**7)", #"\binom{10^{12}}{10^{11}}"#, "1e999999999",
      "((10^{5000})!)!", String(repeating: "(", count: 3000), String(repeating: "2^", count: 3000) + "2",
      String(repeating: "1,", count: 4000) + "1", #"\sqrt{\pi}^{10^{20}}"#, "0^{9^{9^9}}", "(1/3)^{1000000}!",
    ]
    for answer in heavy {
      let result = try grader.grade(answer: answer, gold: "5")
      #expect(result.verdict == .incorrect, "\(answer.prefix(40))")
    }
  }

  @Test func votesGoByValue() throws {
    let grader = Grader(limit: 20)
    let classes: [[String]] = [
      ["1/2", "0.5", #"\frac12"#, #"\dfrac{1}{2}"#, #"50\%"#, "x = 0.5", "½", "2^{-1}"],
      ["5", "5.0", "05", #"5\text{ cm}"#],
      [#"\sqrt{8}"#, #"2\sqrt2"#, "2*sqrt(2)"], ["x^2-1", "(x-1)(x+1)", "x**2 - 1"], ["1, 2", "2,1", #"\{1, 2\}"#],
      ["(1, 2)", #"\left(1,2\right)"#], ["[1,2]"], ["-5"], ["123456789012345678901234567890"],
      ["123456789012345678901234567891"], [#"\text{yes}"#, "Yes"], [#"\frac{1}{2^{98}}"#, "2^{-98}"], ["2^{-99}"],
      [#"\sum_{k} k"#, #"\sum_{k}k"#], ["B", "(B)", #"\text{(B) } 12"#],
    ]
    let keys = try classes.map { try grader.voteKeys($0) }
    for (answers, keys) in zip(classes, keys) { #expect(Set(keys).count == 1 && keys[0] != nil, "\(answers): \(keys)") }
    #expect(Set(keys.map { $0[0] }).count == classes.count)
    #expect(try grader.voteKeys([#"\boxed{5"#]) == [nil])
  }
}
