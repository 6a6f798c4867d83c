/// Elementary functions in double precision from additions, products, divisions and fused multiply-adds alone: the same
/// bits on every machine, which no libm promises. For schedules, rotary angles and the last step of a row; not for hot
/// loops. Errors stay below two units in the last place (sin and cos: for |x| up to 2^27).

private let ln2High = 0x1.62e42feep-1
private let ln2Low = 0x1.a39ef35793c76p-33
/// 1.5 * 2^52: adding it rounds to a whole number.
private let roundingMagic = 6_755_399_441_055_744.0

/// e^x. 0 below -708 (no subnormal results), infinity above 709.78.
public func exactExp(_ x: Double) -> Double {
  if x.isNaN { return x }
  if x < -708 { return 0 }
  if x > 709.782_712_893_383_97 { return .infinity }
  let n = roundingMagic.addingProduct(x, 1.442_695_040_888_963_4) - roundingMagic
  let r = x.addingProduct(n, -ln2High).addingProduct(n, -ln2Low)
  // Taylor's series to r^14 / 14!: the rest is below 1e-18.
  var p = 1.0
  var k = 14.0
  while k >= 1 {
    p = (1.0).addingProduct(p * r, 1 / k)
    k -= 1
  }
  let half = Int(n) / 2
  return p * powerOfTwo(half) * powerOfTwo(Int(n) - half)
}

private func powerOfTwo(_ n: Int) -> Double { Double(bitPattern: UInt64(n + 1023) << 52) }

/// ln x. Minus infinity at 0, NaN below.
public func exactLog(_ x: Double) -> Double {
  if x.isNaN || x < 0 { return .nan }
  if x == 0 { return -.infinity }
  if x == .infinity { return x }
  var significand = x.significand
  var exponent = Double(x.exponent)
  if significand > 1.414_213_562_373_095_1 {
    significand *= 0.5
    exponent += 1
  }
  // ln m = 2 artanh((m - 1) / (m + 1)), and the argument is at most 0.1716.
  let s = (significand - 1) / (significand + 1)
  let square = s * s
  var p = 0.0
  var k = 23.0
  while k >= 3 {
    p = (1 / k).addingProduct(p, square)
    k -= 2
  }
  let series = (2 * s).addingProduct(2 * s * square, p)
  return (exponent * ln2High) + series.addingProduct(exponent, ln2Low)
}

/// x to the power of `exponent`, for x > 0.
public func exactPow(_ x: Double, _ exponent: Double) -> Double {
  exactExp(exponent * exactLog(x))
}

/// NaN for |x| > 2^27.
public func exactSin(_ x: Double) -> Double { exactSinCos(x).sine }

/// NaN for |x| > 2^27.
public func exactCos(_ x: Double) -> Double { exactSinCos(x).cosine }

public func exactSinCos(_ x: Double) -> (sine: Double, cosine: Double) {
  guard x.magnitude <= 134_217_728 else { return (.nan, .nan) }
  // x = n pi / 2 + r, with pi / 2 in two parts.
  let n = roundingMagic.addingProduct(x, 0.636_619_772_367_581_38) - roundingMagic
  let r = x.addingProduct(n, -0x1.921fb54442d18p+0).addingProduct(n, -0x1.1a62633145c07p-54)
  let square = r * r
  let (sine, cosine) = (sineSeries(r, square), cosineSeries(square))
  switch Int(n) & 3 {
  case 0: return (sine, cosine)
  case 1: return (cosine, -sine)
  case 2: return (-sine, -cosine)
  default: return (-cosine, sine)
  }
}

/// Taylor's series to r^19 on |r| <= pi / 4. The factors are written out, so that no division is left at run time.
private func sineSeries(_ r: Double, _ square: Double) -> Double {
  var p = (1.0).addingProduct(square, -1.0 / 342)
  p = (1.0).addingProduct(p * square, -1.0 / 272)
  p = (1.0).addingProduct(p * square, -1.0 / 210)
  p = (1.0).addingProduct(p * square, -1.0 / 156)
  p = (1.0).addingProduct(p * square, -1.0 / 110)
  p = (1.0).addingProduct(p * square, -1.0 / 72)
  p = (1.0).addingProduct(p * square, -1.0 / 42)
  p = (1.0).addingProduct(p * square, -1.0 / 20)
  return r.addingProduct(r * square * p, -1.0 / 6)
}

/// Taylor's series to r^20 on |r| <= pi / 4.
private func cosineSeries(_ square: Double) -> Double {
  var p = (1.0).addingProduct(square, -1.0 / 380)
  p = (1.0).addingProduct(p * square, -1.0 / 306)
  p = (1.0).addingProduct(p * square, -1.0 / 240)
  p = (1.0).addingProduct(p * square, -1.0 / 182)
  p = (1.0).addingProduct(p * square, -1.0 / 132)
  p = (1.0).addingProduct(p * square, -1.0 / 90)
  p = (1.0).addingProduct(p * square, -1.0 / 56)
  p = (1.0).addingProduct(p * square, -1.0 / 30)
  p = (1.0).addingProduct(p * square, -1.0 / 12)
  return (1.0).addingProduct(square * p, -0.5)
}

/// ln x in single precision: worked out in double precision and rounded once.
public func exactLog(_ x: Float) -> Float { Float(exactLog(Double(x))) }

/// sin x in single precision: worked out in double precision and rounded once.
public func exactSin(_ x: Float) -> Float { Float(exactSin(Double(x))) }

/// cos x in single precision: worked out in double precision and rounded once.
public func exactCos(_ x: Float) -> Float { Float(exactCos(Double(x))) }

/// x to the power of `exponent` for x > 0, worked out in double precision and rounded once.
public func exactPow(_ x: Float, _ exponent: Float) -> Float { Float(exactPow(Double(x), Double(exponent))) }
