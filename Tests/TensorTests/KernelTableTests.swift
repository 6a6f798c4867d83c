import Support
import Tensor
import Testing

@testable import KernelsPortable

/// Every function of the table in use has, bit for bit, the results of the portable one's. Where the portable one is in
/// use the comparison says nothing, and the naive twins of the other tests remain.
@Suite struct KernelTableTests {
  private let pool = WorkerPool(threadCount: 2)

  @Test("an instruction set of its own is in use where the processor has one")
  func choice() {
    #if arch(x86_64)
      #expect(kernels.name == "AVX2", "these tests need a processor with AVX2")
      #expect(Table.name == "portable")
    #endif
  }

  @Test(arguments: [1, 2, 3, 5, 6, 13, 40], [false, true])
  func linearProducts(rows: Int, narrow: Bool) {
    let (outputs, inputs) = (77, 530)
    let weight = narrow ? numbers(outputs * inputs).map(halved) : numbers(outputs * inputs)
    let (x, bias) = (numbers(rows * inputs, seed: 2), numbers(outputs, seed: 3))
    same { table, out in
      let room = FloatBuffer(count: PackedWeights.floatCount(outputs: outputs, inputs: inputs, narrow: narrow))
      #expect(table.areBFloat16(weight, count: weight.count, pool: pool) == narrow)
      let packed = table.packWeights(
        weight, outputs: outputs, inputs: inputs, into: room.pointer, narrow: narrow, pool: pool)
      lending { lend in
        let y = lend.mutable([Float](repeating: 0, count: rows * outputs), width: outputs)
        table.linear(y, lend.rows(x, width: inputs), weights: packed, bias: bias, pool: pool)
        out += lend.contents(y) + room.contents
      }
    }
  }

  @Test(arguments: [1, 4, 9, 100])
  func linearGradients(rows: Int) {
    let (outputs, inputs) = (70, 37)
    let (dY, x) = (numbers(rows * outputs), numbers(rows * inputs, seed: 2))
    let weight = numbers(outputs * inputs, seed: 3)
    same { table, out in
      lending { lend in
        let dX = lend.mutable(numbers(rows * inputs, seed: 4), width: inputs)
        let dW = lend.mutable(numbers(outputs * inputs, seed: 5), width: inputs)
        var dBias = numbers(outputs, seed: 6)
        let dY = lend.rows(dY, width: outputs)
        table.linearBackwardInput(
          dX, dY: dY, weight: lend.rows(weight, width: inputs), accumulate: true, mode: .exact, pool: pool)
        table.linearBackwardWeight(dW, dY: dY, x: lend.rows(x, width: inputs), mode: .exact, pool: pool)
        table.biasBackward(&dBias, dY: dY, pool: pool)
        out += lend.contents(dX) + lend.contents(dW) + dBias
      }
    }
  }

  @Test(arguments: [8, 20, 64], [3, 70])
  func attentionForwardAndBackward(headWidth: Int, length: Int) {
    let shape = AttentionShape(headCount: 6, keyValueHeadCount: 3, headWidth: headWidth)
    let (wide, narrow) = (6 * headWidth, 3 * headWidth)
    let sequences = [
      AttentionSequence(rows: 0..<length), AttentionSequence(rows: length..<length + 9, prefix: 0..<length),
    ]
    let rows = length + 9
    let (query, dOut) = (numbers(rows * wide), numbers(rows * wide, seed: 2))
    let (key, value) = (numbers(rows * narrow, seed: 3), numbers(rows * narrow, seed: 4))
    same { table, out in
      let scratch = AttentionScratch()
      var statistics = [Float](repeating: 0, count: rows * 12)
      lending { lend in
        func zeros() -> MutableRows { lend.mutable([Float](repeating: 0, count: rows * wide), width: wide) }
        let y = zeros()
        let inputs = AttentionInputs(
          query: lend.rows(query, width: wide), key: lend.rows(key, width: narrow),
          value: lend.rows(value, width: narrow), shape: shape)
        let gradients = AttentionGradients(
          query: zeros(), key: lend.mutable(numbers(rows * narrow, seed: 5), width: narrow),
          value: lend.mutable(numbers(rows * narrow, seed: 6), width: narrow))
        table.attention(y, inputs, sequences: sequences, statistics: &statistics, scratch: scratch, pool: pool)
        table.attentionBackward(
          gradients, dOut: lend.rows(dOut, width: wide), out: Rows(y), statistics: statistics, inputs,
          sequences: sequences, scratch: scratch, pool: pool)
        out += lend.contents(y) + statistics
        out += lend.contents(gradients.query) + lend.contents(gradients.key) + lend.contents(gradients.value)
      }
    }
  }

