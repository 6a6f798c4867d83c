import Tensor

/// Several sequences laid end to end, without padding: N rows in all. Positions restart at 0 in each sequence, or go on
/// from the end of a prefix that it shares with its neighbours.
public struct PackedTokens: Sendable, Equatable {
  public private(set) var tokens: [Int32] = []
  /// What attends to what; their rows stand end to end over all of `tokens`. A prefix stands before those that go on
  /// from it.
  public private(set) var sequences: [AttentionSequence] = []
  /// By sequence that was given, which of `sequences` ends it.
  private var ends: [Int] = []

  /// Lays the given sequences end to end.
  public init(_ sequences: [[Int32]]) {
    self.init(sequences, prefixLengths: [Int](repeating: 0, count: sequences.count))
  }

  /// Lays the given sequences end to end, and what neighbours begin with only once.
  ///
  /// - Parameter prefixLengths: how many of a sequence's first tokens, not all of them, it may share. Neighbours that
  ///   have the same number there and the same tokens share them.
  public init(_ sequences: [[Int32]], prefixLengths: [Int]) {
    precondition(
      sequences.count == prefixLengths.count,
      "\(sequences.count) sequences, but \(prefixLengths.count) lengths of prefixes")
    var start = 0
    while start < sequences.count {
      let length = prefixLengths[start]
      var end = start + 1
      while end < sequences.count,
        Self.sharedCount((sequences[start], length), (sequences[end], prefixLengths[end])) > 0
      { end += 1 }
      let shared = end - start > 1 ? length : 0
      let prefix = tokens.count..<tokens.count + shared
      if shared > 0 { append(sequences[start][..<shared], prefix: 0..<0) }
      for sequence in sequences[start..<end] {
        append(sequence[shared...], prefix: shared > 0 ? prefix : 0..<0)
        ends.append(self.sequences.count - 1)
      }
      start = end
    }
  }

  /// How many tokens two neighbours, each with the length that it may share, have in common.
  public static func sharedCount(_ a: (tokens: [Int32], prefix: Int), _ b: (tokens: [Int32], prefix: Int)) -> Int {
    let shared = a.prefix
    guard shared == b.prefix, shared > 0, a.tokens.count > shared, b.tokens.count > shared else { return 0 }
    return a.tokens[..<shared] == b.tokens[..<shared] ? shared : 0
  }

  /// Where token `position` of the `index`-th sequence that was given stands.
  public func row(_ index: Int, _ position: Int) -> Int {
    let sequence = sequences[ends[index]]
    let shared = sequence.prefix.count
    return position < shared ? sequence.prefix.lowerBound + position : sequence.rows.lowerBound + position - shared
  }

  private mutating func append(_ part: ArraySlice<Int32>, prefix: Range<Int>) {
    sequences.append(AttentionSequence(rows: tokens.count..<tokens.count + part.count, prefix: prefix))
    tokens += part
  }
}

/// The distribution after row `row` is asked for `token`.
public struct Target: Sendable, Equatable {
  public var row: Int
  public var token: Int32
  /// What logits are divided by. 0, which stands for greedy decoding, is scored as 1.
  public var temperature: Float
  /// The ids that a top-p or top-k filter kept, ascending, `token` among them; the distribution is that over these ids
  /// alone. nil: all ids.
  public var kept: [Int32]?

  public init(row: Int, token: Int32, temperature: Float = 1, kept: [Int32]? = nil) {
    self.row = row
    self.token = token
    self.temperature = temperature
    self.kept = kept
  }
}

/// One log-prob and one entropy (nats) a target.
public struct TargetScores: Sendable, Equatable {
  public var logProbs: [Float]
  public var entropies: [Float]

  public init(logProbs: [Float] = [], entropies: [Float] = []) {
    self.logProbs = logProbs
    self.entropies = entropies
  }
}

/// dLoss / dLogProb and dLoss / dEntropy of one target.
public struct TargetCoefficients: Sendable, Equatable {
  public var logProb: Float
  public var entropy: Float

  public init(logProb: Float, entropy: Float = 0) {
    self.logProb = logProb
    self.entropy = entropy
  }
}
