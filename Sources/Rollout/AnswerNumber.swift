/// A whole number of any length: base 2^32 digits, least first, no leading zero digit.
struct BigNatural: Equatable {
  private(set) var digits: [UInt32] = []

  init() {}
  init(_ value: UInt32) { if value != 0 { digits = [value] } }

  /// From ASCII decimal digits.
  init(decimal: some Sequence<UInt8>) {
    for byte in decimal { multiplyAdd(10, UInt32(byte - 0x30)) }
  }

  var isZero: Bool { digits.isEmpty }

  private mutating func multiplyAdd(_ factor: UInt32, _ summand: UInt32) {
    var carry = UInt64(summand)
    for index in digits.indices {
      let value = UInt64(digits[index]) * UInt64(factor) + carry
      digits[index] = UInt32(truncatingIfNeeded: value)
      carry = value >> 32
    }
    if carry != 0 { digits.append(UInt32(carry)) }
  }

  func timesPowerOfTen(_ exponent: Int) -> BigNatural {
    var result = self
    for _ in 0..<exponent where !result.isZero { result.multiplyAdd(10, 0) }
    return result
  }

  static func * (left: BigNatural, right: BigNatural) -> BigNatural {
    if left.isZero || right.isZero { return BigNatural() }
    var result = [UInt32](repeating: 0, count: left.digits.count + right.digits.count)
    for (i, a) in left.digits.enumerated() {
      var carry: UInt64 = 0
      for (j, b) in right.digits.enumerated() {
        let value = UInt64(a) * UInt64(b) + UInt64(result[i + j]) + carry
        result[i + j] = UInt32(truncatingIfNeeded: value)
        carry = value >> 32
      }
      result[i + right.digits.count] = UInt32(carry)
    }
    while result.last == 0 { result.removeLast() }
    var product = BigNatural()
    product.digits = result
    return product
  }

  static func + (left: BigNatural, right: BigNatural) -> BigNatural {
    var sum = BigNatural()
    var carry: UInt64 = 0
    for index in 0..<max(left.digits.count, right.digits.count) {
      let a = index < left.digits.count ? UInt64(left.digits[index]) : 0
      let b = index < right.digits.count ? UInt64(right.digits[index]) : 0
      sum.digits.append(UInt32(truncatingIfNeeded: a + b + carry))
      carry = (a + b + carry) >> 32
    }
    if carry != 0 { sum.digits.append(UInt32(carry)) }
    return sum
  }

  /// Good to a few digits; infinite when too large.
  var approximate: Double { digits.reversed().reduce(0) { $0 * 4_294_967_296 + Double($1) } }
}

/// An exact number as an answer states it.
struct AnswerNumber {
  enum Form { case integer, decimal, fraction }
  var negative: Bool
  var numerator: BigNatural
  var denominator: BigNatural
  var form: Form

  /// Equal values: 27.0 = 27, 1/2 = 0.5, -0 = 0.
  static func == (left: AnswerNumber, right: AnswerNumber) -> Bool {
    let a = left.numerator * right.denominator
    let b = right.numerator * left.denominator
    return a == b && (left.negative == right.negative || a.isZero)
  }

  var approximate: Double {
    (negative ? -1 : 1) * numerator.approximate / denominator.approximate
  }

  /// Reads an integer, decimal, scientific, fraction or mixed form; nil for everything else. The text has been through
  /// `AnswerText.normalized`.
  init?(_ text: String) {
    guard text.utf8.count <= 10_000 else { return nil }
    var text = text
    for (found, replacement) in [
      (" \\times", "\\times"), ("\\times ", "\\times"), (" \\cdot", "\\cdot"), ("\\cdot ", "\\cdot"),
    ]
    where text.contains(found) {
      text = text.split(separator: found, omittingEmptySubsequences: false).joined(separator: replacement)
    }
    var reader = NumberReader(text)
    guard let value = reader.value(), reader.atEnd else { return nil }
    self = value
  }

  init(negative: Bool, numerator: BigNatural, denominator: BigNatural, form: Form) {
    self.negative = negative
    self.numerator = numerator
    self.denominator = denominator
    self.form = form
  }
}

/// Reads the number forms from ASCII text without spaces, but for the one inside a mixed number.
private struct NumberReader {
  private let bytes: [UInt8]
  private var index = 0

  init(_ text: String) { bytes = Array(text.utf8) }

