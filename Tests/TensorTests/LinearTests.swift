import Tensor
import Testing

/// Numbers in (-1, 1) that only an address decides.
func randomFloats(_ count: Int, _ path: UInt64...) -> [Float] {
  var random = CounterRandom(seed: 1, path: path)
  return (0..<count).map { _ in Float(random.uniform() * 2 - 1) }
}

/// A value that no kernel should read or overwrite.
let canary = Float(bitPattern: 0x7fc0_dead)

func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

@Suite struct LinearTests {
  static let pools = [1, 2, 3, 8].map { WorkerPool(threadCount: $0) }

  struct Case: CustomTestStringConvertible, Sendable {
    var rows, outputs, inputs: Int
    var testDescription: String { "\(rows) rows, \(outputs) x \(inputs)" }
  }

  static let cases: [Case] =
    (1...26).map { Case(rows: $0, outputs: 40, inputs: 19) } + [
      Case(rows: 1, outputs: 1, inputs: 1), Case(rows: 7, outputs: 1, inputs: 33),
      Case(rows: 3, outputs: 15, inputs: 8),
      Case(rows: 13, outputs: 16, inputs: 7), Case(rows: 5, outputs: 17, inputs: 64),
      Case(rows: 64, outputs: 256, inputs: 96),
      Case(rows: 100, outputs: 129, inputs: 50), Case(rows: 211, outputs: 48, inputs: 40),
      Case(rows: 9, outputs: 31, inputs: 1537),
      Case(rows: 14, outputs: 35, inputs: 3001), Case(rows: 500, outputs: 3, inputs: 20),
      // Strips of several panels, with some left over.
      Case(rows: 1, outputs: 150, inputs: 33), Case(rows: 1, outputs: 96, inputs: 1200),
      Case(rows: 3, outputs: 75, inputs: 70),
      Case(rows: 2, outputs: 1000, inputs: 128), Case(rows: 1703, outputs: 37, inputs: 29),
    ]