  @Test(arguments: [1, 4, 8])
  func attentionOverStoredKeys(spanCount: Int) {
    let shape = AttentionShape(headCount: 4, keyValueHeadCount: 2, headWidth: 24)
    let length = 533
    let pages = (0..<KeyValueStore.pageCount(length: length)).map { _ in
      FloatBuffer(count: KeyValueStore.pageFloatCount(shape: shape))
    }
    let places = pages.map(\.pointer)
    let (key, value) = (numbers(length * 48), numbers(length * 48, seed: 2))
    let query = numbers(spanCount * 96, seed: 3)
    defer { withExtendedLifetime(pages) {} }
    places.withUnsafeBufferPointer { places in
      let store = KeyValueStore(pages: places.baseAddress!)
      for position in 0..<length {
        key.withUnsafeBufferPointer { key in
          value.withUnsafeBufferPointer { value in
            store.append(
              position: position, key: key.baseAddress! + position * 48, value: value.baseAddress! + position * 48,
              shape: shape)
          }
        }
      }
      let spans = (0..<spanCount).map {
        AttentionSpan(rows: $0..<$0 + 1, firstPosition: length - 1 - 3 * $0, store: store)
      }
      same { table, out in
        lending { lend in
          let y = lend.mutable([Float](repeating: 0, count: spanCount * 96), width: 96)
          table.attention(
            y, query: lend.rows(query, width: 96), spans: spans, shape: shape, statistics: nil,
            scratch: AttentionScratch(), pool: pool)
          out += lend.contents(y)
        }
      }
    }
  }

  @Test(arguments: [5, 16, 70])
  func rowsOfActivations(width: Int) {
    let (rowCount, heads, D) = (3, 2, 20)
    let (x, weight, gate) = (numbers(rowCount * width), numbers(width, seed: 2), numbers(rowCount * width, seed: 3))
    let positions: [Int32] = [0, 7, 300]
    let table = RotaryTable(headWidth: D, theta: 10_000, scaling: nil, capacity: 301)
    same { kernels, out in
      lending { lend in
        func rows(_ values: [Float]) -> MutableRows { lend.mutable(values, width: width) }
        let (y, dX, x, gate) = (rows(x), rows(gate), Rows(rows(x)), Rows(rows(gate)))
        var (rstd, dWeight) = ([Float](repeating: 0, count: rowCount), weight)
        kernels.rmsNorm(y, x, weight: weight, groups: 1, epsilon: 1e-6, rstd: &rstd, pool: pool)
        kernels.rmsNormBackward(
          dX: dX, dWeight: &dWeight, dY: gate, x: x, weight: weight, rstd: rstd, groups: 1, pool: pool)
        out += lend.contents(y) + rstd + lend.contents(dX) + dWeight
        for (seed, backwards) in [(UInt64(4), false), (5, true)] {
          let turned = lend.mutable(numbers(rowCount * heads * D, seed: seed), width: heads * D)
          kernels.rotary(turned, positions: positions, table: table, backwards: backwards, pool: pool)
          out += lend.contents(turned)
        }
        let (dGate, dUp) = (rows(numbers(rowCount * width)), rows(numbers(rowCount * width)))
        kernels.swiGLU(y, gate: gate, up: x, pool: pool)
        kernels.swiGLUBackward(dGate: dGate, dUp: dUp, dY: Rows(y), gate: gate, up: x, pool: pool)
        out += lend.contents(y) + lend.contents(dGate) + lend.contents(dUp)
        kernels.addRows(y, x, pool: pool)
        kernels.addProduct(y.pointer, 0.3, gate.pointer, count: rowCount * width)
        out += lend.contents(y)
      }
    }
  }

