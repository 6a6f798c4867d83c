import Tensor

/// Several sequences laid end to end, without padding: N rows in all. In each sequence, positions start at 0, or at the
/// end of a prefix that it shares with its neighbours.
public struct PackedTokens: Sendable, Equatable {
  /// All rows' tokens.
  public private(set) var tokens: [Int32] = []
  /// Which rows attend to which. Their rows follow each other over all of `tokens`; a prefix comes before the sequences
  /// that continue it.
  public private(set) var sequences: [AttentionSequence] = []
  /// For each sequence given to `init`: which of `sequences` holds its end.
  private var ends: [Int] = []

  /// Lays the given sequences end to end.
  public init(_ sequences: [[Int32]]) {
    self.init(sequences, prefixLengths: [Int](repeating: 0, count: sequences.count))
  }

  /// Lays the given sequences end to end; what neighbours share at their start is stored once.
  ///
  /// - Parameter prefixLengths: how many of its first tokens each sequence may share; fewer than it has. Neighbours
  ///   with the same number and the same tokens share them.
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

  /// The row of token `position` of the sequence given as number `index`.
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

/// A question to the model: how probable is `token` after row `row`?
public struct Target: Sendable, Equatable {
  /// The row whose hidden state makes the logits.
  public var row: Int
  /// The id whose log-prob is asked for.
  public var token: Int32
  /// What logits are divided by. 0, which stands for greedy decoding, is scored as 1.
  public var temperature: Float
  /// The ids that a top-p or top-k filter kept, ascending, `token` among them; the distribution is that over these ids
  /// alone. nil: all ids.
  public var kept: [Int32]?
  /// How many of the row's likeliest tokens to report; 0: none.
  public var likeliest = 0
  /// Ids from here on are no such tokens; nil: all may be.
  public var likeliestBelow: Int?
  /// What a teacher says of the row; nil: there is none.
  public var teacher: Teacher?

  /// A teacher's view of a row, on the way to a loss with the reverse KL to it.
  public struct Teacher: Sendable, Equatable {
    /// The teacher's likeliest tokens of this row.
    public var view: TopLogProbs
    /// dLoss / dKL.
    public var coefficient: Float

    /// A view and its weight in the loss.
    public init(_ view: TopLogProbs, coefficient: Float) {
      self.view = view
      self.coefficient = coefficient
    }
  }

  /// A target of the plain distribution, or of a tempered and filtered one.
  public init(row: Int, token: Int32, temperature: Float = 1, kept: [Int32]? = nil) {
    self.row = row
    self.token = token
    self.temperature = temperature
    self.kept = kept
  }
}

/// One log-prob and one entropy (nats) a target.
public struct TargetScores: Sendable, Equatable {
  /// Log-probs, in the order of the targets.
  public var logProbs: [Float]
  /// Entropies of the distributions.
  public var entropies: [Float]
  /// The likeliest tokens of each target's row; empty where no target asks for them.
  public var likeliest: [TopLogProbs] = []
  /// The reverse KL of each target to its teacher, 0 without one; empty where no target has a teacher.
  public var divergences: [Double] = []

  /// Scores, one of each kind a target.
  public init(logProbs: [Float] = [], entropies: [Float] = []) {
    self.logProbs = logProbs
    self.entropies = entropies
  }
}

/// dLoss / dLogProb and dLoss / dEntropy of one target.
public struct TargetCoefficients: Sendable, Equatable {
  /// dLoss / dLogProb.
  public var logProb: Float
  /// dLoss / dEntropy.
  public var entropy: Float

  /// Coefficients of one target.
  public init(logProb: Float, entropy: Float = 0) {
    self.logProb = logProb
    self.entropy = entropy
  }
}
