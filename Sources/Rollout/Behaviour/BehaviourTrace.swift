/// An executed call, as far as behaviour analysis looks at it.
public struct TraceCall: Sendable, Equatable {
  /// What it printed.
  public var output: String
  /// Whether it ran without an error.
  public var succeeded: Bool
  /// A call with its output.
  public init(output: String, succeeded: Bool) {
    self.output = output
    self.succeeded = succeeded
  }
}

/// A response split for analysis into prose, code and outputs, in order.
struct BehaviourTrace {
  /// The UTF-8 bytes of all that follows the prompt.
  let bytes: [UInt8]
  let pieces: [ResponsePiece]
  /// Where hint text lies in `bytes`.
  let hints: [Range<Int>]

  init(_ segments: [TraceSegment], format: any ToolFormat) {
    var bytes: [UInt8] = []
    var hints: [Range<Int>] = []
    var scanner = format.scanner()
    for segment in segments where segment.author != .prompt {
      let start = bytes.count
      bytes += segment.text.utf8
      if segment.author == .tool {
        scanner.skip(bytes.count - start)
      } else {
        for byte in bytes[start...] { _ = scanner.push(byte) }
        if segment.author == .hint { hints.append(start..<bytes.count) }
      }
    }
    self.bytes = bytes
    pieces = scanner.pieces
    self.hints = hints
  }

  func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

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
