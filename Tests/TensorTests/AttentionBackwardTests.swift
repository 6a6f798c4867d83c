import Foundation
import Tensor
import Testing

@Suite struct AttentionBackwardTests {
  static let pools = [1, 2, 3].map { WorkerPool(threadCount: $0) }

  struct Gradients: Equatable {
    var dQuery, dKey, dValue: [Float]
    var allBits: [[UInt32]] { [bits(dQuery), bits(dKey), bits(dValue)] }
  }

  /// One backward pass from `start` values of dKey and dValue (zeros if nil).
  static func backward(
    _ c: AttentionCase, _ query: [Float], _ key: [Float], _ value: [Float], _ dOut: [Float],
    from start: Gradients? = nil, sequences: [AttentionSequence]? = nil, pool: WorkerPool
  ) -> Gradients {
    let (out, statistics) = c.packed(query, key, value, pool: pool)
    return lending { lend in
      let gradients = AttentionGradients(
        query: c.wide([Float](repeating: canary, count: query.count), lend),
        key: c.narrow(start?.dKey ?? [Float](repeating: 0, count: key.count), lend),
        value: c.narrow(start?.dValue ?? [Float](repeating: 0, count: value.count), lend))
      attentionBackward(
        gradients, dOut: Rows(c.wide(dOut, lend)), out: Rows(c.wide(out, lend)), statistics: statistics,
        c.inputs(query, key, value, lend), sequences: sequences ?? c.sequences, scratch: AttentionScratch(), pool: pool)
      return Gradients(
        dQuery: lend.contents(gradients.query), dKey: lend.contents(gradients.key),
        dValue: lend.contents(gradients.value))
    }
  }

  static func cotangent(_ c: AttentionCase) -> [Float] { randomFloats(c.rows * c.queryStride, 55) }

  @Test(arguments: AttentionTests.cases) func threadsAndNeighboursChangeNothing(c: AttentionCase) {
    let (query, key, value, dOut) = (c.query, c.key, c.value, Self.cotangent(c))
    let one = Self.backward(c, query, key, value, dOut, pool: Self.pools[0])
    for pool in Self.pools.dropFirst() {
      #expect(Self.backward(c, query, key, value, dOut, pool: pool).allBits == one.allBits)
    }
    // A sequence alone gives what it gave among the others.
    var alone = Gradients(dQuery: one.dQuery, dKey: [], dValue: [])
    (alone.dKey, alone.dValue) = ([Float](repeating: 0, count: key.count), [Float](repeating: 0, count: value.count))
    for sequence in c.sequences.reversed() {
      alone = Self.backward(c, query, key, value, dOut, from: alone, sequences: [sequence], pool: Self.pools[0])
      for row in sequence.rows {
        let own = row * c.queryStride..<row * c.queryStride + c.heads * c.width
        #expect(bits(Array(alone.dQuery[own])) == bits(Array(one.dQuery[own])))
      }
    }
    #expect(bits(alone.dKey) == bits(one.dKey) && bits(alone.dValue) == bits(one.dValue))
  }

  @Test(arguments: AttentionTests.cases) func twiceAddsTwiceAndLeavesTheGapsAlone(c: AttentionCase) {
    let (query, key, value, dOut) = (c.query, c.key, c.value, Self.cotangent(c))
    let once = Self.backward(c, query, key, value, dOut, pool: Self.pools[0])
    let twice = Self.backward(c, query, key, value, dOut, from: once, pool: Self.pools[1])
    expectClose(twice.dKey, doubles(once.dKey).map { $0 * 2 }, 2e-5, "dKey")
    expectClose(twice.dValue, doubles(once.dValue).map { $0 * 2 }, 2e-5, "dValue")
    #expect(bits(twice.dQuery) == bits(once.dQuery))
    for row in 0..<c.rows {
      for gap in c.heads * c.width..<c.queryStride {
        #expect(once.dQuery[row * c.queryStride + gap].bitPattern == canary.bitPattern)
      }
      for gap in c.keyHeads * c.width..<c.keyStride {
        #expect(once.dKey[row * c.keyStride + gap] == 0 && once.dValue[row * c.keyStride + gap] == 0)
      }
    }
  }