  /// y of `linear`, with canaries between and around the rows checked.
  static func product(
    _ x: [Float], xStride: Int, _ weight: [Float], _ bias: [Float]?, _ c: Case, narrow: Bool = false,
    pool: WorkerPool
  ) -> [Float] {
    let packed = FloatBuffer(
      count: PackedWeights.floatCount(outputs: c.outputs, inputs: c.inputs, narrow: narrow) + 16)
    for index in 0..<packed.count { packed[index] = canary }
    let weights = packWeights(
      weight, outputs: c.outputs, inputs: c.inputs, into: packed.pointer, narrow: narrow, pool: pool)
    for index in packed.count - 16..<packed.count { #expect(packed[index].bitPattern == canary.bitPattern) }
    let yStride = c.outputs + 5
    let y = lending { lend in
      let y = lend.mutable([Float](repeating: canary, count: c.rows * yStride), width: c.outputs, stride: yStride)
      linear(y, lend.rows(x, width: c.inputs, stride: xStride), weights: weights, bias: bias, pool: pool)
      return lend.contents(y)
    }
    var result: [Float] = []
    for row in 0..<c.rows {
      result += y[row * yStride..<row * yStride + c.outputs]
      #expect(y[row * yStride + c.outputs..<(row + 1) * yStride].allSatisfy { $0.bitPattern == canary.bitPattern })
    }
    return result
  }

  static func naive(_ x: [Float], xStride: Int, _ weight: [Float], _ bias: [Float]?, _ c: Case) -> [Float] {
    lending { lend in
      let y = lend.mutable([Float](repeating: 0, count: c.rows * c.outputs), width: c.outputs)
      linearNaive(
        y, lend.rows(x, width: c.inputs, stride: xStride), weight: lend.rows(weight, width: c.inputs), bias: bias)
      return lend.contents(y)
    }
  }

  /// Weights that are bfloat16 numbers, held in 16 bits: the same products.
  @Test(arguments: cases) func narrowPanelsHaveTheBitsOfWideOnes(c: Case) {
    let xStride = c.inputs + 3
    let x = randomFloats(c.rows * xStride, 1)
    let weight = randomFloats(c.outputs * c.inputs, 2).map { Float(bitPattern: $0.bitPattern & 0xffff_0000) }
    let bias = randomFloats(c.outputs, 3)
    let wide = Self.product(x, xStride: xStride, weight, bias, c, pool: Self.pools[0])
    for pool in Self.pools {
      #expect(bits(Self.product(x, xStride: xStride, weight, bias, c, narrow: true, pool: pool)) == bits(wide))
    }
  }

  @Test func bfloat16NumbersAreTold() {
    for count in [1, 7, 8, 9, 65_536, 65_537, 200_003] {
      var numbers = randomFloats(count, 4).map { Float(bitPattern: $0.bitPattern & 0xffff_0000) }
      numbers[0] = -.infinity
      #expect(areBFloat16(numbers, count: count, pool: Self.pools[1]))
      for place in Set([0, count / 2, count - 1]) {
        for bit in [UInt32(1), 1 << 15] {
          let kept = numbers[place]
          numbers[place] = Float(bitPattern: kept.bitPattern | bit)
          #expect(!areBFloat16(numbers, count: count, pool: Self.pools[1]), "bit \(bit) at \(place) of \(count)")
          numbers[place] = kept
        }
      }
    }
  }

  @Test(arguments: cases) func equalsTheNaiveChainBitForBit(c: Case) {
    let xStride = c.inputs + 3
    let x = randomFloats(c.rows * xStride, 1)
    let weight = randomFloats(c.outputs * c.inputs, 2)
    for bias in [nil, randomFloats(c.outputs, 3)] {
      let expected = Self.naive(x, xStride: xStride, weight, bias, c)
      #expect(expected.allSatisfy { $0.isFinite })
      for pool in LinearTests.pools {
        let y = LinearTests.product(x, xStride: xStride, weight, bias, c, pool: pool)
        #expect(bits(y) == bits(expected), "\(pool.threadCount) threads, bias \(bias != nil)")
      }
    }
  }

  /// The oracle itself: a chain differs from the fp64 sum by rounding only.
  @Test func theNaiveChainIsTheProduct() {
    let (rows, outputs, inputs) = (3, 4, 50)
    let (x, weight, bias) = (
      randomFloats(rows * inputs, 1), randomFloats(outputs * inputs, 2), randomFloats(outputs, 3)
    )
    let y = Self.naive(x, xStride: inputs, weight, bias, Case(rows: rows, outputs: outputs, inputs: inputs))
    for m in 0..<rows {
      for n in 0..<outputs {
        var sum = Double(bias[n])
        for k in 0..<inputs { sum += Double(x[m * inputs + k]) * Double(weight[n * inputs + k]) }
        #expect(abs(Double(y[m * outputs + n]) - sum) < 1e-5)
      }
    }
  }

  @Test func aRowAloneEqualsTheRowInABatch() {
    let c = Case(rows: 75, outputs: 70, inputs: 130)
    let x = randomFloats(c.rows * c.inputs, 4)
    let weight = randomFloats(c.outputs * c.inputs, 5)
    let batch = LinearTests.product(x, xStride: c.inputs, weight, nil, c, pool: LinearTests.pools[1])
    for row in 0..<c.rows {
      let alone = LinearTests.product(
        Array(x[row * c.inputs..<(row + 1) * c.inputs]), xStride: c.inputs, weight, nil,
        Case(rows: 1, outputs: c.outputs, inputs: c.inputs), pool: LinearTests.pools[0])
      #expect(bits(alone) == bits(Array(batch[row * c.outputs..<(row + 1) * c.outputs])), "row \(row)")
    }
  }

  @Test func notANumberStaysInItsRow() {
    let c = Case(rows: 8, outputs: 33, inputs: 20)
    var x = randomFloats(c.rows * c.inputs, 6)
    let weight = randomFloats(c.outputs * c.inputs, 7)
    let clean = LinearTests.product(x, xStride: c.inputs, weight, nil, c, pool: LinearTests.pools[0])
    x[3 * c.inputs + 5] = .nan
    let y = LinearTests.product(x, xStride: c.inputs, weight, nil, c, pool: LinearTests.pools[0])
    for row in 0..<c.rows {
      let range = row * c.outputs..<(row + 1) * c.outputs
      if row == 3 {
        #expect(y[range].allSatisfy { $0.isNaN })
      } else {
        #expect(bits(Array(y[range])) == bits(Array(clean[range])))
      }
    }
  }
}
