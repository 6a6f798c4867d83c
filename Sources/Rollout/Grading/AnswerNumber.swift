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
}

/// An exact number as an answer states it.
struct AnswerNumber: Equatable {
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

  /// Reads an integer, a decimal, `\frac` of whole numbers or `a/b`; nil for everything else. The text has been through
  /// `AnswerText.normalized`.
  init?(_ text: String) {
    guard text.utf8.count <= AnswerText.longest else { return nil }
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

/// Reads the number forms from ASCII text.
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
    if number.form == .integer, take("/") {
      let divisorNegative = sign()
      let divisor = BigNatural(decimal: digits())
      guard !divisor.isZero else { return nil }
      number = AnswerNumber(
        negative: divisorNegative, numerator: number.numerator, denominator: divisor, form: .fraction)
    }
    if negative { number.negative.toggle() }
    return number
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

  /// An integer (commas between groups of three allowed) or decimal.
  private mutating func plain() -> AnswerNumber? {
    var whole = Array(digits())
    if (1...3).contains(whole.count), whole.first != UInt8(ascii: "0") {
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
    return AnswerNumber(
      negative: false, numerator: BigNatural(decimal: whole + fraction),
      denominator: BigNatural(1).timesPowerOfTen(fraction.count), form: form)
  }
}
