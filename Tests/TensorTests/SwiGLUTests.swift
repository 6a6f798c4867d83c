import Foundation
import Tensor
import Testing

@Suite struct SwiGLUTests {
  static let pools = [1, 2, 3].map { WorkerPool(threadCount: $0) }

  @Test(arguments: [1, 7, 8, 31, 704]) func equalsTheTwinWhateverTheThreads(width: Int) {
    let (rows, stride) = (60, width + 3)
    let gate = randomFloats(rows * stride, 70).map { $0 * 120 }
    let up = randomFloats(rows * stride, 71)
    for pool in Self.pools {
      let y = lending { lend in
        let y = lend.mutable([Float](repeating: canary, count: rows * stride), width: width, stride: stride)
        swiGLU(
          y, gate: lend.rows(gate, width: width, stride: stride), up: lend.rows(up, width: width, stride: stride),
          pool: pool)
        return lend.contents(y)
      }
      for index in y.indices {
        let twin = index % stride < width ? scalarSwiGLU(gate: gate[index], up: up[index]) : canary
        #expect(y[index].bitPattern == twin.bitPattern, "element \(index)")
      }
    }
  }

  @Test func extremeGatesStayFinite() {
    let gate: [Float] = [-1e30, -200, -90, -87.31, -0.0, 0, 87.31, 200, 1e30]
    for g in gate {
      let y = scalarSwiGLU(gate: g, up: 1)
      #expect(y.isFinite && abs(y - (g > 0 ? g : 0)) <= 1e-30 * abs(g), "silu(\(g)) = \(y)")
    }
    #expect(scalarSwiGLU(gate: .nan, up: 1).isNaN)
  }

  @Test func agreesWithPyTorchAlsoInPlace() {
    for f in RowFixture.shared.swiGLU {
      let count = f.gate.count
      lending { lend in
        let y = lend.mutable([Float](repeating: 0, count: count), width: count)
        let (gate, up) = (lend.mutable(f.gate, width: count), lend.mutable(f.up, width: count))
        swiGLU(y, gate: Rows(gate), up: Rows(up), pool: Self.pools[0])
        expectClose(lend.contents(y), f.y, 5e-7, "y")
        // The gradients take the place of gate and up, as in the trainer.
        swiGLUBackward(
          dGate: gate, dUp: up, dY: lend.rows(f.dY, width: count), gate: Rows(gate), up: Rows(up), pool: Self.pools[0])
        expectClose(lend.contents(gate), f.dGate, 1e-6, "dGate")
        expectClose(lend.contents(up), f.dUp, 1e-6, "dUp")
      }
    }
  }

  @Test func agreesWithFiniteDifferences() {
    let count = 21
    let gate = randomFloats(count, 72).map { $0 * 6 }
    let (up, dY) = (randomFloats(count, 73), randomFloats(count, 74))
    func twin(_ gate: [Double], _ up: [Double]) -> Double {
      inner(zip(gate, up).map { $0 / (1 + exp(-$0)) * $1 }, dY)
    }
    lending { lend in
      func rows(_ values: [Float]) -> MutableRows { lend.mutable(values, width: count) }
      let canaries = [Float](repeating: canary, count: count)
      let (dGate, dUp) = (rows(canaries), rows(canaries))
      swiGLUBackward(
        dGate: dGate, dUp: dUp, dY: Rows(rows(dY)), gate: Rows(rows(gate)), up: Rows(rows(up)), pool: Self.pools[0])
      expectClose(lend.contents(dGate), numericGradient(doubles(gate)) { twin($0, doubles(up)) }, 1e-6, "dGate")
      expectClose(lend.contents(dUp), numericGradient(doubles(up)) { twin(doubles(gate), $0) }, 1e-6, "dUp")
    }
  }

  @Test func addRowsAddsItsRowsAlone() {
    let (rows, width, stride) = (5, 37, 41)
    let (y, x) = (randomFloats(rows * stride, 75), randomFloats(rows * stride, 76))
    let sum = lending { lend in
      let sum = lend.mutable(y, width: width, stride: stride)
      addRows(sum, lend.rows(x, width: width, stride: stride), pool: Self.pools[1])
      return lend.contents(sum)
    }
    for index in y.indices {
      #expect(sum[index] == (index % stride < width ? y[index] + x[index] : y[index]), "element \(index)")
    }
  }
}
