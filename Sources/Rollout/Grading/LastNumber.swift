/// The last number in a text, as written: `12`, `-1,234.5`, `3/4`, `\frac{3}{4}`; nil without one. It is graded beside
/// the boxed answer, to see how much of a low accuracy is form. It is never a reward.
///
/// Pass the model's own words only, as to `extractAnswer`.
public func extractLastNumber(_ text: String) -> String? {
  let bytes = Array(text.utf8)
  guard let last = bytes.lastIndex(where: { (0x30...0x39).contains($0) }) else { return nil }
  // Only the line that it is in: a regular expression over a long response would be slow.
  let start = max(bytes[..<last].lastIndex(of: 0x0A).map { $0 + 1 } ?? 0, last - 400)
  let end = min(bytes[last...].firstIndex(of: 0x0A) ?? bytes.count, last + 40)
  let line = String(decoding: bytes[start..<end], as: UTF8.self)
  let number =
    #/-?\\[dtc]?frac\s*\{\s*-?\d+\s*\}\s*\{\s*\d+\s*\}|-?\d{1,3}(?:,\d{3})+(?![\d,]\d)(?:\.\d+)?|-?\d*\.?\d+(?:/\d+)?/#
    .asciiOnlyDigits()
  guard let found = line.matches(of: number).last else { return nil }
  let before = line[..<found.range.lowerBound].last
  let written = line[found.range]
  // `5-3` ends in 3, `= -3` in -3.
  if written.first == "-", let before, before.isLetter || before.isNumber || ")]}".contains(before) {
    return String(written.dropFirst())
  }
  return String(written)
}
