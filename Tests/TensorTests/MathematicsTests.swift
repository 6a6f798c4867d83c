import Foundation
import Tensor
import Testing

@Suite struct MathematicsTests {
  /// Distance in units of the last place of `b`.
  private func ulps(_ a: Double, _ b: Double) -> Double { a == b ? 0 : abs(a - b) / b.ulp }

  @Test func exponentialIsWithinOneUnitInTheLastPlace() {
    var worst = 0.0
    for i in 0..<200_000 {
      let x = -707 + 1416 * Double(i) / 200_000
      worst = max(worst, ulps(Mathematics.exp(x), Foundation.exp(x)))
      let y = -0.7 + 1.4 * Double(i) / 200_000
      worst = max(worst, ulps(Mathematics.exp(y), Foundation.exp(y)))
    }
    #expect(worst <= 1)
    #expect(Mathematics.exp(0) == 1)
    #expect(Mathematics.exp(-0.0) == 1)
    #expect(Mathematics.exp(710) == .infinity)
    #expect(Mathematics.exp(-746) == 0)
    #expect(Mathematics.exp(-.infinity) == 0)
    #expect(Mathematics.exp(.infinity) == .infinity)
    #expect(Mathematics.exp(.nan).isNaN)
    // The largest result and subnormal ones.
    #expect(ulps(Mathematics.exp(709.78), Foundation.exp(709.78)) <= 1)
    #expect(abs(Mathematics.exp(-740) - Foundation.exp(-740)) <= Double.leastNonzeroMagnitude)
  }

  @Test func logarithmIsWithinOneUnitInTheLastPlace() {
    var worst = 0.0
    for i in 1..<200_000 {
      let x = Double(i) / 20_000
      worst = max(worst, ulps(Mathematics.log(x), Foundation.log(x)))
      let y = Foundation.exp(-700 + 1400 * Double(i) / 200_000)
      worst = max(worst, ulps(Mathematics.log(y), Foundation.log(y)))
    }
    // Around the square root of 2, where the exponent changes, and the ends of what a uniform draw gives.
    for x in [0x1p-53, 1 - 0x1p-53, 1 + 0x1p-52, 1.4142135623730951, 0.7071067811865476, 1e300, 1e-300] {
      worst = max(worst, ulps(Mathematics.log(x), Foundation.log(x)))
    }
    #expect(worst <= 1)
    #expect(Mathematics.log(1) == 0)
    #expect(Mathematics.log(0) == -.infinity)
    #expect(Mathematics.log(.infinity) == .infinity)
    #expect(Mathematics.log(-1).isNaN && Mathematics.log(.nan).isNaN)
    #expect(ulps(Mathematics.log(.leastNonzeroMagnitude), Foundation.log(.leastNonzeroMagnitude)) <= 1)
  }

  @Test func sigmoidAndItsSlope() {
    for x in [-800.0, -40, -1, -1e-9, 0, 0.3, 2, 40, 800] {
      #expect(abs(Mathematics.sigmoid(x) - 1 / (1 + Foundation.exp(-x))) <= 2e-16)
      let y = Mathematics.sigmoid(x)
      let other = Mathematics.sigmoid(-x)
      #expect(abs(Mathematics.sigmoidSlope(x) - y * other) <= 1e-15 * y * other)
    }
  }

  @Test func sineAndCosineAgreeWithTheSystems() {
    var random = CounterRandom(seed: 1, path: [2])
    var arguments = [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1 - 0x1p-53]
    for _ in 0..<20_000 { arguments.append(random.uniform()) }
    for turns in arguments {
      let (sine, cosine) = Mathematics.sinCos(turns: turns)
      #expect(abs(sine - sin(2 * Double.pi * turns)) < 1e-15, "\(turns) turns")
      #expect(abs(cosine - cos(2 * Double.pi * turns)) < 1e-15, "\(turns) turns")
    }
    let quarter = Mathematics.sinCos(turns: 0.25)
    #expect(quarter.sine == 1 && quarter.cosine == 0)
  }

  @Test func sineAndCosineOfRadiansAreWithinTwoUnits() {
    for x in stride(from: -50_000.0, through: 50_000, by: 1.377_3) {
      let (sine, cosine) = Mathematics.sinCos(x)
      #expect(abs(sine - sin(x)) <= 2 * sin(x).ulp, "sin(\(x))")
      #expect(abs(cosine - cos(x)) <= 2 * cos(x).ulp, "cos(\(x))")
    }
    #expect(Mathematics.sinCos(0x1p27).sine.isFinite)
    #expect(Mathematics.sinCos(0x1p27.nextUp).sine.isNaN && Mathematics.sinCos(.nan).cosine.isNaN)
  }

  @Test func wholePowersAgreeWithTheSystems() {
    for base in [0.9, 0.95, 0.999, 1, 1.5] {
      for exponent in [0, 1, 2, 3, 10, 1000, 12_345] {
        let expected = pow(base, Double(exponent))
        guard expected.isNormal else { continue }
        #expect(abs(Mathematics.power(base, exponent) - expected) <= 1e-12 * expected, "\(base)^\(exponent)")
      }
    }
  }
}
