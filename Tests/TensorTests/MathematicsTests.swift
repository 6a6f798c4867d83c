import Foundation
import Tensor
import Testing

@Suite struct MathematicsTests {
  @Test func theLogarithmAgreesWithTheSystemsToTwoUnits() {
    var random = CounterRandom(seed: 1, path: [1])
    var arguments = [
      1, 2, 0.5, 0x1p-53, 1 - 0x1p-53, 1 + 0x1p-52, 1.4142135623730951, 0.7071067811865476, 1e300, 1e-300,
    ]
    for _ in 0..<20_000 { arguments.append(random.uniform() + 0x1p-60) }
    for x in arguments {
      let expected = log(x)
      #expect(abs(Mathematics.log(x) - expected) <= 2 * expected.ulp, "log(\(x))")
    }
    #expect(Mathematics.log(1) == 0)
  }

  @Test func sineAndCosineAgreeWithTheSystems() {
    var random = CounterRandom(seed: 1, path: [2])
    var arguments = [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1 - 0x1p-53]
    for _ in 0..<20_000 { arguments.append(random.uniform()) }
    for turns in arguments {
      let (sine, cosine) = Mathematics.sinCosOfTurns(turns)
      #expect(abs(sine - sin(2 * Double.pi * turns)) < 1e-15, "\(turns) turns")
      #expect(abs(cosine - cos(2 * Double.pi * turns)) < 1e-15, "\(turns) turns")
    }
    let quarter = Mathematics.sinCosOfTurns(0.25)
    #expect(quarter.sine == 1 && quarter.cosine == 0)
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
