/// Finds ```` ```python ```` blocks, by the rules of docs/tools.md.
struct FenceScanner: CallScanner {
  private enum Block {
    case none
    case python(CodeFence)
    /// A block that is no call, such as an output that the model made up. Its closing fence opens nothing.
    case other(CodeFence)
  }

  private var block = Block.none
  private var markdown = MarkdownLines()
  private var line: [UInt8] = []
  private var lineStart = 0
  private var code: [UInt8] = []
  private var layout = ResponseLayout()

  var isOpen: Bool { if case .python = block { true } else { false } }
  var pieces: [ResponsePiece] {
    var copy = self
    if !copy.line.isEmpty { _ = copy.endLine() }
    return copy.layout.finished()
  }

  mutating func push(_ byte: UInt8) -> ToolCall? {
    layout.take(byte)
    guard byte == 0x0A else {
      line.append(byte)
      return nil
    }
    return endLine()
  }

  mutating func stop() -> ToolCall? {
    guard case .python(let fence) = block, fence.isClosed(by: line) else { return nil }
    return endLine()
  }

  mutating func skip(_ length: Int) {
    // The model may have stopped right behind a closing fence: its stop token can be text here.
    if case .python(let fence) = block, fence.isBegunToClose(by: line) {
      _ = close()
    } else if !line.isEmpty {
      _ = endLine()
    }
    layout.skip(length)
    block = .none
    code.removeAll(keepingCapacity: true)
    startLine()
  }

  private mutating func endLine() -> ToolCall? {
    defer { startLine() }
    switch block {
    case .python(let fence):
      if fence.isClosed(by: line) { return close() }
      code += fence.stripped(line)
      code.append(0x0A)
    case .other(let fence):
      if fence.isClosed(by: line) {
        layout.close(end: lineStart)
        block = .none
      } else if fence.language == .none, let inner = markdown.fence(in: line), inner.language == .python,
        inner.mark == fence.mark, inner.length >= fence.length
      {
        open(inner)  // nobody opened a block with the lone fence before
      }
    case .none:
      if let fence = markdown.fence(in: line) { open(fence) }
    }
    return nil
  }

  private mutating func open(_ fence: CodeFence) {
    layout.open(mark: lineStart + fence.place, code: layout.count, isCode: fence.language == .python)
    block = fence.language == .python ? .python(fence) : .other(fence)
  }

  private mutating func close() -> ToolCall {
    layout.close(end: lineStart)
    block = .none
    defer { code.removeAll(keepingCapacity: true) }
    return ToolCall(code: String(decoding: code, as: UTF8.self))
  }

  private mutating func startLine() {
    line.removeAll(keepingCapacity: true)
    lineStart = layout.count
  }
}
