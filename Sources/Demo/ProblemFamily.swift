/// The kinds of generated problems.
public enum ProblemFamily: String, CaseIterable, Codable, Sendable {
  /// A three-digit number times a two-digit one. Operands: a, b.
  case multiplication
  /// `(a + b) * c - d`. Operands: a, b, c, d.
  case mixed
  /// Greatest common divisor (variant 0) or least common multiple (variant 1). Operands: a, b.
  case divisors
  /// `a^n mod m`. Operands: a, n, m.
  case powers
  /// The sum of the first n terms of an arithmetic series. Operands: first term a, difference d, n.
  case series
  /// `ax + by = e, cx + dy = f`; asked are x (variant 0), y (1) or x + y (2). Operands: a, b, e, c, d, f.
  case systems
  /// A number written in a smaller base. Operands: n, base.
  case bases
  /// How many primes lie from a to b, both included. Operands: a, b.
  case primes
  /// The smallest x with `ax mod m = r`. The obvious program fails where a has no inverse. Operands: a, m, r.
  case congruences
  /// The smallest n with `n mod b = a` and `n mod d = c`. The obvious program does not search far enough for the larger
  /// ones. Operands: a, b, c, d.
  case remainders
  /// How many numbers from 1 to c have a divisor among a and b. The shortest program is right where none has both.
  /// Operands: a, b, c.
  case counts

  /// How many questions can be asked about one set of operands.
  var variantCount: Int {
    switch self {
    case .divisors: 2
    case .systems: 3
    default: 1
    }
  }

  /// The wordings of a question; `{a}`, `{b}`, ... stand for the operands in their order, `{q}` for what a system asks.
  func wordings(variant: Int) -> [String] {
    switch self {
    case .multiplication: Wordings.multiplication
    case .mixed: Wordings.mixed
    case .divisors: variant == 0 ? Wordings.greatestDivisor : Wordings.leastMultiple
    case .powers: Wordings.powers
    case .series: Wordings.series
    case .systems: Wordings.systems
    case .bases: Wordings.bases
    case .primes: Wordings.primes
    case .congruences: Wordings.congruences
    case .remainders: Wordings.remainders
    case .counts: Wordings.counts
    }
  }

  /// The wordings from this index on are held out: the demo's own training never shows them.
  /// They put known words together in a new way.
  static let heldOutWordings = 5
}

