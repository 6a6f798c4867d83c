import Tensor
import Testing

@Suite struct LinearBackwardTests {
  static let cases: [LinearTests.Case] =
    (1...20).map { LinearTests.Case(rows: $0, outputs: 20, inputs: 21) } + [
      LinearTests.Case(rows: 1, outputs: 1, inputs: 1), LinearTests.Case(rows: 33, outputs: 1, inputs: 48),
      LinearTests.Case(rows: 40, outputs: 47, inputs: 1), LinearTests.Case(rows: 130, outputs: 100, inputs: 150),
      LinearTests.Case(rows: 3, outputs: 1100, inputs: 35), LinearTests.Case(rows: 1100, outputs: 13, inputs: 37),
      LinearTests.Case(rows: 64, outputs: 256, inputs: 128), LinearTests.Case(rows: 600, outputs: 300, inputs: 40),
      // One panel whose sum is cut into two and into four parts.
      LinearTests.Case(rows: 2500, outputs: 40, inputs: 33), LinearTests.Case(rows: 4100, outputs: 12, inputs: 17),
      // Enough panels of the large size, for dX and for dW.
      LinearTests.Case(rows: 1100, outputs: 20, inputs: 1100), LinearTests.Case(rows: 9, outputs: 1100, inputs: 1100),
      // Three panels, which become four: of dX's rows and of dW's; of dW's columns and of dX's.
      LinearTests.Case(rows: 600, outputs: 700, inputs: 40), LinearTests.Case(rows: 9, outputs: 40, inputs: 700),
      // dX is a sum as long as a vocabulary, in two parts.
      LinearTests.Case(rows: 5, outputs: 40_001, inputs: 40),
    ]

  struct Operands {
    let c: LinearTests.Case
    let dYStride, xStride, dXStride: Int
    let dY, x, weight, dX, dW: [Float]

    init(_ c: LinearTests.Case) {
      self.c = c
      (dYStride, xStride, dXStride) = (c.outputs + 2, c.inputs + 1, c.inputs + 4)
      dY = randomFloats(c.rows * dYStride, 11)
      x = randomFloats(c.rows * xStride, 12)
      weight = randomFloats(c.outputs * c.inputs, 13)
      dX = randomFloats(c.rows * dXStride, 14)
      dW = randomFloats(c.outputs * c.inputs, 15)
    }

    func inputGradient(accumulate: Bool, mode: MatmulMode, pool: WorkerPool) -> [Float] {
      lending { lend in
        let result = mutableDX(lend)
        linearBackwardInput(
          result, dY: rowsOfDY(lend), weight: lend.rows(weight, width: c.inputs), accumulate: accumulate, mode: mode,
          pool: pool)
        return lend.contents(result)
      }
    }

    func weightGradient(mode: MatmulMode, pool: WorkerPool, cuts: [Int] = []) -> [Float] {
      lending { lend in
        let result = lend.mutable(dW, width: c.inputs)
        let (dY, x) = (rowsOfDY(lend), rowsOfX(lend))
        func part(_ rows: Rows, _ range: Range<Int>) -> Rows {
          Rows(rows[range.lowerBound], count: range.count, width: rows.width, stride: rows.stride)
        }
        var start = 0
        for end in cuts + [c.rows] {
          linearBackwardWeight(
            result, dY: part(dY, start..<end), x: part(x, start..<end), mode: mode, pool: pool)
          start = end
        }
        return lend.contents(result)
      }
    }

    func mutableDX(_ lend: Lender) -> MutableRows { lend.mutable(dX, width: c.inputs, stride: dXStride) }
    func rowsOfDY(_ lend: Lender) -> Rows { lend.rows(dY, width: c.outputs, stride: dYStride) }
    func rowsOfX(_ lend: Lender) -> Rows { lend.rows(x, width: c.inputs, stride: xStride) }
  }

  @Test(arguments: cases) func exactInputGradientEqualsItsChain(c: LinearTests.Case) {
    let operands = Operands(c)
    for accumulate in [false, true] {
      // What lies between the rows must stay as it was, so whole arrays are compared.
      let expected = lending { lend in
        let dX = operands.mutableDX(lend)
        linearBackwardInputNaive(
          dX, dY: operands.rowsOfDY(lend), weight: lend.rows(operands.weight, width: c.inputs), accumulate: accumulate)
        return lend.contents(dX)
      }
      #expect(expected.allSatisfy { $0.isFinite })
      for pool in LinearTests.pools {
        let dX = operands.inputGradient(accumulate: accumulate, mode: .exact, pool: pool)
        #expect(bits(dX) == bits(expected), "\(pool.threadCount) threads, accumulate \(accumulate)")
      }
    }
  }

