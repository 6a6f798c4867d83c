/// Solutions worked out by hand, step by step, always arithmetically right.
struct LongHand {
  /// One line a step.
  var lines: [String] = []
  /// Expressions in Python whose value, as Python prints it, some line states.
  var checks: [(code: String, value: String)] = []

  init(_ problem: GeneratedProblem) {
    let v = problem.operands
    switch problem.family {
    case .multiplication: checkedProduct(v[0], v[1])
    case .mixed: mixed(v)
    case .divisors: divisors(v, variant: problem.variant)
    case .powers: powers(base: v[0], exponent: v[1], modulus: v[2])
    case .series: series(first: v[0], difference: v[1], count: v[2])
    case .systems: system(v, variant: problem.variant)
    case .bases: digits(of: v[0], base: v[1])
    case .primes: primes(v[0], v[1])
    case .congruences: congruence(v, x: ExactAnswer.congruence(v))
    case .remainders: remainders(v, number: ExactAnswer.number(withRemainders: v))
    case .counts: counts(v)
    }
  }

  mutating func check(_ code: String, _ value: Int) { checks.append((code, String(value))) }

  private mutating func checkedProduct(_ a: Int, _ b: Int) {
    product(a, b)
    check("\(a)*\(b % 10)", a * (b % 10))
    if b > 9 { check("\(a)*\(b / 10)", a * (b / 10)) }
  }

  /// `a * b` for b below 100: one line a digit of b, then their sum.
  private mutating func product(_ a: Int, _ b: Int) {
    guard b > 9 else { return digitProduct(a, b) }
    digitProduct(a, b % 10)
    digitProduct(a, b / 10)
    if b % 10 != 0 { sum(a * (b % 10), a * (b / 10) * 10) }
  }

  /// `a` times one digit, with carries.
  private mutating func digitProduct(_ a: Int, _ digit: Int) {
    var text = "\(a)*\(digit): "
    var carry = 0
    let figures = String(a).reversed().map { $0.wholeNumberValue ?? 0 }
    for (place, figure) in figures.enumerated() {
      let value = figure * digit + carry
      text += carry > 0 ? "\(figure)*\(digit)+\(carry)=\(value)" : "\(figure)*\(digit)=\(value)"
      carry = value / 10
      if place < figures.count - 1 {
        text += ", write \(value % 10)" + (carry > 0 ? " carry \(carry), " : ", ")
      }
    }
    lines.append(text + ". So \(a)*\(digit)=\(a * digit).")
  }

  /// `a + b`, column by column from the right.
  private mutating func sum(_ a: Int, _ b: Int) {
    var steps: [String] = []
    var (x, y, carry) = (max(a, b), min(a, b), 0)
    while x > 0 {
      let value = x % 10 + y % 10 + carry
      var step = "\(x % 10)"
      if y > 0 { step += "+\(y % 10)" }
      if carry > 0 { step += "+\(carry)" }
      carry = value / 10
      (x, y) = (x / 10, y / 10)
      step += "=\(value)"
      if carry > 0, x > 0 { step += " carry \(carry)" }
      steps.append(step)
    }
    lines.append("\(a)+\(b): " + steps.joined(separator: ", ") + ". So \(a)+\(b)=\(a + b).")
  }

  /// `a - b` for a > b, column by column from the right.
  private mutating func difference(_ a: Int, _ b: Int) {
    var steps: [String] = []
    var (x, y, borrow) = (a, b, 0)
    while x > 0 {
      let short = x % 10 < y % 10 + borrow
      var step = "\(short ? x % 10 + 10 : x % 10)-\(y % 10)"
      if borrow > 0 { step += "-1" }
      step += "=\((short ? x % 10 + 10 : x % 10) - y % 10 - borrow)"
      borrow = short ? 1 : 0
      if short { step += " borrow 1" }
      (x, y) = (x / 10, y / 10)
      steps.append(step)
    }
    lines.append("\(a)-\(b): " + steps.joined(separator: ", ") + ". So \(a)-\(b)=\(a - b).")
  }

