/// Which bound stopped a token's gradient.
public enum ClipSide: Sendable, Equatable { case none, high, low, dual }

/// One token's loss before its weight, and its derivative by the token's log-prob (c_t in the papers' gradients).
public struct TokenLoss: Sendable, Equatable {
  /// The loss.
  public var loss: Double
  /// Its derivative by the token's log-prob.
  public var dLogProb: Double
  /// The bound that stopped the gradient.
  public var clip: ClipSide

  /// A loss that no bound stopped where nothing else is said.
  public init(loss: Double, dLogProb: Double, clip: ClipSide = .none) {
    self.loss = loss
    self.dLogProb = dLogProb
    self.clip = clip
  }

  /// No loss.
  public static let zero = TokenLoss(loss: 0, dLogProb: 0)
}

/// A policy loss: from log-probs to each token's loss and coefficient, to be multiplied by the token's weight
/// (`Aggregation.weights`). All losses can be asked for a whole response; those of `TokenPolicyLoss` token by token
/// too, which lets the log-prob head do forward and backward in one pass.
///
/// Arithmetic is in fp64 whatever the precision of the log-probs; the caller rounds once, to the coefficient in fp32.
public protocol PolicyLoss: Sendable {
  /// The tokens of one response. Entries where `mask` is false are not read and come back as zero.
  ///
  /// The sum over tokens of weight * loss is the response's loss, and weight * dLogProb its gradient, for weights that
  /// are equal within the response, as those of every `Aggregation` are.
  func sequence(logProbs: [Double], oldLogProbs: [Double], advantages: [Double], mask: [Bool]) -> [TokenLoss]

  /// Whether a response whose advantages are all 0 has the loss 0 and the coefficients 0, whatever its log-probs are.
  /// An update leaves such responses out. False where nothing else is said: that is always right.
  var vanishesWithoutAdvantage: Bool { get }
}

/// A loss whose tokens depend on themselves alone.
public protocol TokenPolicyLoss: PolicyLoss {
  /// The loss of one token and its derivative by `logProb`.
  func token(logProb: Double, oldLogProb: Double, advantage: Double) -> TokenLoss
}

extension TokenPolicyLoss {
  /// Each token of the mask by itself.
  public func sequence(logProbs: [Double], oldLogProbs: [Double], advantages: [Double], mask: [Bool]) -> [TokenLoss] {
    mask.indices.map { t in
      mask[t] ? token(logProb: logProbs[t], oldLogProb: oldLogProbs[t], advantage: advantages[t]) : .zero
    }
  }
}

extension PolicyLoss {
  /// False: nothing is known about the loss.
  public var vanishesWithoutAdvantage: Bool { false }

  /// True when a token's coefficient needs all log-probs of its response: these are scored first, and the logits made
  /// again for the backward pass.
  public var requiresSequence: Bool { !(self is any TokenPolicyLoss) }
}
