/// Exponential, logarithm and logistic function of one `Double`, within about one unit in the last place.
///
/// Coefficients of the loss reach the weights, so they must not depend on the system's math library: these are made of
/// IEEE additions, products and fused products alone and give the same bits on every machine.
public enum ScalarMath {
  /// Upper part of ln 2 with 32 trailing zero bits: its product with an exponent is exact.
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

  /// Natural logarithm: -infinity at 0, NaN below 0.
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

  private static func powerOfTwo(_ exponent: Int) -> Double {
    Double(bitPattern: UInt64(exponent + 1023) << 52)
  }
}

/// The sum of `values` in ascending order, so that no permutation of the samples changes a bit.
func orderFreeSum(_ values: [Double]) -> Double {
  values.sorted().reduce(0, +)
}

func clamp(_ x: Double, _ low: Double, _ high: Double) -> Double {
  x < low ? low : (x > high ? high : x)
}