  private mutating func mixed(_ v: [Int]) {
    let total = v[0] + v[1]
    sum(v[0], v[1])
    digitProduct(total, v[2])
    difference(total * v[2], v[3])
    check("\(v[0])+\(v[1])", total)
    check("\(total)*\(v[2])", total * v[2])
  }

  private mutating func divisors(_ v: [Int], variant: Int) {
    for (high, low) in ExactAnswer.euclid(v[0], v[1]) {
      let quotient = high / low
      lines.append(
        "\(high) mod \(low): \(low)*\(quotient)=\(low * quotient), "
          + "\(high)-\(low * quotient)=\(high % low), the remainder is \(high % low).")
      check("\(high)%\(low)", high % low)
    }
    let greatest = ExactAnswer.divisor(v[0], v[1])
    lines.append("So the greatest common divisor is \(greatest).")
    if variant == 1 {
      lines.append("Then \(v[0])/\(greatest)=\(v[0] / greatest).")
      product(v[1], v[0] / greatest)
    }
  }

  private mutating func powers(base: Int, exponent: Int, modulus: Int) {
    var power = base % modulus
    for n in 2...exponent {
      let value = power * base
      lines.append(
        "\(base)^\(n): \(power)*\(base)=\(value), "
          + "\(value)-\(value / modulus)*\(modulus)=\(value % modulus), so \(value % modulus).")
      power = value % modulus
      check("\(base)**\(n)%\(modulus)", power)
    }
  }

  private mutating func series(first: Int, difference: Int, count: Int) {
    var (term, total) = (first, first)
    lines.append("Term 1: \(term).")
    for index in 2...count {
      let next = term + difference
      lines.append("Term \(index): \(term)+\(difference)=\(next), sum \(total)+\(next)=\(total + next).")
      (term, total) = (next, total + next)
      check("\(first)+\(difference)*\(index - 1)", term)
    }
  }

  private mutating func system(_ v: [Int], variant: Int) {
    let (x, y) = ExactAnswer.solution(v)
    lines.append(
      "Multiply the first by \(v[3]): \(v[2])*\(v[3])=\(v[2] * v[3]), "
        + "so \(v[0] * v[3])x+\(v[1] * v[3])y=\(v[2] * v[3]).")
    lines.append(
      "Multiply the second by \(v[0]): \(v[5])*\(v[0])=\(v[5] * v[0]), "
        + "so \(v[3] * v[0])x+\(v[4] * v[0])y=\(v[5] * v[0]).")
    check("\(v[2])*\(v[3])", v[2] * v[3])
    check("\(v[5])*\(v[0])", v[5] * v[0])
    var (high, low) = ((v[1] * v[3], v[2] * v[3]), (v[4] * v[0], v[5] * v[0]))
    if high.0 < low.0 { swap(&high, &low) }
    let (count, value) = (high.0 - low.0, high.1 - low.1)
    lines.append(
      "Subtract: \(high.0)-\(low.0)=\(count), \(high.1)-\(low.1)=\(value), so \(count)y=\(value) and y=\(y).")
    lines.append(
      "Then \(v[1])*\(y)=\(v[1] * y), \(v[2])-\(v[1] * y)=\(v[2] - v[1] * y), "
        + "so \(v[0])x=\(v[2] - v[1] * y) and x=\(x).")
    if variant == 2 { lines.append("So x+y=\(x)+\(y)=\(x + y).") }
  }

  private mutating func digits(of number: Int, base: Int) {
    var n = number
    while n > 0 {
      let quotient = n / base
      lines.append(
        "\(n)/\(base): \(base)*\(quotient)=\(base * quotient), \(n)-\(base * quotient)=\(n % base), write \(n % base).")
      check("\(n)%\(base)", n % base)
      n = quotient
    }
    lines.append("So the digits from last to first are \(String(number, radix: base)).")
  }

  private mutating func primes(_ first: Int, _ last: Int) {
    var count = 0
    for n in first...last {
      let factor = ExactAnswer.smallestFactor(n)
      if factor == n {
        count += 1
        lines.append("\(n) is prime, the count is \(count).")
      } else {
        lines.append("\(n)=\(factor)*\(n / factor).")
        check("\(n)//\(factor)", n / factor)
      }
    }
  }
}
