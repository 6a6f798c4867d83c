/// A sentence of prose in a response, with what it calculates by hand.
struct ProseSentence: Sendable {
  /// UTF-8 bytes of the response: from right behind the last sentence's end (a space before the first word belongs to
  /// this sentence) to behind the full stop and any line breaks.
  let range: Range<Int>
  /// In lower case, non-ASCII characters left out.
  let words: String
  /// Equations between numbers in which something is calculated: `12*13=156`, "7 times 8 is 56", `\frac{12}{4} = 3`.
  let steps: Int
  /// The numbers those equations end in.
  let results: [String]

  /// Cuts prose into sentences: at line breaks, and at full stops, question and exclamation marks before white space.
  static func split(_ bytes: [UInt8], in prose: Range<Int>) -> [ProseSentence] {
    var sentences: [ProseSentence] = []
    var start = prose.lowerBound
    var index = start
    func isBreak(_ at: Int) -> Bool { at < prose.upperBound && (bytes[at] == 10 || bytes[at] == 13) }
    while index < prose.upperBound {
      let byte = bytes[index]
      index += 1
      let next = index < prose.upperBound ? bytes[index] : 32
      let stop = (byte == 46 || byte == 63 || byte == 33) && (next == 32 || next == 10 || next == 13)
      guard stop || isBreak(index - 1) else { continue }
      while isBreak(index) { index += 1 }
      sentences.append(ProseSentence(bytes, start..<index))
      start = index
    }
    if start < prose.upperBound { sentences.append(ProseSentence(bytes, start..<prose.upperBound)) }
    return sentences
  }

  private init(_ bytes: [UInt8], _ range: Range<Int>) {
    self.range = range
    words = String(
      decoding: bytes[range].filter { $0 < 128 }.map { $0 >= 65 && $0 <= 90 ? $0 + 32 : $0 }, as: UTF8.self)
    var reader = EquationReader()
    reader.read(bytes, range)
    steps = reader.steps
    results = reader.results
  }

  /// Whether one of `phrases` occurs.
  func says(_ phrases: [String]) -> Bool { phrases.contains { words.contains($0) } }
}

/// Finds the equations of a sentence. Sides are runs of numbers, operators and brackets; a word ends a run, and so does
/// a number with a letter behind it (`4y`), so that algebra is not taken for arithmetic.
private struct EquationReader {
  private struct Side {
    var numbers = 0
    var operators = 0
    var last = ""
    var isExpression: Bool { numbers >= 2 && operators >= 1 }
  }

  var steps = 0
  var results: [String] = []
  private var left: Side?
  private var side = Side()

  mutating func read(_ bytes: [UInt8], _ range: Range<Int>) {
    var index = range.lowerBound
    while index < range.upperBound {
      let byte = bytes[index]
      switch byte {
      case 48...57: index = number(bytes, index, range.upperBound)
      case 65...90, 97...122:
        var end = index
        while end < range.upperBound, Self.isLetter(bytes[end]) { end += 1 }
        word(String(decoding: bytes[index..<end], as: UTF8.self).lowercased())
        index = end
      case 43, 45, 42, 47, 94, 37:  // + - * / ^ %
        side.operators += 1
        index += 1
      case 61:  // =
        equals()
        index += 1
      case 0xC2, 0xC3, 0xE2: index = symbol(bytes, index, range.upperBound)
      case 32, 36, 40, 41, 91, 92, 93, 123, 125: index += 1  // space $ ( ) [ \ ] { }
      default:
        end()
        index += 1
      }
    }
    end()
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte) || (97...122).contains(byte) }

  private mutating func number(_ bytes: [UInt8], _ start: Int, _ limit: Int) -> Int {
    var index = start
    var text = ""
    while index < limit {
      let byte = bytes[index]
      if (48...57).contains(byte) || byte == 46 {
        if byte == 46, !(index + 1 < limit && (48...57).contains(bytes[index + 1])) { break }
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else if byte != 44 || !Self.isThousands(bytes, index, limit) {
        break
      }
      index += 1
    }
    if index < limit, Self.isLetter(bytes[index]) {
      while index < limit, Self.isLetter(bytes[index]) { index += 1 }
      end()
      return index
    }
    side.numbers += 1
    side.last = text
    return index
  }

  /// A comma with exactly three digits behind it.
  private static func isThousands(_ bytes: [UInt8], _ comma: Int, _ limit: Int) -> Bool {
    guard comma + 3 < limit, (comma + 1...comma + 3).allSatisfy({ (48...57).contains(bytes[$0]) }) else { return false }
    return comma + 4 >= limit || !(48...57).contains(bytes[comma + 4])
  }

  private mutating func word(_ word: String) {
    switch word {
    case "times", "plus", "minus", "mod", "modulo", "divided", "multiplied", "cdot", "div", "pmod", "bmod", "frac",
      "dfrac":
      side.operators += 1
    case "squared", "cubed":
      side.numbers += 1
      side.operators += 1
    case "by", "left", "right": break
    case "is", "equals", "gives", "approx", "equiv", "makes":
      if side.isExpression { equals() } else { end() }
    default: end()
    }
  }

  private mutating func symbol(_ bytes: [UInt8], _ index: Int, _ limit: Int) -> Int {
    let second = index + 1 < limit ? bytes[index + 1] : 0
    let third = index + 2 < limit ? bytes[index + 2] : 0
    switch (bytes[index], second, third) {
    case (0xC3, 0x97, _), (0xC3, 0xB7, _), (0xC2, 0xB7, _):  // × ÷ ·
      side.operators += 1
      return index + 2
    case (0xE2, 0x88, 0x92), (0xE2, 0x8B, 0x85):  // − ⋅
      side.operators += 1
      return index + 3
    case (0xE2, 0x89, 0x88), (0xE2, 0x89, 0xA1):  // ≈ ≡
      equals()
      return index + 3
    default:
      end()
      return index + (bytes[index] == 0xE2 ? 3 : 2)
    }
  }

  private mutating func equals() {
    close()
    left = side
    side = Side()
  }

  private mutating func end() {
    close()
    left = nil
    side = Side()
  }

  /// Counts the equation between `left` and `side`, if there is one.
  private mutating func close() {
    guard let left, left.numbers > 0, side.numbers > 0, left.isExpression || side.isExpression else { return }
    steps += 1
    results.append(side.isExpression ? left.last : side.last)
  }
}
