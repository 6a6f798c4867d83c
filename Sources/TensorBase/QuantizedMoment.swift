/// An optimizer moment in 8 bits a number: blocks of 256 share one fp32 scale, the block's largest magnitude.
///
/// Block-wise quantisation is that of Dettmers et al. 2021 (arXiv:2110.02861). The code is our own: a number is
///
///     (code / levels)^4 * scale
///
/// so that small numbers are as precise as large ones, relative to their size (neighbours are 4 / code apart, over nine
/// powers of ten), and encoding needs two square roots and no table. Rounding is stochastic: to the code below or
/// above, with the chance that makes the mean exact. Otherwise an average that changes by a thousandth a step would
/// never leave its code. The chance is a hash of step and place, so a step is the same in every run.
public final class QuantizedMoment {
  /// Numbers that share a scale.
  public static let blockCount = 256

  /// One byte a number, whole blocks; padding is 0. Signed: the sign in the highest bit, the code in the others.
  public let codes: FloatBuffer
  /// One a block.
  public let scales: FloatBuffer
  package let isSigned: Bool

  /// `count` zeros.
  package init(count: Int, isSigned: Bool) {
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
}
