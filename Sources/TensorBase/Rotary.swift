import Support

/// How a model stretches rotary embedding beyond the context it was trained on; keys as in Hugging Face's
/// `rope_scaling`. The unscaled form is no `RotaryScaling` at all.
public struct RotaryScaling: Codable, Sendable, Equatable {
  /// Linear interpolation (Chen et al. 2023), Llama 3.1's and YaRN's (Peng et al. 2023), by their names in
  /// `rope_type`.
  public enum Kind: String, Codable, Sendable, CaseIterable { case linear, llama3, yarn }

  /// The formula.
  public var kind: Kind
  /// How many times longer the context becomes.
  public var factor: Double
  /// The context before stretching, in tokens (llama3, yarn).
  public var originalContextLength: Int?
  /// llama3: wavelengths above originalContextLength / lowFrequencyFactor are stretched in full.
  public var lowFrequencyFactor: Double?
  /// llama3: wavelengths below originalContextLength / highFrequencyFactor stay as they are.
  public var highFrequencyFactor: Double?
  /// yarn: what cos and sin are multiplied with; worked out from `factor` where it is missing.
  public var attentionFactor: Double?
  /// yarn: rotations over the original context above which a frequency stays (32 where missing).
  public var betaFast: Double?
  /// yarn: rotations below which a frequency is stretched in full (1 where missing).
  public var betaSlow: Double?
  /// yarn: DeepSeek's weights of ln(factor) in the attention factor, which is the quotient of what both give.
  public var mscale: Double?
  /// yarn: see `mscale`.
  public var mscaleAllDimensions: Double?
  /// yarn: whether the borders of the ramp are rounded to whole dimensions (true where missing).
  public var truncate: Bool?

  /// - Parameter originalContextLength: needed by llama3 and yarn.
  public init(kind: Kind, factor: Double, originalContextLength: Int? = nil) {
    self.kind = kind
    self.factor = factor
    self.originalContextLength = originalContextLength
  }

  enum CodingKeys: String, CodingKey {
    case kind = "rope_type"
    case factor
    case originalContextLength = "original_max_position_embeddings"
    case lowFrequencyFactor = "low_freq_factor"
    case highFrequencyFactor = "high_freq_factor"
    case attentionFactor = "attention_factor"
    case betaFast = "beta_fast"
    case betaSlow = "beta_slow"
    case mscale
    case mscaleAllDimensions = "mscale_all_dim"
    case truncate
  }

  /// What is missing or out of range for this kind, for the reader of a configuration; nil if it is usable.
  public var defect: String? {
    if !(factor > 0 && factor.isFinite) { return "factor must be positive, not \(factor)" }
    if kind == .linear { return nil }
    guard let length = originalContextLength, length > 0 else {
      return "original_max_position_embeddings must be given and positive for \(kind.rawValue)"
    }
    if kind == .llama3 {
      guard let low = lowFrequencyFactor, let high = highFrequencyFactor, low > 0, high > low else {
        return "low_freq_factor and high_freq_factor must be given, the first positive and below the second"
      }
    }
    return nil
  }
}

/// Cosines and sines of rotary embedding (Su et al. 2021) in the rotate-half layout: columns i and i + D/2 of a head
/// turn together by position * inverseFrequencies[i], an angle in fp32 as transformers computes it.
public final class RotaryTable: @unchecked Sendable {
  /// D, the width of a head.
  public let headWidth: Int
  /// Positions 0..<capacity can be rotated.
  public let capacity: Int
  /// [D/2], fp32.
  public let inverseFrequencies: [Float]
  /// What cos and sin are multiplied with; 1 but for yarn.
  public let attentionFactor: Float

  /// [capacity][D]: D/2 cosines, then D/2 sines.
  package let storage: FloatBuffer

  /// Angles of positions 0..<capacity; `theta` is the base of the frequencies, `scaling` must be usable.
  public init(headWidth: Int, theta: Double, scaling: RotaryScaling?, capacity: Int) {
    precondition(headWidth > 0 && headWidth % 2 == 0, "head width \(headWidth): rotary embedding turns pairs")
    precondition(scaling?.defect == nil, "rotary scaling: \(scaling?.defect ?? "")")
    self.headWidth = headWidth
    self.capacity = capacity
    (inverseFrequencies, attentionFactor) = rotaryFrequencies(headWidth: headWidth, theta: theta, scaling: scaling)
    storage = FloatBuffer(count: capacity * headWidth)
    let half = headWidth / 2
    for position in 0..<capacity {
      let row = storage.pointer + position * headWidth
      for (index, frequency) in inverseFrequencies.enumerated() {
        let (sine, cosine) = Mathematics.sinCos(Double(Float(position) * frequency))
        row[index] = Float(cosine) * attentionFactor
        row[half + index] = Float(sine) * attentionFactor
      }
    }
  }

  /// [D/2] cosines, then [D/2] sines.
  package func row(_ position: Int32) -> UnsafePointer<Float> {
    precondition(
      position >= 0 && Int(position) < capacity, "position \(position) is outside of the table's \(capacity)")
    return UnsafePointer(storage.pointer + Int(position) * headWidth)
  }
}
