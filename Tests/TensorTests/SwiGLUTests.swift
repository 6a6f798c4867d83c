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
      var y = [Float](repeating: canary, count: rows * stride)
      swiGLU(
        &y, yStride: stride, gate: gate, gateStride: stride, up: up, upStride: stride, rows: rows, width: width,
        pool: pool)
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
      var y = [Float](repeating: 0, count: count)
      swiGLU(
        &y, yStride: count, gate: f.gate, gateStride: count, up: f.up, upStride: count, rows: 1, width: count,
        pool: Self.pools[0])
      expectClose(y, f.y, 5e-7, "y")
      // The gradients take the place of gate and up, as in the trainer.
      let memory = FloatBuffer(count: 2 * count)
      for index in 0..<count {
        memory[index] = f.gate[index]
        memory[count + index] = f.up[index]
      }
      let (gate, up) = (memory.pointer, memory.pointer + count)
      swiGLUBackward(
        dGate: gate, dGateStride: count, dUp: up, dUpStride: count, dY: f.dY, dYStride: count, gate: gate,
        gateStride: count, up: up, upStride: count, rows: 1, width: count, pool: Self.pools[0])
      expectClose(Array(memory[0..<count]), f.dGate, 1e-6, "dGate")
      expectClose(Array(memory[count..<2 * count]), f.dUp, 1e-6, "dUp")
    }
  }

  @Test func agreesWithFiniteDifferences() {
    let count = 21
    let gate = randomFloats(count, 72).map { $0 * 6 }
    let (up, dY) = (randomFloats(count, 73), randomFloats(count, 74))
    func twin(_ gate: [Double], _ up: [Double]) -> Double {
      inner(zip(gate, up).map { $0 / (1 + exp(-$0)) * $1 }, dY)
    }
    var dGate = [Float](repeating: canary, count: count)
    var dUp = dGate
    swiGLUBackward(
      dGate: &dGate, dGateStride: count, dUp: &dUp, dUpStride: count, dY: dY, dYStride: count, gate: gate,
      gateStride: count, up: up, upStride: count, rows: 1, width: count, pool: Self.pools[0])
    expectClose(dGate, numericGradient(doubles(gate)) { twin($0, doubles(up)) }, 1e-6, "dGate")
    expectClose(dUp, numericGradient(doubles(up)) { twin(doubles(gate), $0) }, 1e-6, "dUp")
  }

  @Test func addRowsAddsItsRowsAlone() {
    let (rows, width, stride) = (5, 37, 41)
    let (y, x) = (randomFloats(rows * stride, 75), randomFloats(rows * stride, 76))
    var sum = y
    addRows(&sum, yStride: stride, x: x, xStride: stride, rows: rows, width: width, pool: Self.pools[1])
    for index in y.indices {
      #expect(sum[index] == (index % stride < width ? y[index] + x[index] : y[index]), "element \(index)")
    }
  }
}
