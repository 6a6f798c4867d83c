/// The opening fence of a code block, as CommonMark 0.31 has it (section 4.5).
struct CodeFence: Sendable, Equatable {
  enum Language { case none, python, other }

  /// Its mark, a backtick or a tilde, and how many of them.
  let mark: UInt8
  let length: Int
  /// Columns of white space before it, which its code lines may repeat.
  let column: Int
  /// The column at which the text of its list item begins; 0 outside of lists.
  let base: Int
  let language: Language
  /// Where in its line it begins.
  let place: Int

  /// The fence that begins at `place` of a line, if one does.
  init?(_ line: ArraySlice<UInt8>, at place: Int, column: Int, base: Int) {
    guard place < line.endIndex, line[place] == 0x60 || line[place] == 0x7E else { return nil }
    mark = line[place]
    let end = line[place...].firstIndex { [mark] in $0 != mark } ?? line.endIndex
    length = end - place
    // With more backticks on the line it begins a code span.
    guard length >= 3, mark != 0x60 || !line[end...].contains(0x60) else { return nil }
    self.column = column
    self.base = base
    self.place = place
    language = Self.language(line[end...])
  }

  /// Whether a line ends the block: at least as many of the same marks and nothing else, indented by at most three
  /// columns.
  func isClosed(by line: [UInt8]) -> Bool {
    let (start, column) = MarkdownLines.indentation(line[...])
    let end = line[start...].firstIndex { $0 != mark } ?? line.endIndex
    return column <= base + 3 && end - start >= length && line[end...].allSatisfy(MarkdownLines.isSpace)
  }

  /// Whether a line that was never ended begins with a closing fence.
  func isBegunToClose(by line: [UInt8]) -> Bool {
    let start = MarkdownLines.indentation(line[...]).place
    return line[start...].prefix { $0 == mark }.count >= length
  }

  /// A line of the block without the fence's own indentation.
  func stripped(_ line: [UInt8]) -> [UInt8] { MarkdownLines.stripped(line[...], columns: column) }

  /// The language of an info string: its first word, also in braces (`{python}`, `{.python}`).
  static func language(_ info: ArraySlice<UInt8>) -> Language {
    var word = firstWord(info)
    if word.isEmpty { return info.allSatisfy(MarkdownLines.isSpace) ? .none : .other }
    for name in ["ipython", "python", "py"] where word.hasPrefix(name) {
      word.removeFirst(name.count)
      return word.isEmpty || word == "3" || word.hasPrefix("3.") ? .python : .other
    }
    return .other
  }

  /// In lower case.
  private static func firstWord(_ info: ArraySlice<UInt8>) -> String {
    var rest = info.drop(while: MarkdownLines.isSpace)
    if rest.first == 0x7B {  // {
      rest = rest.dropFirst().drop(while: MarkdownLines.isSpace)
      if rest.first == 0x23 {  // #name, before Pandoc's classes
        rest = rest.drop { !MarkdownLines.isSpace($0) }.drop(while: MarkdownLines.isSpace)
      }
      if rest.first == 0x2E { rest = rest.dropFirst() }
    }
    let ends: Set<UInt8> = [0x7B, 0x7D, 0x2C, 0x3A, 0x3B]  // { } , : ;
    let word = rest.prefix { !MarkdownLines.isSpace($0) && !ends.contains($0) }
    return String(decoding: word, as: UTF8.self).lowercased()
  }

  /// Whether an info string is a language's name and nothing else.
  static func isBareName(_ info: ArraySlice<UInt8>) -> Bool {
    let rest = info.drop(while: MarkdownLines.isSpace)
    return rest.drop { !MarkdownLines.isSpace($0) }.allSatisfy(MarkdownLines.isSpace)
  }
}
