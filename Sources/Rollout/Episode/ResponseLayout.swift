/// A stretch of a response. Ranges are UTF-8 bytes from the response's first byte.
public enum ResponsePiece: Sendable, Equatable {
  /// Prose between two calls or outputs.
  case prose(Range<Int>)
  /// The code between the marks of a call. `closed`: the closing mark is there.
  case code(Range<Int>, closed: Bool)
  /// What a tool returned, with its frame.
  case tool(Range<Int>)
}

/// Splits a response into pieces while it is scanned. Marks, line ends after a closing mark, and blocks that are not
/// code belong to no piece.
struct ResponseLayout: Sendable {
  private enum Kind { case prose, code, other }

  private(set) var pieces: [ResponsePiece] = []
  /// Bytes taken so far.
  private(set) var count = 0
  private var kind = Kind.prose
  /// Where the prose begins that is not in `pieces` yet, and where the opening mark of a block ends it.
  private var proseStart = 0
  private var mark = 0
  private var codeStart = 0
  private var isBehindMark = false

  mutating func take(_ byte: UInt8) {
    count += 1
    guard isBehindMark else { return }
    if byte == 0x0A { proseStart = count } else { isBehindMark = false }
  }

  /// A block begins, or begins again because its first mark was only prose.
  /// - Parameters:
  ///   - mark: where its opening mark begins.
  ///   - code: where that ends.
  mutating func open(mark: Int, code: Int, isCode: Bool) {
    if kind != .other { self.mark = mark }
    codeStart = code
    kind = isCode ? .code : .other
    isBehindMark = false
  }

  /// The block's closing mark began at `end` and is complete.
  mutating func close(end: Int) {
    endBlock(at: end, closed: true)
    isBehindMark = true
  }

  /// `length` bytes of a tool follow.
  mutating func skip(_ length: Int) {
    endBlock(at: count, closed: false)
    pieces.append(.tool(count..<count + length))
    count += length
    proseStart = count
    isBehindMark = false
  }

  /// All pieces, the last one up to here.
  func finished() -> [ResponsePiece] {
    var copy = self
    copy.endBlock(at: count, closed: false)
    return copy.pieces
  }

  private mutating func endBlock(at end: Int, closed: Bool) {
    let proseEnd = kind == .prose ? count : mark
    if proseStart < proseEnd { pieces.append(.prose(proseStart..<proseEnd)) }
    if kind == .code { pieces.append(.code(codeStart..<max(codeStart, end), closed: closed)) }
    kind = .prose
    proseStart = count
    isBehindMark = false
  }
}
