import Rollout
import Support
import Tensor

/// One generated problem. Its identity is (family, operands, variant, wording); everything else follows from it.
public struct GeneratedProblem: Sendable, Equatable {
  /// What kind of problem it is.
  public let family: ProblemFamily
  /// In the order the family's documentation names them.
  public let operands: [Int]
  /// Which question of the family is asked, from 0.
  public let variant: Int
  /// Index into the family's wordings.
  public let wording: Int

  /// What is asked.
  public var text: String {
    var text = family.wordings(variant: variant)[wording]
    for (name, value) in zip(["{a}", "{b}", "{c}", "{d}", "{e}", "{f}"], operands) {
      text.replace(name, with: String(value))
    }
    if family == .systems { text.replace("{q}", with: asked) }
    return text
  }

  /// What a linear system asks for.
  var asked: String { ["x", "y", "x+y"][variant] }

  /// Stable over runs and platforms, and different for different questions.
  public var id: String { "\(key)-w\(wording)" }

  /// The numbers without the wording: what the split into training and held-out problems goes by.
  var key: String {
    let suffix = family.variantCount > 1 ? ["a", "b", "c"][variant] : ""
    return ([family.rawValue + suffix] + operands.map(String.init)).joined(separator: "-")
  }

  /// Operands in no particular question: a held-out system stays held out whichever unknown is asked.
  fileprivate var splitKey: String { ([family.rawValue] + operands.map(String.init)).joined(separator: "-") }

  /// The exact answer as the grader expects it.
  public var answer: String { ExactAnswer.answer(family, operands, variant: variant) }

  /// The line `train problems` writes: the form of the CoRT authors' test files, with an `id` and with `prompt` set, so
  /// that no instruction is added to what is asked.
  public var problem: Problem {
    Problem(id: id, problem: text, gold: answer, prompt: text, source: "martlet/\(family.rawValue)")
  }
}

/// Draws problems of the demo's families. The same (seed, split, index) gives the same problem for ever.
public struct ProblemGenerator: Sendable {
  /// Which numbers and wordings are drawn. Training and held-out problems share neither.
  public enum Split: String, Codable, Sendable, CaseIterable {
    case training, heldOut = "held_out", any
  }

  /// Of every draw.
  public let seed: UInt64
  /// Which numbers and wordings are drawn.
  public let split: Split
  /// Taken in turn; at least one.
  public let families: [ProblemFamily]

  /// A generator of endless problems.
  public init(seed: UInt64, split: Split = .any, families: [ProblemFamily] = ProblemFamily.allCases) {
    precondition(!families.isEmpty, "a problem generator needs at least one family, got none")
    self.seed = seed
    self.split = split
    self.families = families
  }

  /// `count` problems without repeats, the families in turn.
  public func problems(count: Int) -> [GeneratedProblem] {
    var seen = Set<String>()
    var problems: [GeneratedProblem] = []
    problems.reserveCapacity(count)
    for index in 0..<count {
      // A family with few problems may repeat after many attempts rather than never end.
      var problem = self.problem(at: index, attempt: 0)
      var attempt = 1
      while !seen.insert(problem.id).inserted, attempt < 200 {
        problem = self.problem(at: index, attempt: attempt)
        attempt += 1
      }
      problems.append(problem)
    }
    return problems
  }

  /// The problem with this index; other attempts give other problems of the same family.
  public func problem(at index: Int, attempt: Int = 0) -> GeneratedProblem {
    let family = families[index % families.count]
    var random = CounterRandom(
      seed: seed, path: [stableHash("problem"), stableHash(split.rawValue), UInt64(index), UInt64(attempt)])
    let variant = random.integer(0...(family.variantCount - 1))
    let wordings = family.wordings(variant: variant).count
    let wording =
      switch split {
      case .training: random.integer(0...(ProblemFamily.heldOutWordings - 1))
      case .heldOut: random.integer(ProblemFamily.heldOutWordings...(wordings - 1))
      case .any: random.integer(0...(wordings - 1))
      }
    while true {
      let operands = family.operands(variant: variant, random: &random)
      let problem = GeneratedProblem(family: family, operands: operands, variant: variant, wording: wording)
      let heldOut = stableHash(problem.splitKey) % 5 == 0
      if split == .any || heldOut == (split == .heldOut) { return problem }
    }
  }
}