/// Five wordings to train on, then three that are held out.
private enum Wordings {
  static let multiplication = [
    "Compute {a} times {b}.", "What is {a} multiplied by {b}?", "Find the product of {a} and {b}.",
    "Calculate {a}*{b}.", "Multiply {a} by {b}. What is the result?",
    "What is the product of {a} and {b}?", "Find {a} times {b}.", "Compute {a} multiplied by {b}.",
  ]
  static let mixed = [
    "Compute ({a}+{b})*{c}-{d}.", "What is the value of ({a}+{b})*{c}-{d}?",
    "Add {a} and {b}, multiply the sum by {c}, then subtract {d}. What is the result?",
    "Multiply the sum of {a} and {b} by {c} and subtract {d}.", "Calculate the value of ({a}+{b})*{c}-{d}.",
    "Find the value of ({a}+{b})*{c}-{d}.", "Add {a} and {b}, then multiply the sum by {c} and subtract {d}.",
    "Calculate ({a}+{b})*{c}-{d}.",
  ]
  static let greatestDivisor = [
    "Find the greatest common divisor of {a} and {b}.", "What is the greatest common divisor of {a} and {b}?",
    "Compute gcd({a},{b}).", "What is the largest number that divides both {a} and {b}?",
    "Calculate the greatest common divisor of the numbers {a} and {b}.",
    "Compute the greatest common divisor of {a} and {b}.", "What is gcd({a},{b})?",
    "Find the largest number that divides both {a} and {b}.",
  ]
  static let leastMultiple = [
    "Find the least common multiple of {a} and {b}.", "What is the least common multiple of {a} and {b}?",
    "Compute lcm({a},{b}).", "What is the smallest number that both {a} and {b} divide?",
    "Calculate the least common multiple of the numbers {a} and {b}.",
    "Compute the least common multiple of {a} and {b}.", "What is lcm({a},{b})?",
    "Find the smallest number that both {a} and {b} divide.",
  ]
  static let powers = [
    "Find the remainder when {a}^{b} is divided by {c}.", "What is {a}^{b} mod {c}?",
    "Compute {a}^{b} modulo {c}.", "What remainder do we get when we divide {a}^{b} by {c}?",
    "Calculate the remainder of {a}^{b} divided by {c}.",
    "What is the remainder when {a}^{b} is divided by {c}?", "Find {a}^{b} modulo {c}.",
    "Compute the remainder when we divide {a}^{b} by {c}.",
  ]
  static let series = [
    "Find the sum of the first {c} terms of the arithmetic series with first term {a} and difference {b}.",
    "An arithmetic series starts with {a} and has difference {b}. What is the sum of its first {c} terms?",
    "Add the first {c} terms of the arithmetic series that starts with {a} and has difference {b}.",
    "The first term of an arithmetic series is {a} and the difference is {b}. Find the sum of the first {c} terms.",
    "What is the sum of {c} terms of an arithmetic series with first term {a} and difference {b}?",
    "What is the sum of the first {c} terms of the arithmetic series that starts with {a} and has difference {b}?",
    "An arithmetic series starts with {a} and the difference is {b}. Find the sum of its first {c} terms.",
    "Add the first {c} terms of an arithmetic series with first term {a} and difference {b}.",
  ]
  static let systems = [
    "Solve {a}x+{b}y={c} and {d}x+{e}y={f}. What is {q}?", "If {a}x+{b}y={c} and {d}x+{e}y={f}, find {q}.",
    "Find {q} when {a}x+{b}y={c} and {d}x+{e}y={f}.", "Solve the system {a}x+{b}y={c}, {d}x+{e}y={f} and find {q}.",
    "What is {q} if {a}x+{b}y={c} and {d}x+{e}y={f}?",
    "Find {q} if {a}x+{b}y={c} and {d}x+{e}y={f}.", "If {a}x+{b}y={c} and {d}x+{e}y={f}, find the value of {q}.",
    "Solve {a}x+{b}y={c}, {d}x+{e}y={f} and find {q}.",
  ]
  static let bases = [
    "Write {a} in base {b}.", "Convert {a} to base {b}.", "What is {a} in base {b}?",
    "Find the digits of {a} in base {b}.", "How do we write {a} in base {b}?",
    "Find {a} in base {b}.", "Convert the number {a} to base {b}.", "What are the digits of {a} in base {b}?",
  ]
  static let primes = [
    "How many primes are there from {a} to {b}?", "Count the primes from {a} to {b}.",
    "Find the number of primes from {a} to {b}.", "What is the number of primes between {a} and {b} inclusive?",
    "How many numbers from {a} to {b} are prime?",
    "What is the number of primes from {a} to {b}?", "Calculate the number of primes from {a} to {b}.",
    "Count the numbers from {a} to {b} that are prime.",
  ]
  static let congruences = [
    "Solve {a}x mod {b}={c}. What is the smallest x?", "Find the smallest x with {a}x mod {b}={c}.",
    "What is the smallest x if {a}x mod {b}={c}?", "If {a}x mod {b}={c}, what is the smallest number x?",
    "The remainder of {a}x divided by {b} is {c}. Find the smallest x.",
    "Find the smallest x if {a}x mod {b}={c}.", "What is the smallest number x with {a}x mod {b}={c}?",
    "Solve {a}x mod {b}={c} and find the smallest x.",
  ]
  static let remainders = [
    "Find the smallest number with remainder {a} when divided by {b} and remainder {c} when divided by {d}.",
    "What is the smallest n with n mod {b}={a} and n mod {d}={c}?",
    "Find the smallest n if n mod {b}={a} and n mod {d}={c}.",
    "If n mod {b}={a} and n mod {d}={c}, what is the smallest n?",
    "What is the smallest number that has remainder {a} when divided by {b} and {c} when divided by {d}?",
    "Find the smallest n with n mod {b}={a} and n mod {d}={c}.",
    "What is the smallest number with remainder {a} when divided by {b} and remainder {c} when divided by {d}?",
    "If n mod {b}={a} and n mod {d}={c}, find the smallest n.",
  ]
  static let counts = [
    "Count the numbers from 1 to {c} that {a} or {b} divides.",
    "How many numbers from 1 to {c} can be divided by {a} or {b}?",
    "Find the number of numbers from 1 to {c} that {a} or {b} divides.",
    "What is the count of the numbers from 1 to {c} that {a} or {b} divides?",
    "How many of the numbers from 1 to {c} does {a} or {b} divide?",
    "How many numbers from 1 to {c} does {a} or {b} divide?",
    "Count the numbers from 1 to {c} that can be divided by {a} or {b}.",
    "Find the count of the numbers from 1 to {c} that {a} or {b} divides.",
  ]
}
