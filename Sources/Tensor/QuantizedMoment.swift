/// An optimizer moment in 8 bits a number: blocks of 256 share one fp32 scale, the block's largest magnitude.
///
/// Block-wise quantisation is that of Dettmers et al. 2021 (arXiv:2110.02861). The code is our own: a number is
///
///     (code / levels)^4 * scale
///
/// so that small numbers keep a relative precision as large ones do (neighbours are 4 / code apart, over nine powers of ten),
/// and encoding needs two square roots and no table. Rounding is stochastic, to the code below or above with the chance that
/// makes the mean exact: an average that changes by a thousandth a step would never leave its code otherwise. The chance
/// is a hash of step and place, so a step is the same in every run.
public final class QuantizedMoment {
  /// Numbers that share a scale.
  public static let blockCount = 256

  /// One byte a number, whole blocks; padding is 0. Signed: the sign in the highest bit, the code in the others.
  public let codes: FloatBuffer
  /// One a block.
  public let scales: FloatBuffer
  let isSigned: Bool

  /// `count` zeros.
  init(count: Int, isSigned: Bool) {
    let blocks = (count + Self.blockCount - 1) / Self.blockCount
    codes = FloatBuffer(count: blocks * Self.blockCount / 4)
    scales = FloatBuffer(count: blocks)
    self.isSigned = isSigned
  }

  /// Bytes that `count` numbers take.
  public static func byteCount(_ count: Int) -> Int {
    (count + blockCount - 1) / blockCount * (blockCount + MemoryLayout<Float>.stride)
  }

  /// `codes` as bytes.
  public var bytes: UnsafeMutableBufferPointer<UInt8> {
    let count = codes.count * 4
    return UnsafeMutableRawBufferPointer(start: codes.pointer, count: count).bindMemory(to: UInt8.self)
  }

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
  /// - Parameter chances: in [0, 1), with 16 bits: what rounding up must lie above. An unsigned number above 0 never becomes 0,
  ///   because it is what others are divided by.
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