extension ProblemFamily {
  /// Operands of a size that the long-hand solution is long, and that two to four digits write each.
  func operands(variant: Int, random: inout CounterRandom) -> [Int] {
    switch self {
    case .multiplication: return [random.integer(102...989), random.integer(12...98)]
    case .mixed:
      return [
        random.integer(102...989), random.integer(102...989), random.integer(3...9), random.integer(101...399),
      ]
    case .divisors:
      while true {
        let range = variant == 0 ? 101...989 : 24...198
        let common = random.integer(2...(variant == 0 ? 24 : 9))
        let pair = [range, range].map { range in
          common * random.integer((range.lowerBound / common + 1)...(range.upperBound / common))
        }
        let steps = ExactAnswer.euclid(pair[0], pair[1]).count
        if pair[0] != pair[1], steps >= (variant == 0 ? 3 : 2), steps <= (variant == 0 ? 6 : 4) { return pair }
      }
    case .powers: return [random.integer(2...19), random.integer(5...7), random.integer(21...98)]
    case .series: return [random.integer(3...89), random.integer(3...29), random.integer(6...8)]
    case .systems:
      while true {
        let c = (0..<4).map { _ in random.integer(2...9) }
        guard c[0] * c[3] != c[1] * c[2] else { continue }
        let x = random.integer(2...29)
        let y = random.integer(2...29)
        return [c[0], c[1], c[0] * x + c[1] * y, c[2], c[3], c[2] * x + c[3] * y]
      }
    case .bases:
      let base = random.integer(2...6)
      let ranges = [2: 33...255, 3: 100...728, 4: 100...1023, 5: 150...3124, 6: 250...4000]
      return [random.integer(ranges[base]!), base]
    case .primes:
      let first = random.integer(11...420)
      return [first, first + random.integer(12...17)]
    case .congruences: return Self.congruence(random: &random)
    case .remainders: return Self.remainders(random: &random)
    case .counts: return Self.counts(random: &random)
    }
  }
}

/// Answers in exact integer arithmetic.
enum ExactAnswer {
  static func answer(_ family: ProblemFamily, _ v: [Int], variant: Int) -> String {
    switch family {
    case .multiplication: return String(v[0] * v[1])
    case .mixed: return String((v[0] + v[1]) * v[2] - v[3])
    case .divisors:
      return String(variant == 0 ? divisor(v[0], v[1]) : leastMultiple(v[0], v[1]))
    case .powers: return String((0..<v[1]).reduce(1) { power, _ in power * v[0] % v[2] })
    case .series: return String((0..<v[2]).reduce(0) { $0 + v[0] + v[1] * $1 })
    case .systems:
      let (x, y) = solution(v)
      return String([x, y, x + y][variant])
    case .bases: return String(v[0], radix: v[1])
    case .primes: return String((v[0]...v[1]).count { smallestFactor($0) == $0 })
    case .congruences: return String(congruence(v))
    case .remainders: return String(number(withRemainders: v))
    case .counts: return String((1...v[2]).count { $0 % v[0] == 0 || $0 % v[1] == 0 })
    }
  }

  /// Euclid's steps (dividend, divisor), largest dividend first, down to the remainder 0.
  static func euclid(_ a: Int, _ b: Int) -> [(Int, Int)] {
    var (high, low) = (max(a, b), min(a, b))
    var steps: [(Int, Int)] = []
    while low != 0 {
      steps.append((high, low))
      (high, low) = (low, high % low)
    }
    return steps
  }

  static func divisor(_ a: Int, _ b: Int) -> Int { euclid(a, b).last?.1 ?? max(a, b) }

  /// The solution of `v[0] x + v[1] y = v[2], v[3] x + v[4] y = v[5]`, which has whole numbers by construction.
  static func solution(_ v: [Int]) -> (x: Int, y: Int) {
    let determinant = v[0] * v[4] - v[1] * v[3]
    return ((v[2] * v[4] - v[1] * v[5]) / determinant, (v[0] * v[5] - v[2] * v[3]) / determinant)
  }

  static func smallestFactor(_ n: Int) -> Int {
    var factor = 2
    while factor * factor <= n {
      if n % factor == 0 { return factor }
      factor += 1
    }
    return n
  }
}

extension CounterRandom {
  /// A whole number in `range`, each as likely (to within 2^-40 for the ranges used here). Written out, because the
  /// standard library does not promise the same numbers in its next version.
  package mutating func integer(_ range: ClosedRange<Int>) -> Int {
    let width = UInt64(range.upperBound - range.lowerBound) + 1
    return range.lowerBound + Int(next().multipliedFullWidth(by: width).high)
  }
}
