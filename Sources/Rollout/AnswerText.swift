/// Takes the dress off an answer: what never changes its value.
enum AnswerText {
  /// Bytes that are read here; an answer that is longer is math-verify's.
  static let longest = 10_000

  /// Characters that stand for LaTeX or ASCII, and those that nobody sees.
  private static let characters: [Unicode.Scalar: String] = {
    var table: [Unicode.Scalar: String] = [
      "\u{2010}": "-", "\u{2011}": "-", "\u{2012}": "-", "\u{2013}": "-", "\u{2212}": "-", "\u{FE63}": "-",
      "\u{FF0D}": "-", "\u{200B}": "", "\u{200C}": "", "\u{200D}": "", "\u{2060}": "", "\u{FEFF}": "",
      "\u{B0}": "^\\circ",
      "\u{B2}": "^2", "\u{B3}": "^3", "\u{BD}": "\\frac{1}{2}", "\u{BC}": "\\frac{1}{4}", "\u{BE}": "\\frac{3}{4}",
      "\u{2153}": "\\frac{1}{3}", "\u{2154}": "\\frac{2}{3}", "\u{221E}": "\\infty ", "\u{2264}": "\\leq ",
      "\u{2265}": "\\geq ", "\u{2205}": "\\emptyset ", "\u{222A}": "\\cup ", "\u{FF05}": "\\%", "\u{FF0F}": "/",
    ]
    for digit in UInt32(0)..<10 {
      if let wide = Unicode.Scalar(0xFF10 + digit) { table[wide] = String(digit) }
    }
    return table
  }()

  /// With such characters written out.
  static func plain(_ text: String) -> String {
    if text.utf8.allSatisfy({ $0 < 0x80 }) { return text }
    return text.unicodeScalars.reduce(into: "") { $0 += characters[$1] ?? String($1) }
  }

  /// Math signs around it, spacing commands, sizes of brackets, names of the same fraction, a final full stop.
  static func normalized(_ answer: String) -> String {
    var text = plain(answer).split(whereSeparator: \.isWhitespace).joined(separator: " ")
    for (found, replacement) in replacements where text.contains(found) {
      text = replace(text, found, with: replacement)
    }
    text = stripMathSigns(text)
    if text.hasSuffix("."), !text.hasSuffix("\\.") { text.removeLast() }
    text = stripMathSigns(text)
    text = squeeze(text)
    if let inner = wholeArgument(
      of: ["\\text{", "\\textbf{", "\\mathrm{", "\\mathbf{", "\\mbox{", "\\textit{"], in: text)
    {
      text = inner
    }
    return text.split(separator: " ").joined(separator: " ")
  }

  private static let replacements = [
    ("\\dfrac", "\\frac"), ("\\tfrac", "\\frac"), ("\\cfrac", "\\frac"), ("\\left", ""),
    ("\\right", ""), ("\\!", ""), ("\\,", ""), ("\\;", ""), ("\\:", ""), ("\\ ", " "), ("~", " "), ("{,}", ","),
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

  /// Spaces go, but between letters or digits: `\frac 59`, `x y`, `1 1/2`.
  private static func squeeze(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    for (index, byte) in bytes.enumerated() {
      if byte == 0x20, let before = result.last, index + 1 < bytes.count {
        let after = bytes[index + 1]
        func holds(_ byte: UInt8) -> Bool { isLetter(byte) || (byte >= 0x30 && byte <= 0x39) || byte >= 0x80 }
        if holds(before), holds(after) || after == UInt8(ascii: "\\") { result.append(byte) }
      } else if byte != 0x20 {
        result.append(byte)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// The inside of a command that spans all of `text`.
  private static func wholeArgument(of commands: [String], in text: String) -> String? {
    for command in commands where text.hasPrefix(command) && text.hasSuffix("}") {
      let inner = text.dropFirst(command.count).dropLast()
      if !inner.contains("{"), !inner.contains("}") { return String(inner) }
    }
    return nil
  }

  /// Without a unit that cannot change the value: degrees, `\text{...}` words after a number (a power of the unit, `^2`,
  /// included), or one bare word of four letters and more, as in `5 dollars`.
  static func withoutUnit(_ text: String) -> String {
    if text.hasSuffix("^\\circ") { return String(text.dropLast(6)) }
    if text.hasSuffix("^{\\circ}") { return String(text.dropLast(8)) }
    for command in ["\\text{", "\\mathrm{", "\\textrm{", "\\mbox{"] {
      var body = text[...]
      for power in ["^2", "^3", "^{2}", "^{3}"] where body.hasSuffix("}" + power) { body = body.dropLast(power.count) }
      guard body.hasSuffix("}"), let start = body.range(of: command)?.lowerBound, start > body.startIndex else {
        continue
      }
      let unit = body[start...].dropFirst(command.count).dropLast()
      guard isUnit(unit) else { continue }
      return String(text[..<start]).trimmingTrailingSpaces()
    }
    let words = text.split(separator: " ")
    if words.count == 2, words[1].count >= 4, words[0].last?.isNumber == true, isUnit(words[1]) {
      return String(words[0])
    }
    return text
  }

  /// Words that scale what they follow, or name a base, are no units.
  private static let scales: Set<Substring> = [
    "hundred", "thousand", "million", "billion", "trillion", "dozen", "dozens", "score", "percent", "base", "pi",
    "or", "and", "half", "halves", "third", "thirds", "quarter", "quarters", "fourth", "fourths", "fifth", "fifths",
    "tenth", "tenths", "hundredth", "hundredths", "thousandth", "thousandths", "squared", "cubed", "factorial",
    "pair", "pairs", "times", "over", "plus", "minus", "mod", "modulo", "root", "roots",
  ]

  private static func isUnit(_ text: Substring) -> Bool {
    let letters = text.filter { !$0.isWhitespace && $0 != "." }
    guard !letters.isEmpty, letters.allSatisfy({ $0.isLetter && $0.isASCII }) else { return false }
    return text.lowercased().split { !$0.isLetter }.allSatisfy { !scales.contains($0) }
  }

  /// The letter of a choice: `C`, `(C)`, `C.`
  static func choice(_ text: String) -> Character? {
    var text = text[...]
    if text.hasPrefix("("), text.hasSuffix(")") { text = text.dropFirst().dropLast() }
    if let inner = wholeArgument(of: ["\\text{", "\\textbf{", "\\mathrm{"], in: String(text)) { text = inner[...] }
    if text.hasPrefix("("), text.hasSuffix(")") { text = text.dropFirst().dropLast() }
    guard text.count == 1, let letter = text.first, ("A"..."H").contains(letter) else { return nil }
    return letter
  }
}

extension String {
  fileprivate func trimmingTrailingSpaces() -> String {
    var text = self[...]
    while text.last == " " { text = text.dropLast() }
    return String(text)
  }
}
