/// Finds calls between two tags, by the rules of docs/tools.md.
struct TagScanner: CallScanner {
  /// What a format's tags look like, what may follow them, and what they hold.
  struct Form: Sendable {
    let open: [UInt8]
    let close: [UInt8]
    let syntax: LiteralTracker.Syntax
    /// Whether an opening tag with `text` behind it begins a call; nil: more text must tell.
    let begins: @Sendable (_ startsLine: Bool, _ text: [UInt8]) -> Bool?
    /// - Parameter column: what the tag's line is indented by.
    let read: @Sendable (_ text: [UInt8], _ column: Int) -> ToolCall

    init(
      _ name: String, syntax: LiteralTracker.Syntax, begins: @escaping @Sendable (Bool, [UInt8]) -> Bool?,
      read: @escaping @Sendable ([UInt8], Int) -> ToolCall
    ) {
      open = Array("<\(name)>".utf8)
      close = Array("</\(name)>".utf8)
      self.syntax = syntax
      self.begins = begins
      self.read = read
    }
  }

  private enum State {
    case prose
    /// After an opening tag that may be only mentioned.
    case tag(startsLine: Bool)
    case call
  }

  private let form: Form
  private var state = State.prose
  /// The line of prose so far.
  private var line: [UInt8] = []
  private var column = 0
  private var mark = 0
  /// The text after the opening tag, and where its last line begins.
  private var text: [UInt8] = []
  private var textLine = 0
  private var literals: LiteralTracker
  private var layout = ResponseLayout()

  init(_ form: Form) {
    self.form = form
    literals = LiteralTracker(form.syntax)
  }

  var isOpen: Bool { if case .call = state { true } else { false } }
  var pieces: [ResponsePiece] { layout.finished() }

  mutating func push(_ byte: UInt8) -> ToolCall? {
    layout.take(byte)
    switch state {
    case .prose:
      inProse(byte)
      return nil
    case .tag(let startsLine):
      text.append(byte)
      decide(startsLine: startsLine)
      return nil
    case .call: return inCall(byte)
    }
  }

  /// A closing tag inside a string closes the call if the model stops there.
  mutating func stop() -> ToolCall? {
    guard case .call = state, let end = closingTag(endsLine: true) else { return nil }
    return close(at: end)
  }

  mutating func skip(_ length: Int) {
    if case .call = state, let end = closingTag(endsLine: false) { _ = close(at: end) }
    layout.skip(length)
    state = .prose
    line.removeAll(keepingCapacity: true)
    text.removeAll(keepingCapacity: true)
  }

  // MARK: - Prose

  private mutating func inProse(_ byte: UInt8) {
    guard byte != 0x0A else { return line.removeAll(keepingCapacity: true) }
    line.append(byte)
    guard byte == 0x3E, line.suffix(form.open.count).elementsEqual(form.open) else { return }
    let before = line.dropLast(form.open.count)
    let (place, column) = MarkdownLines.indentation(before)
    self.column = place == before.endIndex ? column : 0
    mark = layout.count - form.open.count
    text.removeAll(keepingCapacity: true)
    decide(startsLine: place == before.endIndex || Self.endsInClosingTag(before))
  }

  private mutating func decide(startsLine: Bool) {
    switch form.begins(startsLine, text) {
    case nil: state = .tag(startsLine: startsLine)
    case true?:
      begin(code: layout.count - text.count)
      let behind = text
      text.removeAll(keepingCapacity: true)
      for byte in behind { _ = inCall(byte) }  // white space, a bracket or a fence: none closes it
    case false?:
      state = .prose
      line += text
    }
  }

  private mutating func begin(code: Int) {
    layout.open(mark: mark, code: code, isCode: true)
    state = .call
    literals = LiteralTracker(form.syntax)
    textLine = 0
  }

  /// Such as `</think>`, with white space behind it.
  private static func endsInClosingTag(_ text: ArraySlice<UInt8>) -> Bool {
    guard let last = text.lastIndex(where: { !MarkdownLines.isSpace($0) }), text[last] == 0x3E,
      let first = text[..<last].lastIndex(of: 0x3C)
    else { return false }
    return text[first + 1] == 0x2F
  }

  // MARK: - The call

  private mutating func inCall(_ byte: UInt8) -> ToolCall? {
    text.append(byte)
    let isBroken = literals.push(byte)
    switch byte {
    case 0x3E where text.suffix(form.close.count).elementsEqual(form.close):
      let start = text.count - form.close.count
      guard literals.isInside, !(form.syntax == .python && beginsLine(start)) else { return close(at: start) }
    case 0x3E where text.suffix(form.open.count).elementsEqual(form.open):
      let start = text.count - form.open.count
      if textLine > 0, beginsLine(start), !literals.isInside { beginAgain(at: start) }
    case 0x0A:
      if isBroken, let end = closingTag(endsLine: true) { return close(at: end) }
      textLine = text.count
    default: break
    }
    return nil
  }

  /// An opening tag at the start of a line inside the call: the earlier tag was only mentioned.
  private mutating func beginAgain(at start: Int) {
    column = MarkdownLines.indentation(text[textLine..<start]).column
    mark = layout.count - form.open.count
    text.removeAll(keepingCapacity: true)
    begin(code: layout.count)
  }

  /// Whether only white space comes before `start` on its line.
  private func beginsLine(_ start: Int) -> Bool { text[textLine..<start].allSatisfy(MarkdownLines.isSpace) }

  /// Where the last closing tag of the text's last line begins.
  private func closingTag(endsLine: Bool) -> Int? {
    var start = text.count - form.close.count
    while start >= textLine {
      if text[start..<start + form.close.count].elementsEqual(form.close) {
        let rest = text[(start + form.close.count)...]
        return !endsLine || rest.allSatisfy { MarkdownLines.isSpace($0) || $0 == 0x0A } ? start : nil
      }
      start -= 1
    }
    return nil
  }

  private mutating func close(at end: Int) -> ToolCall {
    defer {
      state = .prose
      line = text.last == 0x0A ? [] : Array(text[end...])  // what follows stands behind a closing tag
      text.removeAll(keepingCapacity: true)
    }
    layout.close(end: layout.count - (text.count - end))
    return form.read(Array(text[..<end]), column)
  }
}
