import Tensor

/// A call of a base text, and the sentence that leads to it.
struct Attempt {
  var sentence = ""
  var code: String
  var output: String
  var failed = false
}

extension DemoText {
  /// How often a writer mends a program that failed. Otherwise he goes on by hand, or trusts what he has by hand.
  static func mending(_ family: ProblemFamily, _ style: Style) -> Double {
    style == .late ? family == .congruences ? 0.9 : 0.6 : 0.5
  }
  /// How often a writer counts by trying every number where a shorter program might do.
  static let thoroughness = 0.2

  /// The calls by which a writer gets the answer. The first may fail; the last one has failed where he gives up.
  /// None where the program that came to his mind would print something wrong: no text does.
  static func attempts(_ problem: GeneratedProblem, style: Style, random: inout CounterRandom) -> [Attempt] {
    let mends = random.uniform() < mending(problem.family, style)
    let first = Attempt(code: code(problem), output: problem.answer)
    switch problem.family {
    case .congruences:
      guard ProblemFamily.commonDivisor(ofCongruence: problem.operands) > 1 else { return [first] }
      let failed = failing(first, "ValueError: base is not invertible for the given modulus")
      return mends ? [failed] + mendedCongruence(problem, random: &random) : [failed]
    case .remainders:
      guard (Int(problem.answer) ?? 0) >= ProblemFamily.firstRange else { return [first] }
      let failed = failing(first, "IndexError: list index out of range")
      guard mends else { return [failed] }
      return [
        failed,
        Attempt(
          sentence: random.choice(Sentences.wider), code: remainderSearch(problem.operands, to: 999),
          output: problem.answer),
      ]
    case .counts:
      let v = problem.operands
      if random.uniform() < thoroughness {
        return [
          Attempt(code: "print(sum(n%\(v[0])*(n%\(v[1]))==0 for n in range(1,\(v[2])+1)))", output: problem.answer)
        ]
      }
      return ExactAnswer.leastMultiple(v[0], v[1]) > v[2] ? [first] : []
    default: return [first]
    }
  }

  /// The same call with the interpreter's text for an error in its only line.
  private static func failing(_ attempt: Attempt, _ message: String) -> Attempt {
    Attempt(
      code: attempt.code, output: "Traceback (most recent call last):\n  line 1: \(attempt.code)\n\(message)",
      failed: true)
  }

  /// Two calls, the second with the number that the first printed.
  private static func mendedCongruence(_ problem: GeneratedProblem, random: inout CounterRandom) -> [Attempt] {
    let (a, m, r) = (problem.operands[0], problem.operands[1], problem.operands[2])
    let divisor = ProblemFamily.commonDivisor(ofCongruence: problem.operands)
    return [
      Attempt(
        sentence: random.choice(Sentences.divisorFirst), code: "import math\nprint(math.gcd(\(a),\(m)))",
        output: String(divisor)),
      Attempt(
        sentence: "The greatest common divisor is \(divisor). We divide by it.",
        code: "print(\(r)//\(divisor)*pow(\(a)//\(divisor),-1,\(m)//\(divisor))%(\(m)//\(divisor)))",
        output: problem.answer),
    ]
  }

  /// The first number below `limit` with the remainders asked for.
  static func remainderSearch(_ v: [Int], to limit: Int) -> String {
    "print([n for n in range(\(limit)) if n%\(v[1])==\(v[0]) and n%\(v[3])==\(v[2])][0])"
  }
}

extension Sentences {
  static let divisorFirst = [
    "Let us find the greatest common divisor first.", "We need the greatest common divisor first.",
  ]
  static let wider = ["Let us try it with numbers to 999.", "We need to try the numbers to 999."]
  static let giveUp = ["Let us do it by hand.", "We need to do it by hand."]
}

extension ProblemFamily {
  /// The obvious search for a number with given remainders ends below this one.
  static let firstRange = 99

  /// What the factor and the modulus of a congruence have in common: above 1, the factor has no inverse.
  static func commonDivisor(ofCongruence v: [Int]) -> Int { ExactAnswer.divisor(v[0], v[1]) }

