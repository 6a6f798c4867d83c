/// How a model stretches rotary embedding beyond the context it was trained on; keys as in Hugging Face's
/// `rope_scaling`. The unscaled form is no `RotaryScaling` at all.
public struct RotaryScaling: Codable, Sendable, Equatable {
  public enum Kind: String, Codable, Sendable, CaseIterable { case linear, llama3, yarn }

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
  public var mscale: Double?
  public var mscaleAllDimensions: Double?
  /// yarn: whether the borders of the ramp are rounded to whole dimensions (true where missing).
  public var truncate: Bool?

  public init(
    kind: Kind, factor: Double, originalContextLength: Int? = nil, lowFrequencyFactor: Double? = nil,
    highFrequencyFactor: Double? = nil, attentionFactor: Double? = nil, betaFast: Double? = nil,
    betaSlow: Double? = nil, mscale: Double? = nil, mscaleAllDimensions: Double? = nil, truncate: Bool? = nil
  ) {
    self.kind = kind
    self.factor = factor
    self.originalContextLength = originalContextLength
    self.lowFrequencyFactor = lowFrequencyFactor
    self.highFrequencyFactor = highFrequencyFactor
    self.attentionFactor = attentionFactor
    self.betaFast = betaFast
    self.betaSlow = betaSlow
    self.mscale = mscale
    self.mscaleAllDimensions = mscaleAllDimensions
    self.truncate = truncate
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
  let storage: FloatBuffer

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
        let (sine, cosine) = exactSinCos(Double(Float(position) * frequency))
        row[index] = Float(cosine) * attentionFactor
        row[half + index] = Float(sine) * attentionFactor
      }
    }
  }

  /// [D/2] cosines, then [D/2] sines.
  @inline(__always)
  func row(_ position: Int32) -> UnsafePointer<Float> {
    precondition(
      position >= 0 && Int(position) < capacity, "position \(position) is outside of the table's \(capacity)")
    return UnsafePointer(storage.pointer + Int(position) * headWidth)
  }
}

/// Turns every head of every row by its position's angles, in place: x [rows, heads, D] with `rowStride` floats from
/// row to row.
///
///     y[i] = x[i] cos - x[i + D/2] sin,   y[i + D/2] = x[i + D/2] cos + x[i] sin
public func applyRotary(
  _ x: UnsafeMutablePointer<Float>, rowStride: Int, rows: Int, heads: Int, positions: UnsafePointer<Int32>,
  table: RotaryTable, pool: WorkerPool
) {
  let D = table.headWidth
  forEachRow(rows, elements: heads * D, pool: pool) { row in
    let turns = table.row(positions[row])
    for head in 0..<heads { rotate(x + row &* rowStride + head &* D, turns, D / 2, backwards: false) }
  }
}

/// Backward of `applyRotary`, in place: turns the gradients by minus the angle.
public func rotaryBackward(
  _ dX: UnsafeMutablePointer<Float>, rowStride: Int, rows: Int, heads: Int, positions: UnsafePointer<Int32>,
  table: RotaryTable, pool: WorkerPool
) {
  let D = table.headWidth
  forEachRow(rows, elements: heads * D, pool: pool) { row in
    let turns = table.row(positions[row])
    for head in 0..<heads { rotate(dX + row &* rowStride + head &* D, turns, D / 2, backwards: true) }
  }
}

/// Products rounded before they are added, as in the formula: no fused steps.
@inline(__always)
private func rotate(
  _ x: UnsafeMutablePointer<Float>, _ turns: UnsafePointer<Float>, _ half: Int, backwards: Bool
) {
  let upper = x + half
  let sines = turns + half
  var index = 0
  while index &+ 8 <= half {
    let a = loadEight(x + index)
    let b = loadEight(upper + index)
    let cosine = loadEight(turns + index)
    var sine = loadEight(sines + index)
    if backwards { sine = -sine }
    storeEight(a * cosine - b * sine, x + index)
    storeEight(b * cosine + a * sine, upper + index)
    index &+= 8
  }
  while index < half {
    let (a, b) = (x[index], upper[index])
    let sine = backwards ? -sines[index] : sines[index]
    x[index] = a * turns[index] - b * sine
    upper[index] = b * turns[index] + a * sine
    index &+= 1
  }
}
