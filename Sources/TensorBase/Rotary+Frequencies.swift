/// Inverse frequencies [D/2] in fp32 and the attention factor, step by step in the precision and order that
/// transformers uses, so that the angles have the same bits (its `pow` is a libm's: rarely one unit off).
func rotaryFrequencies(
  headWidth: Int, theta: Double, scaling: RotaryScaling?
) -> (inverseFrequencies: [Float], attentionFactor: Float) {
  let frequencies = stride(from: 0, to: headWidth, by: 2).map {
    Float(Mathematics.power(Double(Float(theta)), Double(Float($0) / Float(headWidth))))
  }
  let plain = frequencies.map { 1 / $0 }
  guard let scaling else { return (plain, 1) }
  switch scaling.kind {
  case .linear: return (plain.map { $0 / Float(scaling.factor) }, 1)
  case .llama3: return (plain.map { llama3Frequency($0, scaling) }, 1)
  case .yarn:
    let ramp = yarnRamp(headWidth: headWidth, theta: theta, scaling)
    let scaled = zip(frequencies, ramp).map { frequency, kept in
      (1 / (Float(scaling.factor) * frequency)) * (1 - kept) + (1 / frequency) * kept
    }
    return (scaled, yarnAttentionFactor(scaling))
  }
}

/// Llama 3.1: long wavelengths are divided by the factor, short ones stay, between them is a smooth passage.
private func llama3Frequency(_ frequency: Float, _ scaling: RotaryScaling) -> Float {
  let factor = Float(scaling.factor)
  let length = Double(scaling.originalContextLength ?? 0)
  let (low, high) = (scaling.lowFrequencyFactor ?? 1, scaling.highFrequencyFactor ?? 4)
  let wavelength = (1 / frequency) * Float(2 * Double.pi)
  if wavelength > Float(length / low) { return frequency / factor }
  if wavelength < Float(length / high) { return frequency }
  let smooth = ((1 / wavelength) * Float(length) - Float(low)) / Float(high - low)
  return (1 - smooth) * frequency / factor + smooth * frequency
}

/// YaRN (Peng et al. 2023), section 3.2: for each pair of columns the share of the frequency that stays unscaled.
private func yarnRamp(headWidth: Int, theta: Double, _ scaling: RotaryScaling) -> [Float] {
  let length = Double(scaling.originalContextLength ?? 0)
  func dimension(rotations: Double) -> Double {
    (Double(headWidth) * Mathematics.log(length / (rotations * 2 * Double.pi))) / (2 * Mathematics.log(theta))
  }
  var low = dimension(rotations: nonZero(scaling.betaFast) ?? 32)
  var high = dimension(rotations: nonZero(scaling.betaSlow) ?? 1)
  if scaling.truncate ?? true {
    low = low.rounded(.down)
    high = high.rounded(.up)
  }
  low = max(low, 0)
  high = min(high, Double(headWidth - 1))
  if low == high { high += 0.001 }
  return (0..<headWidth / 2).map {
    let ramp = (Float($0) - Float(low)) / Float(high - low)
    return 1 - min(max(ramp, 0), 1)
  }
}

/// The factor on cos and sin that keeps attention's sharpness: 0.1 m ln(factor) + 1.
private func yarnAttentionFactor(_ scaling: RotaryScaling) -> Float {
  if let given = scaling.attentionFactor { return Float(given) }
  func magnitude(_ scale: Double) -> Double {
    scaling.factor <= 1 ? 1 : 0.1 * scale * Mathematics.log(scaling.factor) + 1
  }
  if let mscale = nonZero(scaling.mscale), let all = nonZero(scaling.mscaleAllDimensions) {
    return Float(magnitude(mscale) / magnitude(all))
  }
  return Float(magnitude(1))
}

/// transformers takes 0 for "not given".
private func nonZero(_ value: Double?) -> Double? { value == 0 ? nil : value }
