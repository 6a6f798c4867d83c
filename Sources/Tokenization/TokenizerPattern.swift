/// The pre-tokenizers' regular expressions as a hand-made scanner. All known ones have the same seven parts:
/// contraction | letters | digits | other characters | line ends | white space that no word follows | white space.
package struct TokenizerPattern: Equatable, Sendable {
  enum Contractions { case anyCase, lowerCase }
  var contractions: Contractions
  /// Before letters: any one character but CR, LF, letters and digits (`[^\r\n\p{L}\p{N}]?`); else ` ?`.
  var lettersTakeAnyPrefix: Bool
  /// Marks (`\p{M}`) count as letters.
  var marksAreLetters = false
  /// Digits taken at once.
  var digits: Int
  /// ` ?` before digits.
  var digitsTakeSpace = false
  /// `[\r\n]*` behind other characters, and `\s*[\r\n]+` as a part of its own.
  var lineEnds: Bool

  /// GPT-2's, which the ByteLevel pre-tokenizer applies where `use_regex` is on.
  package static let gpt2 = TokenizerPattern(
    contractions: .lowerCase, lettersTakeAnyPrefix: false, digits: .max, digitsTakeSpace: true, lineEnds: false)

  /// That of Qwen2, Qwen2.5 and Qwen3.
  static let qwen2 = TokenizerPattern(
    contractions: .anyCase, lettersTakeAnyPrefix: true, digits: 1, lineEnds: true)

  /// Recognises the text of a regular expression part by part; nil if any part is unknown.
  package init?(regex: String) {
    var rest = Substring(regex).utf8
    func take<Choice>(_ choices: [(String, Choice)]) -> Choice? {
      for (text, choice) in choices where rest.starts(with: text.utf8) {
        rest = rest.dropFirst(text.utf8.count)
        return choice
      }
      return nil
    }
    typealias Letters = (anyPrefix: Bool, marks: Bool)
    typealias Digits = (count: Int, space: Bool)
    guard
      let contractions = take([
        (#"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"#, Contractions.anyCase), (#"'(?i:[sdmt]|ll|ve|re)|"#, .anyCase),
        (#"'s|'t|'re|'ve|'m|'ll|'d|"#, .lowerCase), (#"'(?:[sdmt]|ll|ve|re)|"#, .lowerCase),
      ]),
      let letters: Letters = take([
        (#"[^\r\n\p{L}\p{N}]?\p{L}+|"#, (true, false)), (#"[^\r\n\p{L}\p{N}]?+\p{L}+|"#, (true, false)),
        (#"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|"#, (true, true)), (#" ?\p{L}+|"#, (false, false)),
      ]),
      let digits: Digits = take([
        (#"\p{N}|"#, (1, false)), (#"\p{N}{1,3}|"#, (3, false)), (#"\p{N}+|"#, (.max, false)),
        (#" ?\p{N}+|"#, (.max, true)),
      ]),
      let others = take(
        letters.marks
          ? [(#" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|"#, true)]
          : [
            (#" ?[^\s\p{L}\p{N}]+[\r\n]*|"#, true), (#" ?[^\s\p{L}\p{N}]++[\r\n]*|"#, true),
            (#" ?[^\s\p{L}\p{N}]+|"#, false),
          ]),
      !others || take([(#"\s*[\r\n]+|"#, true), (#"\s*[\r\n]|"#, true)]) != nil,
      rest.elementsEqual(#"\s+(?!\S)|\s+"#.utf8)
    else { return nil }
    self.init(
      contractions: contractions, lettersTakeAnyPrefix: letters.anyPrefix, marksAreLetters: letters.marks,
      digits: digits.count, digitsTakeSpace: digits.space, lineEnds: others)
  }

  init(
    contractions: Contractions, lettersTakeAnyPrefix: Bool, marksAreLetters: Bool = false, digits: Int,
    digitsTakeSpace: Bool = false, lineEnds: Bool
  ) {
    self.contractions = contractions
    self.lettersTakeAnyPrefix = lettersTakeAnyPrefix
    self.marksAreLetters = marksAreLetters
    self.digits = digits
    self.digitsTakeSpace = digitsTakeSpace
    self.lineEnds = lineEnds
  }

  /// Where the match that starts at `start` ends: the text's end is that of `bytes`, valid UTF-8. Every text matches.
  func matchEnd(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
    let first = bytes[start]
    if first == UInt8(ascii: "'"), let end = contractionEnd(bytes, from: start + 1) { return end }

    let head = read(bytes, start)
    var next = head.end < bytes.count ? read(bytes, head.end) : Read(end: head.end, properties: [])
    let letters: UnicodeProperties = marksAreLetters ? [.letter, .mark] : .letter
    if !head.properties.isDisjoint(with: letters) { return runEnd(bytes, from: head.end, of: letters) }
    let isPrefix =
      lettersTakeAnyPrefix
      ? first != 0x0d && first != 0x0a && !head.properties.contains(.number) : first == 0x20
    if isPrefix, !next.properties.isDisjoint(with: letters) { return runEnd(bytes, from: next.end, of: letters) }

    if head.properties.contains(.number) { return digitsEnd(bytes, from: head.end, taken: 1) }
    if digitsTakeSpace, first == 0x20, next.properties.contains(.number) {
      return digitsEnd(bytes, from: next.end, taken: 1)
    }

    // Other characters: an empty read (the text's end) is none.
    var other = head
    if first == 0x20 { swap(&other, &next) }
    if other.end > start, isOther(other.properties, letters), first != 0x20 || next.end < other.end {
      var end = other.end
      while end < bytes.count {
        let following = read(bytes, end)
        if !isOther(following.properties, letters) { break }
        end = following.end
      }
      while lineEnds, end < bytes.count, bytes[end] == 0x0d || bytes[end] == 0x0a { end += 1 }
      return end
    }
    return spacesEnd(bytes, from: start)
  }

  private struct Read {
    var end: Int
    var properties: UnicodeProperties
  }

  @inline(__always)
  private func read(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Read {
    let (scalar, length) = decodeScalar(bytes, index)
    return Read(end: index + length, properties: .of(scalar))
  }

  private func isOther(_ properties: UnicodeProperties, _ letters: UnicodeProperties) -> Bool {
    properties.isDisjoint(with: letters.union([.space, .number]))
  }

  private func runEnd(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int, of kind: UnicodeProperties) -> Int {
    var end = start
    while end < bytes.count {
      let next = read(bytes, end)
      if next.properties.isDisjoint(with: kind) { break }
      end = next.end
    }
    return end
  }

  private func digitsEnd(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int, taken: Int) -> Int {
    var (end, taken) = (start, taken)
    while taken < digits, end < bytes.count {
      let next = read(bytes, end)
      if !next.properties.contains(.number) { break }
      end = next.end
      taken += 1
    }
    return end
  }

  /// The end of s, t, m, d, re, ve or ll; the long s (U+017F) is an s where case is ignored, as in the library's
  /// engine.
  private func contractionEnd(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
    func letter(_ index: Int) -> UInt8 {
      guard index < bytes.count else { return 0 }
      let byte = bytes[index]
      return contractions == .anyCase && (0x41...0x5a).contains(byte) ? byte | 0x20 : byte
    }
    switch (letter(start), letter(start + 1)) {
    case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _), (UInt8(ascii: "d"), _):
      return start + 1
    case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
      (UInt8(ascii: "l"), UInt8(ascii: "l")):
      return start + 2
    case (0xc5, 0xbf): return contractions == .anyCase ? start + 2 : nil
    default: return nil
    }
  }

  /// White space from `start` on: up to its last line end; else all but the last character, which the next match takes,
  /// where something follows.
  private func spacesEnd(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
    var (end, last, lineEnd) = (start, start, start)
    while end < bytes.count {
      let next = read(bytes, end)
      if !next.properties.contains(.space) { break }
      if bytes[end] == 0x0d || bytes[end] == 0x0a { lineEnd = next.end }
      last = end
      end = next.end
    }
    if lineEnds, lineEnd > start { return lineEnd }
    return end < bytes.count && last > start ? last : end
  }
}