  @Test(arguments: cases) func exactWeightGradientEqualsItsChain(c: LinearTests.Case) {
    let operands = Operands(c)
    let expected = lending { lend in
      let dW = lend.mutable(operands.dW, width: c.inputs)
      linearBackwardWeightNaive(dW, dY: operands.rowsOfDY(lend), x: operands.rowsOfX(lend))
      return lend.contents(dW)
    }
    #expect(expected.allSatisfy { $0.isFinite })
    for pool in LinearTests.pools {
      #expect(
        bits(operands.weightGradient(mode: .exact, pool: pool)) == bits(expected), "\(pool.threadCount) threads")
    }
  }

  @Test func exactWeightGradientDoesNotDependOnTheMicroBatches() {
    let operands = Operands(LinearTests.Case(rows: 700, outputs: 31, inputs: 33))
    let pool = LinearTests.pools[1]
    let whole = operands.weightGradient(mode: .exact, pool: pool)
    for cuts in [[1], [699], [100, 101, 512], [350]] {
      #expect(bits(operands.weightGradient(mode: .exact, pool: pool, cuts: cuts)) == bits(whole), "cuts at \(cuts)")
    }
  }

  /// OpenBLAS sums in its own order: a bound on any order's rounding error, element by element.
  @Test(arguments: [MatmulMode.mixed, .blas], cases) func libraryProductsAgreeWithinRounding(
    mode: MatmulMode, c: LinearTests.Case
  ) {
    let operands = Operands(c)
    let exact = operands.weightGradient(mode: .exact, pool: LinearTests.pools[0])
    let first = operands.weightGradient(mode: mode, pool: LinearTests.pools[0])
    for index in exact.indices {
      #expect(abs(exact[index] - first[index]) <= Float(c.rows + 1) * 0x1p-23)
    }
    for accumulate in [false, true] {
      let exact = operands.inputGradient(accumulate: accumulate, mode: .exact, pool: LinearTests.pools[0])
      let first = operands.inputGradient(accumulate: accumulate, mode: mode, pool: LinearTests.pools[0])
      for index in exact.indices {
        #expect(abs(exact[index] - first[index]) <= Float(c.outputs + 1) * 0x1p-23)
      }
      for pool in LinearTests.pools.dropFirst() {
        #expect(bits(operands.inputGradient(accumulate: accumulate, mode: mode, pool: pool)) == bits(first))
      }
    }
    for pool in LinearTests.pools.dropFirst() {
      #expect(bits(operands.weightGradient(mode: mode, pool: pool)) == bits(first))
    }
  }

  /// Parts of the sum and panels of dX at once, which takes too many weights for `cases`.
  @Test func aLongSumOverSeveralPanelsAgreesWithinRounding() {
    let (rows, outputs, inputs) = (3, 32_800, 1100)
    let (dY, weight) = (randomFloats(rows * outputs, 11), randomFloats(outputs * inputs, 13))
    func inputGradient(_ mode: MatmulMode, _ pool: WorkerPool) -> [Float] {
      lending { lend in
        let dX = lend.mutable([Float](repeating: canary, count: rows * inputs), width: inputs)
        linearBackwardInput(
          dX, dY: lend.rows(dY, width: outputs), weight: lend.rows(weight, width: inputs), accumulate: false,
          mode: mode, pool: pool)
        return lend.contents(dX)
      }
    }
    let exact = inputGradient(.exact, LinearTests.pools[0])
    let first = inputGradient(.mixed, LinearTests.pools[0])
    for index in exact.indices { #expect(abs(exact[index] - first[index]) <= Float(outputs + 1) * 0x1p-23) }
    for pool in LinearTests.pools.dropFirst() { #expect(bits(inputGradient(.mixed, pool)) == bits(first)) }
  }

  @Test func libraryForwardAgreesWithinRounding() {
    let c = LinearTests.Case(rows: 300, outputs: 270, inputs: 100)
    let (x, weight, bias) = (
      randomFloats(c.rows * c.inputs, 1), randomFloats(c.outputs * c.inputs, 2), randomFloats(c.outputs, 3)
    )
    let (expected, y) = lending { lend in
      let (x, weight) = (lend.rows(x, width: c.inputs), lend.rows(weight, width: c.inputs))
      let (expected, y) = (
        lend.mutable([Float](repeating: 0, count: c.rows * c.outputs), width: c.outputs),
        lend.mutable([Float](repeating: canary, count: c.rows * c.outputs), width: c.outputs)
      )
      linearNaive(expected, x, weight: weight, bias: bias)
      linearBLAS(y, x, weight: weight, bias: bias, pool: LinearTests.pools[1])
      return (lend.contents(expected), lend.contents(y))
    }
    for index in y.indices { #expect(abs(y[index] - expected[index]) <= Float(c.inputs + 1) * 0x1p-23) }
  }

  /// The loss sum(g * (x w' + b)) is linear in each operand, so a central difference in fp64 is its derivative but for
  /// rounding; all elements are checked.
  @Test(arguments: MatmulMode.allCases) func gradientsAreTheDerivativesOfTheForwardProduct(mode: MatmulMode) {
    let (rows, outputs, inputs) = (5, 7, 6)
    let (x, weight, g) = (
      randomFloats(rows * inputs, 1), randomFloats(outputs * inputs, 2), randomFloats(rows * outputs, 3)
    )
    let bias = randomFloats(outputs, 4)
    func loss(_ x: [Double], _ w: [Double], _ b: [Double]) -> Double {
      var sum = 0.0
      for m in 0..<rows {
        for n in 0..<outputs {
          var y = b[n]
          for k in 0..<inputs { y += x[m * inputs + k] * w[n * inputs + k] }
          sum += Double(g[m * outputs + n]) * y
        }
      }
      return sum
    }
    let operands = [x.map(Double.init), weight.map(Double.init), bias.map(Double.init)]
    func difference(_ operand: Int, _ index: Int) -> Double {
      var (up, down) = (operands, operands)
      up[operand][index] += 0.5
      down[operand][index] -= 0.5
      return loss(up[0], up[1], up[2]) - loss(down[0], down[1], down[2])
    }
    let lender = Lender()
    let dXRows = lender.mutable([Float](repeating: canary, count: x.count), width: inputs)
    let dWRows = lender.mutable([Float](repeating: 0, count: weight.count), width: inputs)
    let dY = lender.rows(g, width: outputs)
    var dBias = [Float](repeating: 0, count: outputs)
    let pool = LinearTests.pools[1]
    for pass in 1...2 {
      linearBackwardInput(
        dXRows, dY: dY, weight: lender.rows(weight, width: inputs), accumulate: false, mode: mode, pool: pool)
      linearBackwardWeight(dWRows, dY: dY, x: lender.rows(x, width: inputs), mode: mode, pool: pool)
      biasBackward(&dBias, dY: dY, pool: pool)
      let (dX, dW) = (lender.contents(dXRows), lender.contents(dWRows))
      // dX is replaced; parameter gradients add up.
      for index in x.indices { #expect(abs(Double(dX[index]) - difference(0, index)) < 2e-6) }
      for index in weight.indices { #expect(abs(Double(dW[index]) - Double(pass) * difference(1, index)) < 4e-6) }
      for index in bias.indices { #expect(abs(Double(dBias[index]) - Double(pass) * difference(2, index)) < 4e-6) }
    }
  }

  @Test(arguments: [(3, 5), (700, 300), (129, 1025)]) func biasGradientIsAChainOverTheRows(rows: Int, outputs: Int) {
    let stride = outputs + 3
    let dY = randomFloats(rows * stride, 21)
    let start = randomFloats(outputs, 22)
    var expected = start
    for m in 0..<rows { for n in 0..<outputs { expected[n] += dY[m * stride + n] } }
    for pool in LinearTests.pools {
      var dBias = start
      lending { biasBackward(&dBias, dY: $0.rows(dY, width: outputs, stride: stride), pool: pool) }
      #expect(bits(dBias) == bits(expected))
    }
  }

  @Test func theLibraryNamesItself() {
    #expect(blasDescription.hasPrefix("OpenBLAS "))
    #expect(blasDescription.contains(" core "))
  }
}
