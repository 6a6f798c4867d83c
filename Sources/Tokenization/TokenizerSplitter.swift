import Support

/// The pre-tokenizer: cuts text into the words that are merged one by one.
package struct TokenizerSplitter: Sendable {
  package enum Stage: Equatable, Sendable {
    case pattern(TokenizerPattern)
    /// Digits apart from all else, one by one or in runs.
    case digits(individual: Bool)
    /// A space put before every piece that does not start with one.
    case prefixSpace
  }
  package var stages: [Stage] = []

  package init(stages: [Stage] = []) { self.stages = stages }

  package func split(_ text: UnsafeBufferPointer<UInt8>, word: (UnsafeBufferPointer<UInt8>) -> Void) {
    guard !text.isEmpty else { return }
    if stages.count == 1, case .pattern(let pattern) = stages[0] {
      var start = 0
      while start < text.count {
        let end = pattern.matchEnd(text, from: start)
        word(UnsafeBufferPointer(rebasing: text[start..<end]))
        start = end
      }
    } else {
      apply(stages[...], text, word)
    }
  }

  private func apply(
    _ stages: ArraySlice<Stage>, _ text: UnsafeBufferPointer<UInt8>, _ word: (UnsafeBufferPointer<UInt8>) -> Void
  ) {
    guard let stage = stages.first else { return word(text) }
    let rest = stages.dropFirst()
    if case .prefixSpace = stage {
      guard text[0] != 0x20 else { return apply(rest, text, word) }
      return ([0x20] + text).withUnsafeBufferPointer { apply(rest, $0, word) }
    }
    var start = 0
    while start < text.count {
      // A piece's end is the end of text for the stages behind.
      let end = Self.pieceEnd(stage, text, from: start)
      apply(rest, UnsafeBufferPointer(rebasing: text[start..<end]), word)
      start = end
    }
  }

  private static func pieceEnd(_ stage: Stage, _ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
    switch stage {
    case .pattern(let pattern): return pattern.matchEnd(text, from: start)
    case .prefixSpace: return text.count
    case .digits(let individual):
      let (first, length) = decodeScalar(text, start)
      let numeric = UnicodeProperties.of(first).contains(.numeric)
      var end = start + length
      while end < text.count, !(numeric && individual) {
        let (scalar, length) = decodeScalar(text, end)
        if UnicodeProperties.of(scalar).contains(.numeric) != numeric { break }
        end += length
      }
      return end
    }
  }
}
