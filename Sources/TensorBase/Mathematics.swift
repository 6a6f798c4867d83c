/// Elementary functions in fp64, made of IEEE additions, products, quotients and fused multiply-adds alone: the same
/// bits on every machine, which no math library promises.
///
/// For what reaches the weights outside of hot loops: initial weights, schedules, rotary angles, the coefficients of
/// losses and the last step of a row. `exp` and `log` are within one unit in the last place, sine and cosine within
/// two.
public enum Mathematics {
  /// Upper part of ln 2 with trailing zero bits: its product with an exponent is exact.
  private static let ln2High = 0x1.62e42fee00000p-1
  private static let ln2Low = 0x1.a39ef35793c76p-33
  /// 1/2!, 1/3!, ..., 1/14!
  private static let exponentialTerms: [Double] = {
    var terms: [Double] = []
    var factorial = 1.0
    for n in 2...14 {
      factorial *= Double(n)
      terms.append(1 / factorial)
    }
    return terms
  }()

  /// e to the power `x`; 0 below the smallest subnormal, infinity above the largest number, NaN for NaN. `exp(0)` is
  /// exactly 1.
  public static func exp(_ x: Double) -> Double {
    if x.isNaN { return x }
    if x > 709.782712893384 { return .infinity }
    if x < -745.2 { return 0 }
    let k = (x * 0x1.71547652b82fep0).rounded(.toNearestOrEven)
    let high = x.addingProduct(-k, ln2High)
    let r = high.addingProduct(-k, ln2Low)
    let rest = (high - r).addingProduct(-k, ln2Low)  // what the rounding of r lost
    var series = 0.0
    for term in exponentialTerms.reversed() { series = term.addingProduct(series, r) }
    let y = 1 + (r + (rest.addingProduct(series, r * r)))
    let half = Int(k) / 2
    return y * powerOfTwo(half) * powerOfTwo(Int(k) - half)
  }

  /// The natural logarithm: -infinity at 0, NaN below 0.
  public static func log(_ x: Double) -> Double {
    if x.isNaN || x < 0 { return .nan }
    if x == 0 { return -.infinity }
    if x == .infinity { return x }
    var m = x.significand
    var k = Double(x.exponent)
    if m > 1.4142135623730951 {
      m /= 2
      k += 1
    }
    // log m = 2 atanh(s), s = (m - 1) / (m + 1), with the rounding errors of m + 1 and of the quotient carried along.
    let f = m - 1
    let d = m + 1
    let dLow = m - (d - 1)
    let s = f / d
    let sLow = (f.addingProduct(-s, d) - s * dLow) / d
    let z = s * s
    var series = 0.0
    for n in stride(from: 23, through: 3, by: -2) { series = (1 / Double(n)).addingProduct(series, z) }
    let tail = 2 * (sLow + s * (z * series))
    return k * ln2High + (2 * s + tail.addingProduct(k, ln2Low))
  }

  /// 1 / (1 + e^-x), without overflow on either side.
  public static func sigmoid(_ x: Double) -> Double {
    let e = exp(-abs(x))
    return x >= 0 ? 1 / (1 + e) : e / (1 + e)
  }

  /// sigma(x) (1 - sigma(x)), the derivative of `sigmoid`, exact far out too.
  public static func sigmoidSlope(_ x: Double) -> Double {
    let e = exp(-abs(x))
    return e / ((1 + e) * (1 + e))
  }

  /// `base` to the power of `exponent`, for base > 0.
  public static func power(_ base: Double, _ exponent: Double) -> Double { exp(exponent * log(base)) }

  /// `base` to a whole power, by repeated squaring.
  package static func power(_ base: Double, _ exponent: Int) -> Double {
    precondition(exponent >= 0, "power: exponent \(exponent) is negative")
    var result = 1.0
    var square = base
    var rest = exponent
    while rest > 0 {
      if rest & 1 == 1 { result *= square }
      square *= square
      rest >>= 1
    }
    return result
  }

  private static func powerOfTwo(_ exponent: Int) -> Double {
    Double(bitPattern: UInt64(exponent + 1023) << 52)
  }
}

/// ln x in single precision: worked out in double precision and rounded once.
public func exactLog(_ x: Float) -> Float { Float(Mathematics.log(Double(x))) }
