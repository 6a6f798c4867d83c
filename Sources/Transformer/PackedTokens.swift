/// Several sequences laid end to end, without padding: N rows in all. Positions restart at 0 in each sequence.
public struct PackedTokens: Sendable, Equatable {
  public var tokens: [Int32]
  /// The rows of each sequence, ascending, end to end over all of `tokens`.
  public var sequences: [Range<Int>]

  public init(tokens: [Int32], sequences: [Range<Int>]) {
    self.tokens = tokens
    self.sequences = sequences
  }

  /// Lays the given sequences end to end.
  public init(_ sequences: [[Int32]]) {
    tokens = []
    self.sequences = []
    for sequence in sequences {
      self.sequences.append(tokens.count..<tokens.count + sequence.count)
      tokens += sequence
    }
  }
}

/// The distribution after row `row` is asked for `token`.
public struct Target: Sendable, Equatable {
  public var row: Int
  public var token: Int32
  /// What logits are divided by. 0, which stands for greedy decoding, is scored as 1.
  public var temperature: Float
  /// The ids that a top-p or top-k filter kept, ascending, `token` among them; the distribution is that over these ids alone.
  /// nil: all ids.
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