  /// Each key's gradient must not hear of queries before it, nor a query's of keys behind it.
  @Test(arguments: [1, 7]) func maskedPlacesHaveNoSay(group: Int) {
    let c = AttentionCase(heads: 2 * group, keyHeads: 2, width: 16, lengths: [75])
    let (query, dOut) = (c.query, Self.cotangent(c))
    let clean = Self.backward(c, query, c.key, c.value, dOut, pool: Self.pools[0])
    for cut in [1, 20, 74] {
      // Queries and cotangents before `cut` are poison: keys from `cut` on must not change.
      var (badQuery, badDOut) = (query, dOut)
      for index in 0..<cut * c.queryStride { (badQuery[index], badDOut[index]) = (.nan, .nan) }
      let late = Self.backward(c, badQuery, c.key, c.value, badDOut, pool: Self.pools[0])
      #expect(bits(Array(late.dKey[(cut * c.keyStride)...])) == bits(Array(clean.dKey[(cut * c.keyStride)...])))
      #expect(bits(Array(late.dValue[(cut * c.keyStride)...])) == bits(Array(clean.dValue[(cut * c.keyStride)...])))
      #expect(late.dKey[0].isNaN && late.dValue[0].isNaN)
      // Keys and values from `cut` on are poison: the queries before it must not change.
      var (badKey, badValue) = (c.key, c.value)
      for index in cut * c.keyStride..<badKey.count { (badKey[index], badValue[index]) = (.nan, .nan) }
      let early = Self.backward(c, query, badKey, badValue, dOut, pool: Self.pools[0])
      #expect(
        bits(Array(early.dQuery[..<(cut * c.queryStride)])) == bits(Array(clean.dQuery[..<(cut * c.queryStride)])))
      #expect(early.dQuery[cut * c.queryStride].isNaN)
    }
  }

  @Test func agreesWithPyTorch() {
    for f in RowFixture.shared.attention {
      let shape = AttentionShape(headCount: f.heads, keyValueHeadCount: f.keyHeads, headWidth: f.width)
      let rows = f.lengths.reduce(0, +)
      let (Q, KV) = (f.heads * f.width, f.keyHeads * f.width)
      var start = 0
      let sequences = f.lengths.map { length in
        start += length
        return AttentionSequence(rows: start - length..<start)
      }
      var statistics = [Float](repeating: 0, count: rows * f.heads * 2)
      let scratch = AttentionScratch()
      lending { lend in
        let inputs = AttentionInputs(
          query: lend.rows(f.query, width: Q), key: lend.rows(f.key, width: KV), value: lend.rows(f.value, width: KV),
          shape: shape)
        func zeros(_ width: Int) -> MutableRows {
          lend.mutable([Float](repeating: 0, count: rows * width), width: width)
        }
        let out = zeros(Q)
        attention(
          out, inputs, sequences: sequences, statistics: &statistics, scratch: scratch, pool: Self.pools[1])
        expectClose(lend.contents(out), f.out, 2e-6, "out")
        let gradients = AttentionGradients(query: zeros(Q), key: zeros(KV), value: zeros(KV))
        attentionBackward(
          gradients, dOut: lend.rows(f.dOut, width: Q), out: Rows(out), statistics: statistics, inputs,
          sequences: sequences, scratch: scratch, pool: Self.pools[1])
        expectClose(lend.contents(gradients.query), f.dQuery, 4e-6, "dQuery")
        expectClose(lend.contents(gradients.key), f.dKey, 4e-6, "dKey")
        expectClose(lend.contents(gradients.value), f.dValue, 4e-6, "dValue")
      }
    }
  }

  @Test func agreesWithFiniteDifferences() {
    let c = AttentionCase(heads: 4, keyHeads: 2, width: 4, lengths: [9])
    let (query, key, value, dOut) = (c.query, c.key, c.value, Self.cotangent(c))
    func twin(_ query: [Double], _ key: [Double], _ value: [Double]) -> Double {
      var total = 0.0
      for row in 0..<9 {
        for head in 0..<4 {
          let (q, k) = (row * c.queryStride + head * 4, head / 2 * 4)
          let scores = (0...row).map { p in
            (0..<4).reduce(0.0) { $0 + query[q + $1] * key[p * c.keyStride + k + $1] } / 2
          }
          let sum = scores.reduce(0) { $0 + exp($1) }
          for d in 0..<4 {
            let out = (0...row).reduce(0.0) { $0 + exp(scores[$1]) / sum * value[$1 * c.keyStride + k + d] }
            total += out * Double(dOut[q + d])
          }
        }
      }
      return total
    }
    let (Q, K, V) = (doubles(query), doubles(key), doubles(value))
    var got = Self.backward(c, query, key, value, dOut, pool: Self.pools[0])
    for index in got.dQuery.indices where index % c.queryStride >= 16 { got.dQuery[index] = 0 }
    expectClose(got.dQuery, numericGradient(Q) { twin($0, K, V) }, 3e-6, "dQuery")
    expectClose(got.dKey, numericGradient(K) { twin(Q, $0, V) }, 3e-6, "dKey")
    expectClose(got.dValue, numericGradient(V) { twin(Q, K, $0) }, 3e-6, "dValue")
  }
}