  @Test(arguments: [1, 15, 467, 1000])
  func rowsOfLogits(count: Int) {
    let x = numbers(count).map { $0 * 8 }
    same { table, out in
      var (y, blocks) = (x, [Float](repeating: 0, count: count / 256 + 1))
      table.divideRow(&y, count: count, by: 0.7)
      let maximum = table.rowMaximum(y, count: count)
      let sum = table.logSumExp(y, count: count, blockSums: &blocks)
      let statistics = table.rowStatistics(y, count: count)
      out += y + blocks + [maximum, sum.maximum, sum.logSum, statistics.maximum, statistics.logSum, statistics.entropy]
      var e = y
      table.exponentials(&e, y, count: count, maximum: maximum)
      out += e + x.map { table.exactExp($0) }
      table.logProbBackward(
        &y, logits: Array(y), count: count, target: count / 2, statistics: statistics, cLogProb: 0.4, cEntropy: 0.01,
        temperature: 0.7)
      out += y
    }
  }

  @Test func optimizers() {
    let count = 517
    let (g, size) = (numbers(count), QuantizedMoment.blockCount)
    let settings = OptimizerSettings(kind: .adamw, learningRate: 1e-2)
    let formula = AdamWStep(settings, step: 3, learningRate: 1e-2)
    same { table, out in
      var (w, m, v) = (numbers(count, seed: 2), numbers(count, seed: 3), numbers(count, seed: 4).map(abs))
      let squares = table.sumOfSquares(g, count: count).bitPattern
      out += [UInt32(squares >> 32), UInt32(truncatingIfNeeded: squares)].map(Float.init(bitPattern:))
      g.withUnsafeBufferPointer { g in
        w.withUnsafeMutableBufferPointer { w in
          m.withUnsafeMutableBufferPointer { m in
            v.withUnsafeMutableBufferPointer { v in
              let p = OptimizerPointers(
                weights: w.baseAddress!, gradients: g.baseAddress!, first: m.baseAddress, second: v.baseAddress)
              table.updateAdamW(p, range: 3..<count, scale: 0.5, kept: formula.kept, formula: formula)
              table.updateSGD(p, range: 0..<count - 1, scale: 0.5, stepSize: -0.1, decay: 0.01)
              let (first, second) = (
                QuantizedMoment(count: size, isSigned: true), QuantizedMoment(count: size, isSigned: false)
              )
              let room = FloatBuffer(count: 2 * size)
              for step in 1...3 {
                table.updateEightBitAdamW(
                  p, block: 0, scale: 1, step: step, first: first, second: second, room: room.pointer, formula: formula)
              }
              out += first.codes.contents + first.scales.contents + second.codes.contents + second.scales.contents
            }
          }
        }
      }
      out += w + m + v
    }
  }

  @Test func readingAddsUpAll() {
    let x = (0..<320).map(Float.init)
    #expect(x.withUnsafeBytes { kernels.readThrough($0) } == 51_040)
    #expect(x.withUnsafeBytes { Table.readThrough($0) } == 51_040)
  }

  /// Runs `body` with the table in use and with the portable one, and compares what they append.
  private func same(
    _ body: (any KernelTable.Type, inout [Float]) -> Void, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    var (own, portable): ([Float], [Float]) = ([], [])
    body(kernels, &own)
    body(Table.self, &portable)
    #expect(
      own.map(\.bitPattern) == portable.map(\.bitPattern) && !own.isEmpty, sourceLocation: sourceLocation)
    #expect(own.contains { $0 != 0 && $0.isFinite }, sourceLocation: sourceLocation)
  }

  private func numbers(_ count: Int, seed: UInt64 = 1) -> [Float] {
    var random = CounterRandom(seed: seed, path: [stableHash("table")])
    return (0..<count).map { _ in Float(random.normal()) }
  }

  private func halved(_ x: Float) -> Float { Float(bitPattern: x.bitPattern & 0xffff_0000) }
}

extension FloatBuffer {
  fileprivate var contents: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
}
