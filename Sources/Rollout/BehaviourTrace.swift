/// An executed call, as far as behaviour analysis looks at it.
public struct TraceCall: Sendable, Equatable {
  public var output: String
  public var succeeded: Bool
  public init(output: String, succeeded: Bool) {
    self.output = output
    self.succeeded = succeeded
  }
}

/// A response laid out for analysis: prose, code and outputs in the order they were written.
struct BehaviourTrace {
  /// Prose between two pieces of code or tool text, or one code block.
  enum Piece {
    case prose(Range<Int>)
    /// `closed`: the closing fence is there.
    case code(Range<Int>, closed: Bool)
    case tool(Range<Int>)
  }

  /// All that follows the prompt.
  let bytes: [UInt8]
  let pieces: [Piece]
  /// Where hint text lies in `bytes`.
  let hints: [Range<Int>]

  init(_ segments: [TraceSegment]) {
    var bytes: [UInt8] = []
    var pieces: [Piece] = []
    var hints: [Range<Int>] = []
    var start = 0
    for segment in segments where segment.author != .prompt {
      let range = bytes.count..<bytes.count + segment.text.utf8.count
      if segment.author == .tool {
        pieces += Self.fences(bytes, start..<range.lowerBound)
        bytes += segment.text.utf8
        pieces.append(.tool(range))
        start = range.upperBound
      } else {
        bytes += segment.text.utf8
        if segment.author == .hint { hints.append(range) }
      }
    }
    pieces += Self.fences(bytes, start..<bytes.count)
    self.bytes = bytes
    self.pieces = pieces
    self.hints = hints
  }

  func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  /// Splits what one stretch of model and hint text says from its fenced blocks. Only ```` ```python ```` blocks are code;
  /// other fenced blocks are neither code nor prose.
  private static func fences(_ bytes: [UInt8], _ range: Range<Int>) -> [Piece] {
    var pieces: [Piece] = []
    var prose = range.lowerBound
    var index = range.lowerBound
    func isFence(_ at: Int) -> Bool { at + 3 <= range.upperBound && bytes[at..<at + 3].allSatisfy { $0 == 96 } }
    while index < range.upperBound {
      guard isFence(index) else {
        index += 1
        continue
      }
      if prose < index { pieces.append(.prose(prose..<index)) }
      var line = index + 3
      while line < range.upperBound, bytes[line] != 10 { line += 1 }
      let language = String(decoding: bytes[index + 3..<line], as: UTF8.self).lowercased()
      let body = min(line + 1, range.upperBound)
      var end = body
      while end < range.upperBound, !isFence(end) { end += 1 }
      let closed = end < range.upperBound
      if language.hasPrefix("py") { pieces.append(.code(body..<end, closed: closed)) }
      index = closed ? end + 3 : range.upperBound
      while index < range.upperBound, bytes[index] == 10 || bytes[index] == 96 { index += 1 }
      prose = index
    }
    if prose < range.upperBound { pieces.append(.prose(prose..<range.upperBound)) }
    return pieces
  }

  /// What an interpreter printed, without the fences around it.
  static func output(_ text: String) -> String {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    if let first = lines.first, first.hasPrefix("```") { lines.removeFirst() }
    while let last = lines.last, last.isEmpty || last.hasPrefix("```") { lines.removeLast() }
    return lines.joined(separator: "\n")
  }

  static func lastLine(_ output: String) -> String {
    for line in output.split(separator: "\n").reversed() {
      let trimmed = line.trimmingWhitespace
      if !trimmed.isEmpty { return trimmed }
    }
    return ""
  }
}

extension Substring {
  /// Without spaces, tabs and carriage returns at its ends.
  var trimmingWhitespace: String {
    String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
  }
}
