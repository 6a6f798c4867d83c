/// Removes from an answer what never changes its value. (The package `grading` of the Python sources reads everything
/// that is more than a plain number.)
enum AnswerText {
  /// The longest answer in bytes that is read here; the worker reads longer ones.
  static let longest = 10_000

  /// The answer without math delimiters, spacing commands, bracket sizes and a final full stop, and with one name for
  /// fractions.
  static func normalized(_ answer: String) -> String {
    var text = answer.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    for (found, replacement) in replacements where text.contains(found) {
      text = replace(text, found, with: replacement)
    }
    text = stripMathSigns(text)
    if text.hasSuffix("."), !text.hasSuffix("\\."), !text.hasSuffix("..") { text.removeLast() }
    return squeeze(stripMathSigns(text)).split(separator: " ").joined(separator: " ")
  }

  private static let replacements = [
    ("\\dfrac", "\\frac"), ("\\tfrac", "\\frac"), ("\\cfrac", "\\frac"), ("\\left", ""), ("\\right", ""),
    (",\\! ", ","), ("\\!", ""), ("\\,", " "), ("\\;", " "), ("\\:", " "), ("\\ ", " "), ("~", " "), ("{,}", ","),
    ("\\displaystyle", ""), ("\\$", ""), ("{\\circ}", "\\circ"), ("\\degree", "^\\circ"),
    ("\\varnothing", "\\emptyset"),
  ]

  private static func replace(_ text: String, _ found: String, with replacement: String) -> String {
    var rest = Array(text.utf8)[...]
    let needle = Array(found.utf8)
    var result: [UInt8] = []
    while let byte = rest.first {
      if rest.starts(with: needle) {
        let after = rest.dropFirst(needle.count).first
        // `\left` is a command of its own only when no letter follows: `\leftarrow` is another.
        let isWord = needle.first == UInt8(ascii: "\\") && isLetter(needle[needle.count - 1])
        if !(isWord && found != "\\dfrac" && found != "\\tfrac" && found != "\\cfrac" && after.map(isLetter) == true) {
          result += Array(replacement.utf8)
          rest = rest.dropFirst(needle.count)
          continue
        }
      }
      result.append(byte)
      rest = rest.dropFirst()
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A }

  private static func stripMathSigns(_ text: String) -> String {
    var text = text[...]
    while true {
      while text.first == " " { text = text.dropFirst() }
      while text.last == " " { text = text.dropLast() }
      if text.hasPrefix("\\("), text.hasSuffix("\\)"), text.count >= 4 {
        text = text.dropFirst(2).dropLast(2)
      } else if text.hasPrefix("\\["), text.hasSuffix("\\]"), text.count >= 4 {
        text = text.dropFirst(2).dropLast(2)
      } else if text.hasPrefix("$"), text.hasSuffix("$"), text.count >= 2, !text.dropFirst().dropLast().contains("$") {
        text = text.dropFirst().dropLast()
      } else if text.hasPrefix("$$"), text.hasSuffix("$$"), text.count >= 4 {
        text = text.dropFirst(2).dropLast(2)
      } else {
        return String(text)
      }
    }
  }

  /// Removes spaces, except between letters or digits (`\frac 59`, `x y`, `1 1/2`) and between a comma and a digit: `2,
  /// 100` is a list.
  private static func squeeze(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    for (index, byte) in bytes.enumerated() {
      if byte == 0x20, let before = result.last, index + 1 < bytes.count {
        let after = bytes[index + 1]
        func holds(_ byte: UInt8) -> Bool { isLetter(byte) || (byte >= 0x30 && byte <= 0x39) || byte >= 0x80 }
        let between = holds(before) && (holds(after) || after == UInt8(ascii: "\\"))
        if between || before == UInt8(ascii: ",") && (0x30...0x39).contains(after) { result.append(byte) }
      } else if byte != 0x20 {
        result.append(byte)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