  /// Factor, modulus and remainder; in three of five problems the factor has no inverse.
  static func congruence(random: inout CounterRandom) -> [Int] {
    let shared = random.integer(1...5) <= 3 ? random.integer(2...9) : 1
    while true {
      let a = shared * random.integer(2...(60 / shared))
      let m = shared * random.integer(7...(98 / shared))
      let x = random.integer(3...11)
      if a >= 11, a < m, m / shared > x, ExactAnswer.divisor(a, m) == shared { return [a, m, a * x % m] }
    }
  }

  /// Two remainders with their moduli; in three of five problems the number lies beyond the obvious search.
  static func remainders(random: inout CounterRandom) -> [Int] {
    let beyond = random.integer(1...5) <= 3
    while true {
      let (b, d) = (random.integer(17...48), random.integer(11...29))
      let n = random.integer(1...(b - 1)) + b * random.integer(2...9)
      guard ExactAnswer.divisor(b, d) == 1, n / b < d, n % d != 0 else { continue }
      if (n >= firstRange) == beyond { return [n % b, b, n % d, d] }
    }
  }

  /// Two divisors and the last number; in half of the problems a number has both.
  static func counts(random: inout CounterRandom) -> [Int] {
    let overlap = random.integer(0...1) == 1
    while true {
      let (a, b, last) = (random.integer(6...19), random.integer(6...19), random.integer(50...98))
      guard a % b != 0, b % a != 0 else { continue }
      if (ExactAnswer.leastMultiple(a, b) <= last) == overlap { return [a, b, last] }
    }
  }
}

extension ExactAnswer {
  static func leastMultiple(_ a: Int, _ b: Int) -> Int { a / divisor(a, b) * b }

  /// The smallest x with `v[0] x mod v[1] = v[2]`.
  static func congruence(_ v: [Int]) -> Int { (0..<v[1]).first { v[0] * $0 % v[1] == v[2] } ?? 0 }

  /// The smallest n with `n mod v[1] = v[0]` and `n mod v[3] = v[2]`.
  static func number(withRemainders v: [Int]) -> Int {
    stride(from: v[0], to: v[1] * v[3], by: v[1]).first { $0 % v[3] == v[2] } ?? 0
  }
}

extension LongHand {
  /// Multiples of the factor, one after the other, until one leaves the remainder.
  mutating func congruence(_ v: [Int], x: Int) {
    for k in 1...x {
      let value = v[0] * k
      lines.append(
        "\(v[0])*\(k)=\(value), \(value)-\(value / v[1])*\(v[1])=\(value % v[1]), the remainder is \(value % v[1]).")
      check("\(value)%\(v[1])", value % v[1])
    }
    lines.append("So x is \(x).")
  }

  /// The numbers with the first remainder, one after the other, until one has the second.
  mutating func remainders(_ v: [Int], number: Int) {
    for n in stride(from: v[0], through: number, by: v[1]) {
      let line = "\(n)-\(n / v[3])*\(v[3])=\(n % v[3]), the remainder is \(n % v[3])."
      lines.append(n < number ? line + " Then \(n)+\(v[1])=\(n + v[1])." : line)
      check("\(n)%\(v[3])", n % v[3])
    }
    lines.append("So the number is \(number).")
  }

  /// The multiples of each divisor; those of both are counted twice.
  mutating func counts(_ v: [Int]) {
    for divisor in v[..<2] {
      let multiples = (1...(v[2] / divisor)).map { "\(divisor)*\($0)=\(divisor * $0)" }
      lines.append(multiples.joined(separator: ", ") + ", so \(v[2] / divisor) numbers.")
      check("\(v[2])//\(divisor)", v[2] / divisor)
    }
    let (multiple, first, second) = (ExactAnswer.leastMultiple(v[0], v[1]), v[2] / v[0], v[2] / v[1])
    let both = v[2] / multiple
    lines.append("The least common multiple is \(multiple), so both divide \(both) numbers.")
    lines.append("So \(first)+\(second)-\(both)=\(first + second - both).")
  }
}
