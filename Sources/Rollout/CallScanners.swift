/// Finds ```` ```python ```` blocks. An opening fence ends its line and may stand at the line's start or right behind a
/// sentence; a closing fence has its line to itself.
struct FenceScanner: CallScanner {
  private enum State { case prose, python, other }
  private var state = State.prose
  private var line: [UInt8] = []
  private var code: [UInt8] = []

  var isOpen: Bool { state == .python }

  mutating func push(_ byte: UInt8) -> ToolCall? {
    guard byte == 0x0A else {
      line.append(byte)
      return nil
    }
    defer { line.removeAll(keepingCapacity: true) }
    return endLine()
  }

  mutating func stop() -> ToolCall? {
    guard state == .python, Self.isFence(line) else { return nil }
    return endLine()
  }

  private mutating func endLine() -> ToolCall? {
    switch state {
    case .python:
      guard Self.isFence(line) else {
        code += line
        code.append(0x0A)
        return nil
      }
      state = .prose
      defer { code.removeAll(keepingCapacity: true) }
      return ToolCall(code: String(decoding: code, as: UTF8.self))
    case .prose, .other:
      guard let (start, info) = Self.lastFence(line) else { return nil }
      if ["python", "py", "python3"].contains(info) {
        state = .python
      } else if state == .other {
        if info.isEmpty { state = .prose }
      } else if line[..<start].allSatisfy(Self.isSpace) {
        state = .other  // such as an output block that the model made up: its closing fence opens nothing
      }
      return nil
    }
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }

  /// Whether a line is nothing but a fence.
  private static func isFence(_ line: [UInt8]) -> Bool {
    var count = 0
    for byte in line where !isSpace(byte) {
      guard byte == 0x60 else { return false }
      count += 1
    }
    return count >= 3
  }

  /// Where the last three backticks of a line begin, and the word behind them in lower case.
  private static func lastFence(_ line: [UInt8]) -> (start: Int, info: String)? {
    guard let last = line.lastIndex(of: 0x60) else { return nil }
    var start = last
    while start > 0, line[start - 1] == 0x60 { start -= 1 }
    guard last - start >= 2 else { return nil }
    let info = String(decoding: line[(last + 1)...], as: UTF8.self)
    return (start, info.split(whereSeparator: \.isWhitespace).joined(separator: " ").lowercased())
  }
}

/// Finds what stands between two tags.
struct TagScanner: CallScanner {
  private let open: [UInt8]
  private let close: [UInt8]
  private let read: @Sendable (String) -> ToolCall
  private var text: [UInt8] = []
  private(set) var isOpen = false

  init(open: String, close: String, read: @escaping @Sendable (String) -> ToolCall) {
    self.open = Array(open.utf8)
    self.close = Array(close.utf8)
    self.read = read
  }

  mutating func push(_ byte: UInt8) -> ToolCall? {
    text.append(byte)
    let tag = isOpen ? close : open
    guard byte == tag[tag.count - 1], text.count >= tag.count, text.suffix(tag.count).elementsEqual(tag) else {
      // Of prose only what may be the tag's beginning matters.
      if !isOpen, text.count > 4096 { text.removeFirst(text.count - open.count) }
      return nil
    }
    defer {
      isOpen.toggle()
      text.removeAll(keepingCapacity: true)
    }
    return isOpen ? read(String(decoding: text.dropLast(close.count), as: UTF8.self)) : nil
  }

  mutating func stop() -> ToolCall? { nil }
}
