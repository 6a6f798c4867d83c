extension Mathematics {
  /// The sine and cosine of an angle in radians; NaN beyond 2^27.
  public static func sinCos(_ radians: Double) -> (sine: Double, cosine: Double) {
    guard radians.magnitude <= 134_217_728 else { return (.nan, .nan) }
    // The angle is n pi / 2 + r, with pi / 2 in two parts; adding 1.5 * 2^52 rounds to a whole number.
    let magic = 6_755_399_441_055_744.0
    let n = magic.addingProduct(radians, 0.636_619_772_367_581_38) - magic
    let r = radians.addingProduct(n, -0x1.921fb54442d18p+0).addingProduct(n, -0x1.1a62633145c07p-54)
    return sinCos(r, quarters: Int(n))
  }

  /// The sine and cosine of `turns` whole turns (2 pi radians each), for 0 <= turns <= 1.
  package static func sinCos(turns: Double) -> (sine: Double, cosine: Double) {
    precondition(turns >= 0 && turns <= 1, "sinCos: \(turns) turns are outside of 0...1")
    let quarters = Int(turns * 4 + 0.5)
    // Within pi / 4 of zero; the difference is exact.
    return sinCos((turns - Double(quarters) * 0.25) * 6.283185307179586, quarters: quarters)
  }

  /// Those of r + quarters * pi / 2, |r| <= pi / 4.
  private static func sinCos(_ r: Double, quarters: Int) -> (sine: Double, cosine: Double) {
    let square = r * r
    let (sine, cosine) = (sineSeries(r, square), cosineSeries(square))
    switch quarters & 3 {
    case 0: return (sine, cosine)
    case 1: return (cosine, -sine)
    case 2: return (-sine, -cosine)
    default: return (-cosine, sine)
    }
  }

  /// Taylor's series to r^19 on |r| <= pi / 4. The factors are written out, so that no division is left at run time.
  private static func sineSeries(_ r: Double, _ square: Double) -> Double {
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
  private static func cosineSeries(_ square: Double) -> Double {
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
}
