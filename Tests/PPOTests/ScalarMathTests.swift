import Foundation
import PPO
import Testing

@Suite struct ScalarMathTests {
  /// Distance in units of the last place of `b`.
  private func ulps(_ a: Double, _ b: Double) -> Double { a == b ? 0 : abs(a - b) / b.ulp }

  @Test func exponentialIsWithinOneUnitInTheLastPlace() {
    var worst = 0.0
    for i in 0..<200_000 {
      let x = -707 + 1416 * Double(i) / 200_000
      worst = max(worst, ulps(ScalarMath.exp(x), Foundation.exp(x)))
      let y = -0.7 + 1.4 * Double(i) / 200_000
      worst = max(worst, ulps(ScalarMath.exp(y), Foundation.exp(y)))
    }
    #expect(worst <= 1)
    #expect(ScalarMath.exp(0) == 1)
    #expect(ScalarMath.exp(-0.0) == 1)
    #expect(ScalarMath.exp(710) == .infinity)
    #expect(ScalarMath.exp(-746) == 0)
    #expect(ScalarMath.exp(-.infinity) == 0)
    #expect(ScalarMath.exp(.infinity) == .infinity)
    #expect(ScalarMath.exp(.nan).isNaN)
    // The largest result and subnormal ones.
    #expect(ulps(ScalarMath.exp(709.78), Foundation.exp(709.78)) <= 1)
    #expect(abs(ScalarMath.exp(-740) - Foundation.exp(-740)) <= Double.leastNonzeroMagnitude)
  }

  @Test func logarithmIsWithinOneUnitInTheLastPlace() {
    var worst = 0.0
    for i in 1..<200_000 {
      let x = Double(i) / 20_000
      worst = max(worst, ulps(ScalarMath.log(x), Foundation.log(x)))
      let y = Foundation.exp(-700 + 1400 * Double(i) / 200_000)
      worst = max(worst, ulps(ScalarMath.log(y), Foundation.log(y)))
    }
    #expect(worst <= 1)
    #expect(ScalarMath.log(1) == 0)
    #expect(ScalarMath.log(0) == -.infinity)
    #expect(ScalarMath.log(.infinity) == .infinity)
    #expect(ScalarMath.log(-1).isNaN && ScalarMath.log(.nan).isNaN)
    #expect(ulps(ScalarMath.log(.leastNonzeroMagnitude), Foundation.log(.leastNonzeroMagnitude)) <= 1)
  }

  @Test func sigmoidAndItsSlope() {
    for x in [-800.0, -40, -1, -1e-9, 0, 0.3, 2, 40, 800] {
      #expect(abs(ScalarMath.sigmoid(x) - 1 / (1 + Foundation.exp(-x))) <= 2e-16)
      let y = ScalarMath.sigmoid(x)
      let other = ScalarMath.sigmoid(-x)
      #expect(abs(ScalarMath.sigmoidSlope(x) - y * other) <= 1e-15 * y * other)
    }
  }
}
