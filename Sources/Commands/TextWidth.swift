extension Character {
  /// Columns of a terminal that this takes: 2 for East Asian and emoji, 0 for what joins the character before it.
  var columns: Int { unicodeScalars.reduce(0) { max($0, $1.columns) } }
}

extension Unicode.Scalar {
  fileprivate var columns: Int {
    switch properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control: return 0
    default: break
    }
    if properties.isEmojiPresentation { return 2 }
    return Self.wide.contains { $0.contains(value) } ? 2 : 1
  }

  /// Wide and fullwidth characters of Unicode's East Asian Width (UAX #11), in whole blocks.
  private static let wide: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF,
    0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF, 0x1AFF0...0x1B2FF, 0x1F200...0x1F2FF,
    0x20000...0x3FFFD,
  ]
}

extension String {
  /// Columns of a terminal that this takes.
  var columns: Int { reduce(0) { $0 + $1.columns } }

  /// The beginning that fits into `limit` columns, with `…` at its end where something is missing.
  func fitted(_ limit: Int) -> String {
    guard columns > limit else { return self }
    guard limit > 0 else { return "" }
    var text = ""
    var width = 1
    for character in self {
      guard width + character.columns <= limit else { break }
      width += character.columns
      text.append(character)
    }
    return text + "…"
  }
}
