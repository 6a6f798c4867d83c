import TensorBase

/// Exponentials in single precision, written out so that every machine gives the same bits.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, and e^r = 1 + r + r^2 q(r) with q the minimax polynomial of degree 4
/// (largest relative error of the approximation 3.1e-9, so the result is off by less than one unit in the last place).
enum ExpConstants {
  static let log2e: Float = 1.442_695_04
  static let ln2High: Float = 0x1.62e43p-1
  static let ln2Low: Float = -1.904_654_3e-9
  /// Adding 1.5 * 2^23 rounds to a whole number; the 127 puts the exponent's bias into the low bits.
  static let magic: Float = 12_582_912 + 127
  static let c2: Float = 0x1.fffffcp-2
  static let c3: Float = 0x1.555492p-3
  static let c4: Float = 0x1.5558f2p-5
  static let c5: Float = 0x1.123a2p-7
  static let c6: Float = 0x1.6a23dp-10
  /// Below this the result is exactly 0.
  static let lowest: Float = -87.3
  /// The largest argument whose exponential is finite.
  static let highest: Float = 88.722_83
}

/// e^x. Exactly 0 below -87.3, infinity above 88.72283, NaN stays NaN, e^0 is exactly 1.
@inline(__always)
package func vectorExp(_ x: SIMD8<Float>) -> SIMD8<Float> {
  typealias C = ExpConstants
  let t = SIMD8(repeating: C.magic).addingProduct(x, SIMD8(repeating: C.log2e))
  let n = t - SIMD8(repeating: C.magic)
  let r = x.addingProduct(n, SIMD8(repeating: -C.ln2High)).addingProduct(n, SIMD8(repeating: -C.ln2Low))
  let y = expPolynomial(r)
  // Adding n to the exponent of y in [0.7, 1.42] is a product with 2^n that also reaches 2^128 * 0.99.
  let bits = unsafeBitCast(t, to: SIMD8<UInt32>.self) &- SIMD8(repeating: 127)
  let scaled = unsafeBitCast(unsafeBitCast(y, to: SIMD8<UInt32>.self) &+ (bits &<< 23), to: SIMD8<Float>.self)
  var result = scaled.replacing(with: .infinity, where: x .> C.highest)
  result = result.replacing(with: 0, where: x .< C.lowest)
  return result.replacing(with: x, where: x .!= x)
}

/// `vectorExp` for x <= 0 or NaN, where it gives the same bits with less work.
@inline(__always)
package func vectorExpOfNonPositive(_ x: SIMD8<Float>) -> SIMD8<Float> {
  typealias C = ExpConstants
  let t = SIMD8(repeating: C.magic).addingProduct(x, SIMD8(repeating: C.log2e))
  let n = t - SIMD8(repeating: C.magic)
  let r = x.addingProduct(n, SIMD8(repeating: -C.ln2High)).addingProduct(n, SIMD8(repeating: -C.ln2Low))
  let scale = unsafeBitCast(unsafeBitCast(t, to: SIMD8<UInt32>.self) &<< 23, to: SIMD8<Float>.self)
  return (expPolynomial(r) * scale).replacing(with: 0, where: x .< C.lowest)
}

@inline(__always)
package func vectorExpOfNonPositive(_ x: Lanes) -> Lanes {
  Lanes(vectorExpOfNonPositive(x.low), vectorExpOfNonPositive(x.high))
}

@inline(__always)
private func expPolynomial(_ r: SIMD8<Float>) -> SIMD8<Float> {
  typealias C = ExpConstants
  var p = SIMD8(repeating: C.c5).addingProduct(SIMD8(repeating: C.c6), r)
  p = SIMD8(repeating: C.c4).addingProduct(p, r)
  p = SIMD8(repeating: C.c3).addingProduct(p, r)
  p = SIMD8(repeating: C.c2).addingProduct(p, r)
  p = SIMD8(repeating: 1).addingProduct(p, r)
  return SIMD8(repeating: 1).addingProduct(p, r)
}

extension Table {
  package static func exactExp(_ x: Float) -> Float {
    typealias C = ExpConstants
    if x.isNaN { return x }
    if x < C.lowest { return 0 }
    if x > C.highest { return .infinity }
    let t = C.magic.addingProduct(x, C.log2e)
    let n = t - C.magic
    let r = x.addingProduct(n, -C.ln2High).addingProduct(n, -C.ln2Low)
    var p = C.c5.addingProduct(C.c6, r)
    p = C.c4.addingProduct(p, r)
    p = C.c3.addingProduct(p, r)
    p = C.c2.addingProduct(p, r)
    p = Float(1).addingProduct(p, r)
    let y = Float(1).addingProduct(p, r)
    return Float(bitPattern: y.bitPattern &+ ((t.bitPattern &- 127) &<< 23))
  }
}
