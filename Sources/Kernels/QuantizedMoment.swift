import TensorBase

extension QuantizedMoment {
  /// What element `index` stands for.
  subscript(index: Int) -> Float {
    let code = bytes[index]
    let value = MomentCode(isSigned: isSigned).decoded(SIMD8(repeating: UInt32(code)))[0]
    return value * scales[index / Self.blockCount]
  }
}

/// The code of `QuantizedMoment` for eight numbers at a time.
struct MomentCode {
  let isSigned: Bool
  private let levels: Float

  init(isSigned: Bool) {
    self.isSigned = isSigned
    levels = isSigned ? 127 : 255
  }

  /// The numbers of eight codes, each in its own word, for a scale of 1.
  @inline(__always)
  func decoded(_ codes: SIMD8<UInt32>) -> SIMD8<Float> {
    guard isSigned else { return power(wholeNumbers(codes)) }
    let magnitude = unsafeBitCast(power(wholeNumbers(codes & 127)), to: SIMD8<UInt32>.self)
    return unsafeBitCast(magnitude | ((codes & 128) &<< 24), to: SIMD8<Float>.self)
  }

  /// The codes of `values`, none larger than `scale` in magnitude; every code is 0 when the scale is.
  ///
  /// - Parameter chances: in [0, 1), with 16 bits: what rounding up must lie above. An unsigned number above 0 never
  ///   becomes 0, because it is what others are divided by.
  @inline(__always)
  func encoded(_ values: SIMD8<Float>, scale: Float, chances: SIMD8<Float>) -> SIMD8<UInt32> {
    guard scale > 0 else { return .zero }
    let bits = unsafeBitCast(values, to: SIMD8<UInt32>.self)
    let share = unsafeBitCast(bits & 0x7fff_ffff, to: SIMD8<Float>.self) / scale
    let place = share.squareRoot().squareRoot() * levels
    let last = SIMD8<Float>(repeating: levels - 1)
    var low = place.rounded(.down)
    low = low.replacing(with: last, where: low .> last)
    let below = power(low)
    let isUp = chances * (power(low + 1) - below) .< share - below
    var code = low.replacing(with: low + 1, where: isUp)
    if !isSigned { code = code.replacing(with: 1, where: (code .< 1) .& (share .> 0)) }
    // Adding 2^23 leaves the whole number in the low bits.
    let whole = unsafeBitCast(code + 8_388_608, to: SIMD8<UInt32>.self) & 255
    return isSigned ? (whole | ((bits &>> 24) & 128)) : whole
  }

  @inline(__always)
  private func power(_ codes: SIMD8<Float>) -> SIMD8<Float> {
    let root = codes / levels
    let square = root * root
    return square * square
  }
}

/// Whole numbers below 2^23 as floats.
@inline(__always)
func wholeNumbers(_ words: SIMD8<UInt32>) -> SIMD8<Float> {
  unsafeBitCast(words | 0x4b00_0000, to: SIMD8<Float>.self) - 8_388_608
}
