import Demo
import Foundation
import Rollout
import Testing

@Suite("Generated problems")
struct ProblemGeneratorTests {
  @Test("The same seed, split and index give the same problem for ever")
  func pinned() {
    let ids = ProblemGenerator(seed: 5).problems(count: 8).map(\.id)
    #expect(ids == Self.pinnedIDs)
    let longer = ProblemGenerator(seed: 5).problems(count: 40)
    #expect(Array(longer.map(\.id).prefix(8)) == ids)
    #expect(ProblemGenerator(seed: 6).problems(count: 8).map(\.id) != ids)
  }

  static let pinnedIDs = [
    "multiplication-119-74-w0", "mixed-547-503-4-307-w7", "divisorsb-126-27-w0", "powers-12-6-60-w6",
    "series-47-14-8-w3", "systemsb-9-2-132-6-2-102-w5", "bases-282-4-w7", "primes-169-186-w5",
  ]

  @Test("Every family comes equally often, and no problem twice")
  func balanced() {
    let problems = ProblemGenerator(seed: 1).problems(count: 1100)
    #expect(Set(problems.map(\.id)).count == 1100)
    for family in ProblemFamily.allCases { #expect(problems.count { $0.family == family } == 100) }
    let one = ProblemGenerator(seed: 1, families: [.primes]).problems(count: 30)
    #expect(one.allSatisfy { $0.family == .primes })
  }

  @Test("Training and held-out problems share neither numbers nor wordings")
  func disjoint() {
    let training = ProblemGenerator(seed: 2, split: .training).problems(count: 4000)
    let heldOut = ProblemGenerator(seed: 3, split: .heldOut).problems(count: 800)
    func numbers(_ problem: GeneratedProblem) -> String { "\(problem.family) \(problem.operands)" }
    func words(_ problem: GeneratedProblem) -> String { problem.text.filter { !$0.isNumber } }
    #expect(Set(training.map(numbers)).isDisjoint(with: heldOut.map(numbers)))
    #expect(Set(training.map(words)).isDisjoint(with: heldOut.map(words)))
    let known = Set(training.flatMap { $0.text.split { !$0.isLetter } })
    #expect(
      Set(heldOut.flatMap { $0.text.split { !$0.isLetter } }).isSubset(of: known), "held-out wordings use known words")
  }

  @Test("The gold answers are right", arguments: ProblemFamily.allCases)
  func gold(family: ProblemFamily) throws {
    for problem in ProblemGenerator(seed: 11, families: [family]).problems(count: 200) {
      let v = problem.operands
      switch family {
      case .multiplication: #expect(Int(problem.answer) == (0..<v[1]).reduce(0) { sum, _ in sum + v[0] })
      case .mixed: #expect(Int(problem.answer) == v[0] * v[2] + v[1] * v[2] - v[3])
      case .divisors:
        if problem.variant == 0 {
          #expect(Int(problem.answer) == (1...v[0]).last { v[0] % $0 == 0 && v[1] % $0 == 0 })
        } else {
          #expect(Int(problem.answer) == stride(from: v[0], through: v[0] * v[1], by: v[0]).first { $0 % v[1] == 0 })
        }
      case .powers:
        let answer = try #require(Int(problem.answer))
        #expect((0..<v[2]).contains(answer))
        #expect((powerExactly(v[0], v[1]) - answer) % v[2] == 0)
      case .series: #expect(Int(problem.answer) == v[2] * (2 * v[0] + (v[2] - 1) * v[1]) / 2)
      case .systems:
        let solutions = systemSolutions(v)
        try #require(solutions.count == 1)
        #expect(Int(problem.answer) == solutions[0][problem.variant])
      case .bases: #expect(Int(problem.answer, radix: v[1]) == v[0])
      case .primes:
        let count = (v[0]...v[1]).count { n in (2..<n).allSatisfy { n % $0 != 0 } }
        #expect(Int(problem.answer) == count)
      case .congruences:
        let x = try #require(Int(problem.answer))
        #expect((v[0] * x - v[2]) % v[1] == 0)
        #expect((0..<x).allSatisfy { (v[0] * $0 - v[2]) % v[1] != 0 })
      case .remainders:
        let n = try #require(Int(problem.answer))
        #expect((n - v[0]) % v[1] == 0 && (n - v[2]) % v[3] == 0 && n < 999)
        #expect((0..<n).allSatisfy { ($0 - v[0]) % v[1] != 0 || ($0 - v[2]) % v[3] != 0 })
      case .counts:
        let multiples = [v[0], v[1]].map { Set(stride(from: $0, through: v[2], by: $0)) }
        #expect(Int(problem.answer) == multiples[0].union(multiples[1]).count)
      }
    }
  }

  @Test("The obvious program is not enough in about half of the problems of three families")
  func traps() {
    func share(_ family: ProblemFamily, _ trapped: (GeneratedProblem) -> Bool) -> Double {
      Double(ProblemGenerator(seed: 12, families: [family]).problems(count: 500).count(where: trapped)) / 500
    }
    let factor = share(.congruences) { problem in
      (2...9).contains { problem.operands[0] % $0 == 0 && problem.operands[1] % $0 == 0 }
    }
    let beyond = share(.remainders) { (Int($0.answer) ?? 0) >= 99 }
    let twice = share(.counts) {
      $0.answer != String($0.operands[2] / $0.operands[0] + $0.operands[2] / $0.operands[1])
    }
    #expect(abs(factor - 0.6) < 0.07 && abs(beyond - 0.6) < 0.07 && abs(twice - 0.5) < 0.07)
  }

  /// All (x, y, x + y) below 60, by trying them.
  private func systemSolutions(_ v: [Int]) -> [[Int]] {
    var solutions: [[Int]] = []
    for x in 0..<60 {
      for y in 0..<60 {
        let first = v[0] * x + v[1] * y
        let second = v[3] * x + v[4] * y
        if first == v[2], second == v[5] { solutions.append([x, y, x + y]) }
      }
    }
    return solutions
  }

  private func powerExactly(_ base: Int, _ exponent: Int) -> Int {
    (0..<exponent).reduce(1) { power, _ in power * base }
  }

  @Test("A problem's line has the form of the CoRT authors' files")
  func record() throws {
    let problem = ProblemGenerator(seed: 4).problems(count: 1)[0]
    let line = try JSONSerialization.jsonObject(with: JSONEncoder().encode(problem.problem)) as? [String: String]
    #expect(line?["id"] == problem.id)
    #expect(line?["problem"] == problem.text)
    #expect(line?["prompt"] == problem.text)
    #expect(line?["gt_answer"] == problem.answer)
    #expect(line?["source"] == "martlet/multiplication")
    #expect(!problem.text.contains("{"))
  }
}
