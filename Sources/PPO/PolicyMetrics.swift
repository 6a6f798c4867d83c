import Tensor

/// Figures of a policy update, gathered token by token in order and read at its end.
public struct PolicyMetrics: Sendable, Equatable {
  /// How many tokens were added.
  public private(set) var tokens = 0
  /// Weighted, as trained on.
  public private(set) var loss = 0.0
  /// The largest ratio; NaN if one was NaN, 1 if none is known.
  public var ratioMax: Double { tokens == unseenTokens ? 1 : largestRatio }
  /// How many of the tokens did not go through the model.
  public private(set) var unseenTokens = 0
  private var largestRatio = 0.0
  private var ratioSum = 0.0
  private var k3Sum = 0.0
  private var klSum = 0.0
  private var entropySum = 0.0
  private var clips = (high: 0, low: 0, dual: 0)

  /// Nothing added yet.
  public init() {}

  /// Counts one token.
  public mutating func add(_ token: TokenObjective, logProb: Float, entropy: Float = 0, oldLogProb: Float) {
    let difference = Double(logProb) - Double(oldLogProb)
    let ratio = Mathematics.exp(difference)
    tokens += 1
    loss += token.loss
    // Not max(): a NaN must show.
    if !(ratio <= largestRatio) { largestRatio = ratio }
    ratioSum += ratio
    k3Sum += ratio - 1 - difference
    klSum += token.kl
    entropySum += Double(entropy)
    switch token.policy.clip {
    case .none: break
    case .high: clips.high += 1
    case .low: clips.low += 1
    case .dual: clips.dual += 1
    }
  }

  /// Counts a token of a response that was left out of the update, since its loss is 0 whatever its log-prob is now.
  ///
  /// Its ratio is not known, so it has no part in the ratios, the clipped shares and the KL to the old policy. Its
  /// entropy is estimated by -log-prob, whose mean over draws is the entropy.
  public mutating func addUnseen(oldLogProb: Float) {
    tokens += 1
    unseenTokens += 1
    entropySum -= Double(oldLogProb)
  }

  /// Counts a part of the loss that is no token's own, weight included.
  public mutating func add(loss more: Double) { loss += more }

  private func mean(_ sum: Double) -> Double { sum / Double(max(tokens, 1)) }
  /// A mean over the tokens that went through the model.
  private func seenMean(_ sum: Double) -> Double { sum / Double(max(tokens - unseenTokens, 1)) }
  /// The mean of new over old probability; 1 if none is known.
  public var ratioMean: Double { tokens == unseenTokens ? 1 : seenMean(ratioSum) }
  /// The share of tokens that the upper bound stopped.
  public var clipFractionHigh: Double { seenMean(Double(clips.high)) }
  /// The share of tokens that the lower bound stopped.
  public var clipFractionLow: Double { seenMean(Double(clips.low)) }
  /// The share of tokens that the dual clip stopped.
  public var clipFractionDual: Double { seenMean(Double(clips.dual)) }
  /// The share of tokens that a bound stopped.
  public var clipFraction: Double { clipFractionHigh + clipFractionLow + clipFractionDual }
  /// KL(old || new) from the old policy's tokens, by the never negative k3.
  public var approxKL3: Double { seenMean(k3Sum) }
  /// KL to the reference, by the configured estimator.
  public var refKL: Double { mean(klSum) }
  /// The mean entropy, in nats.
  public var entropy: Double { mean(entropySum) }

  /// Whether all sums are the same.
  public static func == (a: PolicyMetrics, b: PolicyMetrics) -> Bool {
    a.tokens == b.tokens && a.unseenTokens == b.unseenTokens && a.loss == b.loss
      && a.largestRatio == b.largestRatio && a.ratioSum == b.ratioSum
      && a.k3Sum == b.k3Sum && a.klSum == b.klSum
      && a.entropySum == b.entropySum && a.clips == b.clips
  }
}