  var atEnd: Bool { index == bytes.count }

  private mutating func take(_ word: String) -> Bool {
    let wanted = Array(word.utf8)
    guard index + wanted.count <= bytes.count, bytes[index..<index + wanted.count].elementsEqual(wanted) else {
      return false
    }
    index += wanted.count
    return true
  }

  private mutating func digits() -> ArraySlice<UInt8> {
    let start = index
    while index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39 { index += 1 }
    return bytes[start..<index]
  }

  private mutating func sign() -> Bool {
    if take("-") { return true }
    _ = take("+")
    return false
  }

  mutating func value() -> AnswerNumber? {
    let negative = sign()
    if take("\\frac") {
      guard var fraction = group() else { return nil }
      if negative { fraction.negative.toggle() }
      return fraction
    }
    guard var number = plain() else { return nil }
    if number.form == .integer, !atEnd {
      let mark = index
      let spaced = take(" ")
      if take("\\frac"), let part = group(), !part.negative {
        number = sum(number, part)
      } else {
        index = mark
        if spaced, take(" "), let part = slashed() {
          number = sum(number, part)
        } else {
          index = mark
          if take("/") {
            let divisorNegative = sign()
            let divisor = BigNatural(decimal: digits())
            guard !divisor.isZero else { return nil }
            number = AnswerNumber(
              negative: divisorNegative, numerator: number.numerator, denominator: divisor, form: .fraction)
          }
        }
      }
    }
    if negative { number.negative.toggle() }
    return number
  }

  private func sum(_ whole: AnswerNumber, _ part: AnswerNumber) -> AnswerNumber {
    AnswerNumber(
      negative: false, numerator: whole.numerator * part.denominator + part.numerator, denominator: part.denominator,
      form: .fraction)
  }

  /// `a/b` with whole numbers.
  private mutating func slashed() -> AnswerNumber? {
    let numerator = digits()
    guard !numerator.isEmpty, take("/") else { return nil }
    let denominator = BigNatural(decimal: digits())
    guard !denominator.isZero else { return nil }
    return AnswerNumber(
      negative: false, numerator: BigNatural(decimal: numerator), denominator: denominator, form: .fraction)
  }

  /// What follows `\frac`: two groups in braces or two single digits, whole numbers with a sign.
  private mutating func group() -> AnswerNumber? {
    guard let top = argument(), let bottom = argument(), !bottom.value.isZero else { return nil }
    return AnswerNumber(
      negative: top.negative != bottom.negative, numerator: top.value, denominator: bottom.value, form: .fraction)
  }

  private mutating func argument() -> (negative: Bool, value: BigNatural)? {
    _ = take(" ")
    if take("{") {
      let negative = sign()
      let text = digits()
      return !text.isEmpty && take("}") ? (negative, BigNatural(decimal: text)) : nil
    }
    guard index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39 else { return nil }
    index += 1
    return (false, BigNatural(UInt32(bytes[index - 1] - 0x30)))
  }

  /// An integer (commas between groups of three allowed) or decimal, with an optional power of ten.
  private mutating func plain() -> AnswerNumber? {
    var whole = Array(digits())
    if (1...3).contains(whole.count) {
      while index + 3 < bytes.count, bytes[index] == UInt8(ascii: ",") {
        let mark = index
        index += 1
        let group = digits()
        if group.count != 3 {
          index = mark
          break
        }
        whole += group
      }
    }
    var fraction: ArraySlice<UInt8> = []
    var form = AnswerNumber.Form.integer
    if take(".") {
      fraction = digits()
      form = .decimal
    }
    guard !whole.isEmpty || !fraction.isEmpty else { return nil }
    var exponent = -fraction.count
    let mark = index
    if take("e") || take("E") || take("\\times10^") || take("\\cdot10^") {
      let braced = take("{")
      let negative = sign()
      let text = digits()
      if !text.isEmpty, text.count <= 4, !braced || take("}"), let power = Int(String(decoding: text, as: UTF8.self)) {
        exponent += negative ? -power : power
        form = .decimal
      } else {
        index = mark
      }
    }
    let numerator = BigNatural(decimal: whole + fraction)
    return AnswerNumber(
      negative: false, numerator: exponent > 0 ? numerator.timesPowerOfTen(exponent) : numerator,
      denominator: exponent < 0 ? BigNatural(1).timesPowerOfTen(-exponent) : BigNatural(1), form: form)
  }
}
