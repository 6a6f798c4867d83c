import Foundation
import KernelsPortable
import Tensor
import Testing

/// The distance of `value` from `exact`, in units in the last place of fp32 at `exact`.
private func units(_ value: Float, _ exact: Double) -> Double {
  abs(Double(value) - exact) / Double(Float(exact).ulp)
}

/// Floats over the whole range of exponents and both signs, and the border cases.
private let everywhere: [Float] =
  stride(from: UInt32(0), to: UInt32.max - 70_001, by: 70_001).map { Float(bitPattern: $0) } + [
    0, -0.0, 1, -1, .infinity, -.infinity, -87.3, Float(-87.3).nextDown, Float(-87.3).nextUp, 88.722_83, 88.722_84,
    .nan, Float(bitPattern: 0xffff_ffff), Float(bitPattern: 0x7fff_ff81), .leastNonzeroMagnitude,
    .greatestFiniteMagnitude,
  ]

@Suite struct VectorMathTests {
  @Test func expIsWithinOneUnit() {
    for x in stride(from: Float(-87.3), through: 88.722, by: 0.000_917) {
      #expect(units(exactExp(x), exp(Double(x))) < 1, "exp(\(x))")
    }
  }

  @Test func expAtItsBorders() {
    #expect(exactExp(Float(0)) == 1)
    #expect(exactExp(Float(-0.0)) == 1)
    #expect(exactExp(Float(-87.3)) > 0)
    #expect(exactExp(Float(-87.3).nextDown).bitPattern == 0)
    #expect(exactExp(-Float.infinity).bitPattern == 0)
    #expect(exactExp(Float(88.722_83)).isFinite)
    #expect(exactExp(Float(88.722_84)) == .infinity)
    #expect(exactExp(Float.infinity) == .infinity)
    #expect(exactExp(Float.nan).isNaN)
  }

  @Test func vectorExpHasTheScalarBits() {
    for start in stride(from: 0, to: everywhere.count - 8, by: 8) {
      var x = SIMD8<Float>()
      for lane in 0..<8 { x[lane] = everywhere[start + lane] }
      let y = vectorExp(x)
      let negative = vectorExpOfNonPositive(x)
      for lane in 0..<8 {
        let scalar = exactExp(x[lane])
        #expect(y[lane].bitPattern == scalar.bitPattern || (y[lane].isNaN && scalar.isNaN), "exp(\(x[lane]))")
        if x[lane] > 0 { continue }
        #expect(
          negative[lane].bitPattern == scalar.bitPattern || (negative[lane].isNaN && x[lane].isNaN), "exp(\(x[lane]))")
      }
    }
  }

  @Test func logIsRoundedOnce() {
    for x in everywhere where x > 0 && x.isFinite {
      #expect(units(exactLog(x), log(Double(x))) < 0.500_1, "log(\(x))")
    }
    #expect(exactLog(Float(1)) == 0)
    #expect(exactLog(Float(0)) == -.infinity)
    #expect(exactLog(Float(-1)).isNaN)
    #expect(exactLog(Float.infinity) == .infinity)
    #expect(exactLog(Float.nan).isNaN)
  }

  @Test func sineAndCosineOfRotaryAnglesAreRoundedOnce() {
    for x in stride(from: Float(-3), through: 140_000, by: 3.700_3) {
      let (sine, cosine) = Mathematics.sinCos(Double(x))
      #expect(units(Float(sine), sin(Double(x))) < 0.500_1, "sin(\(x))")
      #expect(units(Float(cosine), cos(Double(x))) < 0.500_1, "cos(\(x))")
    }
  }

  @Test func maximaAndTreesKeepNaNAndOrder() {
    let plain = Lanes((0..<16).map { Float($0) * 1.5 - 7 })
    #expect(plain.treeMaximum == 15.5)
    for lane in 0..<16 {
      var values = (0..<16).map { Float($0) }
      values[lane] = .nan
      #expect(Lanes(values).treeMaximum.isNaN, "NaN in lane \(lane)")
      #expect(Lanes(repeating: 3).maximum(Lanes(values)).treeMaximum.isNaN)
      #expect(Lanes(values).maximum(Lanes(repeating: 30)).treeMaximum.isNaN)
      values[lane] = 99
      #expect(Lanes(values).treeMaximum == 99)
    }
    for trial in 0..<50 {
      let values = randomFloats(16, 40, UInt64(trial)).map { $0 * 1000 }
      #expect(Lanes(values).treeSum.bitPattern == scalarTreeSum(values).bitPattern)
    }
  }
}
