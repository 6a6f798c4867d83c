/// Finds opening fences in lines of prose. It tracks the open list items, since they move a line's left edge.
struct MarkdownLines: Sendable {
  /// The columns at which the text of the open list items begins, outermost first.
  private var items: [Int] = []
  private var isAfterBlank = false

  /// Takes the next line of prose, without its line end.
  /// - Returns: the fence that it opens, if any.
  mutating func fence(in line: [UInt8]) -> CodeFence? {
    let line = line.last == 0x0D ? line.dropLast() : line[...]
    var (place, column) = Self.indentation(line)
    guard place < line.endIndex else {
      isAfterBlank = true
      return nil
    }
    // Only a line that continues a paragraph may stand further left than its list item.
    let isText = CodeFence(line, at: place, column: column, base: 0) == nil
    if isAfterBlank || !isText || Self.marker(line, place, column) != nil { items.removeAll { $0 > column } }
    isAfterBlank = false
    while column - (items.last ?? 0) <= 3, let marker = Self.marker(line, place, column) {
      (place, column) = marker
      items.append(column)
    }
    let base = items.last ?? 0
    if column - base <= 3, let fence = CodeFence(line, at: place, column: column, base: base) { return fence }
    return Self.fenceBehindSentence(line, from: place, base: base)
  }

  /// Our own rule: ```` ```python ```` may also end a line that begins with text.
  private static func fenceBehindSentence(_ line: ArraySlice<UInt8>, from start: Int, base: Int) -> CodeFence? {
    guard let last = line.lastIndex(of: 0x60), CodeFence.isBareName(line[(last + 1)...]) else { return nil }
    var first = last
    while first > start, line[first - 1] == 0x60 { first -= 1 }
    // Behind white space alone it stands too far to the right, behind `>` alone it is quoted: neither opens a block.
    guard line[start..<first].contains(where: { !isSpace($0) && $0 != 0x3E }),
      let fence = CodeFence(line, at: first, column: base, base: base), fence.language == .python,
      !endsCodeSpan(line[start...last])
    else { return nil }
    return fence
  }

  /// Whether the run of backticks that a text ends with closes a code span.
  private static func endsCodeSpan(_ text: ArraySlice<UInt8>) -> Bool {
    var runs: [Int] = []
    for place in text.indices where text[place] == 0x60 {
      let goesOn = place > text.startIndex && text[place - 1] == 0x60
      if goesOn { runs[runs.count - 1] += 1 } else { runs.append(1) }
    }
    // The next run of the same length closes what a run opens.
    var next: [Int?] = []
    var places: [Int: Int] = [:]
    for (place, length) in runs.enumerated().reversed() {
      next.append(places[length])
      places[length] = place
    }
    next.reverse()
    var place = 0
    while place < runs.count - 1 {
      if next[place] == runs.count - 1 { return true }
      place = next[place].map { $0 + 1 } ?? place + 1
    }
    return false
  }

  /// The column at which the text of a list item begins, after a marker at `place`.
  private static func marker(_ line: ArraySlice<UInt8>, _ place: Int, _ column: Int) -> (place: Int, column: Int)? {
    guard place < line.endIndex else { return nil }
    var end = place
    while end < line.endIndex, end - place < 9, (0x30...0x39).contains(line[end]) { end += 1 }
    let marks: Set<UInt8> = end > place ? [0x2E, 0x29] : [0x2D, 0x2A, 0x2B]  // . )   - * +
    guard end < line.endIndex, marks.contains(line[end]) else { return nil }
    end += 1
    let behind = column + end - place
    guard end < line.endIndex else { return (end, behind + 1) }
    guard isBlank(line[end]) else { return nil }
    let text = indentation(line[end...], column: behind)
    // Five spaces or more count as one space before an indented code block.
    return text.place == line.endIndex || text.column - behind > 4 ? (end + 1, behind + 1) : text
  }

  /// Where white space at a line's beginning ends, as a place and as a column (tabs stop at every fourth).
  static func indentation(_ line: ArraySlice<UInt8>, column start: Int = 0) -> (place: Int, column: Int) {
    var (place, column) = (line.startIndex, start)
    while place < line.endIndex, isBlank(line[place]) {
      column += line[place] == 0x09 ? 4 - column % 4 : 1
      place += 1
    }
    return (place, column)
  }

  /// A line without its first `columns` columns of white space.
  static func stripped(_ line: ArraySlice<UInt8>, columns: Int) -> [UInt8] {
    var (place, column) = (line.startIndex, 0)
    while place < line.endIndex, column < columns, isBlank(line[place]) {
      column += line[place] == 0x09 ? 4 - column % 4 : 1
      place += 1
    }
    return [UInt8](repeating: 0x20, count: max(0, column - columns)) + line[place...]
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
  static func isSpace(_ byte: UInt8) -> Bool { isBlank(byte) || byte == 0x0D }
}
