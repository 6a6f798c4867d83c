/// ECHO (2605.24517): the policy also learns to predict what its tools return. The term
///
///     coefficient / N * sum over the tools' tokens of -log p(token | all before it)
///
/// is added to the policy loss. N counts the tools' tokens of the whole update batch, so it does not matter how the
/// batch is cut. p is the model's plain distribution: temperature 1, nothing filtered.
public struct ObservationLoss: Sendable, Equatable {
  /// The term's weight: lambda in the paper.
  public var coefficient: Double
  /// N.
  public var tokens: Int

  /// The term of an update batch with `tokens` tokens of tools.
  public init(coefficient: Double, tokens: Int) {
    self.coefficient = coefficient
    self.tokens = tokens
  }

  /// A token's share of the mean cross-entropy, before the coefficient.
  public func crossEntropy(logProb: Float) -> Double { -Double(logProb) / Double(max(tokens, 1)) }

  /// The term's derivative by each token's log-prob.
  public var dLogProb: Double { -coefficient / Double(max(tokens, 1)) }
}
