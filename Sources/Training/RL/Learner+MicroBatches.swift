import Transformer

extension Learner {
  /// How many leading tokens each sample shares with the sample before it.
  static func sharedCounts(_ samples: [LearningSample]) -> [Int] {
    samples.indices.map { index in
      guard index > 0 else { return 0 }
      let (before, own) = (samples[index - 1], samples[index])
      return PackedTokens.sharedCount((before.tokens, before.prefixLength), (own.tokens, own.prefixLength))
    }
  }

  /// Groups of neighbouring samples with at most `budget` rows when packed. A longer sample stands alone.
  /// - Parameter shared: how many rows each sample shares with the one before it; nil: none.
  static func microBatches(_ lengths: [Int], shared: [Int]? = nil, _ range: Range<Int>, budget: Int) -> [Range<Int>] {
    var batches: [Range<Int>] = []
    var start = range.lowerBound
    var tokens = 0
    for index in range {
      let size = lengths[index] - (index > start ? shared?[index] ?? 0 : 0)
      if index > start, tokens + size > budget {
        batches.append(start..<index)
        start = index
        tokens = lengths[index]
        continue
      }
      tokens += size
    }
    if start < range.upperBound { batches.append(start..<range.upperBound) }
    return batches
  }

  /// Packs the tokens of neighbouring samples for the model.
  static func pack(_ samples: ArraySlice<LearningSample>, sharing: Bool) -> PackedTokens {
    PackedTokens(samples.map(\.tokens), prefixLengths: samples.map { sharing ? $0.prefixLength : 0 })
  }
}
