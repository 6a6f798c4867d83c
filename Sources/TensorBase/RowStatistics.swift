/// The distribution that a row of logits, already divided by the temperature, stands for.
public struct RowStatistics: Sendable, Equatable {
  /// The largest logit, exact.
  public var maximum: Float
  /// ln of the sum of exp(x - maximum).
  public var logSum: Float
  /// Entropy in nats; NaN where it was not asked for.
  public var entropy: Float

  /// What was found.
  public init(maximum: Float, logSum: Float, entropy: Float) {
    self.maximum = maximum
    self.logSum = logSum
    self.entropy = entropy
  }

  /// Log-probability of a logit of this row: (x - maximum) - logSum.
  @inlinable
  public func logProbability(of logit: Float) -> Float { (logit - maximum) - logSum }
}

/// Elements of a row whose exponentials are summed on their own, to draw from the row.
@inlinable package var exponentialBlock: Int { 256 }
