/// The critic's regression: (V - R)^2 / 2, or the larger of it and the square at V clamped to V_old +- clip (verl,
/// TRL).
public struct ValueLoss: Sendable, Equatable {
  /// nil: no clip. TRL 0.2, verl 0.5.
  public var clip: Double?
  /// `clip` is the range around the old value; nil: no clip.
  public init(clip: Double? = 0.2) { self.clip = clip }

  /// The token's loss before weight and coefficient, and its derivative by `value`.
  public func token(value: Double, oldValue: Double, target: Double) -> (loss: Double, dValue: Double, clipped: Bool) {
    let error = value - target
    guard let clip else { return (0.5 * error * error, error, false) }
    let bounded = clamp(value, oldValue - clip, oldValue + clip)
    let boundedError = bounded - target
    if bounded != value, boundedError * boundedError > error * error {
      return (0.5 * boundedError * boundedError, 0, true)
    }
    return (0.5 * error * error, error, false)
  }
}
