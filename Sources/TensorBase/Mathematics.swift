/// fp64 functions that give the same bits on every machine: polynomials in plain multiplications and additions, no
/// libm. Errors are a few units in the last place, ample for initial weights, schedules and bias corrections.
package enum Mathematics {
  /// The natural logarithm of a positive normal number.
  ///
  /// x = m * 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh((m - 1) / (m + 1)) as a series.
  package static func log(_ x: Double) -> Double {
    precondition(x > 0 && x.isNormal, "log: \(x) is not a positive normal number")
    var mantissa = Double(sign: .plus, exponent: 0, significand: x.significand)
    var exponent = Double(x.exponent)
    if mantissa > 1.4142135623730951 {
      mantissa *= 0.5
      exponent += 1
    }
    let s = (mantissa - 1) / (mantissa + 1)
    let square = s * s
    var sum = 1.0 / 27
    for odd in stride(from: 25.0, through: 3, by: -2) { sum = sum * square + 1 / odd }
    let high = exponent * 0.693147180369123816490  // ln 2, cut so that the product is exact
    return high + (exponent * 1.90821492927058770002e-10 + (2 * s + 2 * s * (square * sum)))
  }

  /// The sine and cosine of `turns` whole turns (2 pi radians each), for 0 <= turns <= 1.
  package static func sinCosOfTurns(_ turns: Double) -> (sine: Double, cosine: Double) {
    precondition(turns >= 0 && turns <= 1, "sinCosOfTurns: \(turns) is outside of 0...1")
    let quarter = Int(turns * 4 + 0.5)
    let angle = (turns - Double(quarter) * 0.25) * 6.283185307179586  // within pi/4 of zero, the difference exact
    let square = angle * angle
    // Taylor series: the first terms left out are below 1e-17.
    var sine = 0.0
    for n in stride(from: 16.0, through: 2, by: -2) { sine = (1 + sine) * -square / (n * (n + 1)) }
    sine = angle + angle * sine
    var cosine = 0.0
    for n in stride(from: 17.0, through: 1, by: -2) { cosine = (1 + cosine) * -square / (n * (n + 1)) }
    cosine += 1
    switch quarter & 3 {
    case 0: return (sine, cosine)
    case 1: return (cosine, -sine)
    case 2: return (-sine, -cosine)
    default: return (-cosine, sine)
    }
  }

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
}
