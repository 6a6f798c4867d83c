/// Tracks, byte by byte, whether a place lies inside a string literal of a Python program. A closing tag there closes
/// nothing.
struct LiteralTracker: Sendable {
  enum Syntax: Sendable { case json, python }

  private enum State: Equatable {
    case outside
    case comment
    /// This many quotes in a row, which may begin a string.
    case opening(UInt8, Int)
    case string(UInt8)
    /// Inside a triple-quoted string, after this many of its three closing quotes.
    case long(UInt8, Int)
    /// The text is no program: nothing counts as inside a string any more.
    case broken
  }

  private let syntax: Syntax
  private var state = State.outside
  private var isEscaped = false

  init(_ syntax: Syntax) { self.syntax = syntax }

  var isInside: Bool {
    switch state {
    case .opening(_, let quotes): quotes == 1
    case .string, .long: true
    case .outside, .comment, .broken: false
    }
  }

  /// - Returns: whether this byte is a line end that a string must not have: it was never closed.
  mutating func push(_ byte: UInt8) -> Bool {
    switch state {
    case .broken: return false
    case .outside: outside(byte)
    case .comment: if byte == 0x0A { state = .outside }
    case .opening(let quote, let count):
      if byte == quote {
        state = count == 2 ? .long(quote, 0) : .opening(quote, 2)
      } else if count == 2 {
        outside(byte)
      } else {
        return inString(byte, quote)
      }
    case .string(let quote): return inString(byte, quote)
    case .long(let quote, let count):
      if isEscaped {
        isEscaped = false
      } else if byte == 0x5C {
        isEscaped = true
        state = .long(quote, 0)
      } else {
        state = byte != quote ? .long(quote, 0) : count == 2 ? .outside : .long(quote, count + 1)
      }
    }
    return false
  }

  private mutating func outside(_ byte: UInt8) {
    switch (syntax, byte) {
    case (.json, 0x22): state = .string(byte)
    case (.python, 0x22), (.python, 0x27): state = .opening(byte, 1)
    case (.python, 0x23): state = .comment
    default: state = .outside
    }
  }

  private mutating func inString(_ byte: UInt8, _ quote: UInt8) -> Bool {
    state = .string(quote)
    if isEscaped {
      isEscaped = false
    } else if byte == 0x5C {
      isEscaped = true
    } else if byte == quote {
      state = .outside
    } else if byte == 0x0A {
      state = syntax == .json ? .broken : .outside
      return true
    }
    return false
  }
}
