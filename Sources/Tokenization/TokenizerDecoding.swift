import Support

/// Incremental decoding: what `push` and `finish` return joins up to `decode` of all ids.
public struct StreamingDecoder {
  private let tokenizer: Tokenizer
  private var held: [UInt8] = []

  /// A decoder at the start of a text.
  public init(tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  /// The text that the id completes; bytes that may be the start of a character wait for the next ones.
  public mutating func push(_ id: Int32) -> String {
    held.append(contentsOf: tokenizer.parts.tokens[id])
    let ready = held.count - Self.unfinished(held)
    defer { held.removeFirst(ready) }
    return String(decoding: held[..<ready], as: UTF8.self)
  }

  /// What is still held back; an unfinished character gives U+FFFD.
  public mutating func finish() -> String {
    defer { held.removeAll() }
    return String(decoding: held, as: UTF8.self)
  }

  /// How many bytes at the end are the start of a character whose other bytes may follow.
  private static func unfinished(_ bytes: [UInt8]) -> Int {
    for length in 1...3 where length <= bytes.count {
      let start = bytes.count - length
      let first = bytes[start]
      if first & 0xc0 == 0x80 { continue }
      guard UTF8Sequence.needed(first) > length else { return 0 }
      let fits = (1..<max(length, 1)).allSatisfy { UTF8Sequence.accepts(first, $0, bytes[start + $0]) }
      return fits ? length : 0
    }
    return 0
  }
}
