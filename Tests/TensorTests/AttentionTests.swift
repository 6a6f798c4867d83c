import Tensor
import Testing

/// Packed rows with queries, keys and values, all with gaps between the rows.
struct AttentionCase: CustomTestStringConvertible, Sendable {
  var heads, keyHeads, width: Int
  var lengths: [Int]
  var testDescription: String { "\(heads)/\(keyHeads) heads of \(width), lengths \(lengths)" }

  var shape: AttentionShape { AttentionShape(headCount: heads, keyValueHeadCount: keyHeads, headWidth: width) }
  var rows: Int { lengths.reduce(0, +) }
  var queryStride: Int { heads * width + 3 }
  var keyStride: Int { keyHeads * width + 5 }
  var sequences: [AttentionSequence] {
    var start = 0
    return lengths.map {
      start += $0
      return AttentionSequence(rows: start - $0..<start)
    }
  }
  var query: [Float] { randomFloats(rows * queryStride, 50, 1).map { $0 * 3 } }
  var key: [Float] { randomFloats(rows * keyStride, 50, 2).map { $0 * 3 } }
  var value: [Float] { randomFloats(rows * keyStride, 50, 3) }

  /// Out [rows, queryStride] (canaries in the gaps) and statistics of the packed form.
  func packed(
    _ query: [Float], _ key: [Float], _ value: [Float], pool: WorkerPool
  ) -> (out: [Float], statistics: [Float]) {
    var statistics = [Float](repeating: canary, count: rows * heads * 2)
    return lending { lend in
      let out = wide([Float](repeating: canary, count: rows * queryStride), lend)
      attention(
        out, inputs(query, key, value, lend), sequences: sequences, statistics: &statistics,
        scratch: AttentionScratch(), pool: pool)
      return (lend.contents(out), statistics)
    }
  }

  func wide(_ values: [Float], _ lend: Lender) -> MutableRows {
    lend.mutable(values, width: heads * width, stride: queryStride)
  }
  func narrow(_ values: [Float], _ lend: Lender) -> MutableRows {
    lend.mutable(values, width: keyHeads * width, stride: keyStride)
  }
  func inputs(_ query: [Float], _ key: [Float], _ value: [Float], _ lend: Lender) -> AttentionInputs {
    AttentionInputs(
      query: Rows(wide(query, lend)), key: Rows(narrow(key, lend)), value: Rows(narrow(value, lend)), shape: shape)
  }
}

/// Pages full of NaN, in no order, whose use is 3 floats behind what the shape asks for.
final class StoredPages {
  private let memory: FloatBuffer
  private var table: [UnsafeMutablePointer<Float>]

  init(shape: AttentionShape, length: Int) {
    let count = KeyValueStore.pageCount(length: length)
    let size = KeyValueStore.pageFloatCount(shape: shape) + 3
    memory = FloatBuffer(count: count * size)
    memory.pointer.update(repeating: .nan, count: memory.count)
    let base = memory.pointer
    table = (0..<count).map { base + (count % 7 == 0 ? $0 : $0 * 7 % count) * size }
  }

  func use(_ body: (KeyValueStore) -> Void) {
    table.withUnsafeBufferPointer { body(KeyValueStore(pages: $0.baseAddress!, offset: 3)) }
  }

  /// The first `count` pages are those of `other`.
  func share(_ count: Int, of other: StoredPages) { table.replaceSubrange(..<count, with: other.table[..<count]) }
}

@Suite struct AttentionTests {
  static let pools = [1, 2, 3].map { WorkerPool(threadCount: $0) }
  static let cases = [
    AttentionCase(heads: 1, keyHeads: 1, width: 16, lengths: [1, 2, 15, 16, 17, 33]),
    AttentionCase(heads: 4, keyHeads: 2, width: 32, lengths: [70, 1, 129]),
    AttentionCase(heads: 14, keyHeads: 2, width: 64, lengths: [40, 9]),
    AttentionCase(heads: 3, keyHeads: 1, width: 20, lengths: [37, 5, 530]),
    AttentionCase(heads: 2, keyHeads: 2, width: 6, lengths: [1100]),
    AttentionCase(heads: 5, keyHeads: 1, width: 80, lengths: [3, 50]),
  ]

  /// The positions whose rows are compared with the twin: all of a short sequence, borders and a few of a long one.
  static func checked(_ length: Int) -> [Int] {
    length <= 64
      ? Array(0..<length)
      : [0, 1, 5, 15, 16, 31, 32, 47, 63, 100, 255, 510, 511, 512, 513, 700, 1023, 1024, 1025, length - 1]
        .filter { $0 < length }
  }

  @Test(arguments: cases) func equalsTheTwinBitForBit(c: AttentionCase) {
    let (query, key, value) = (c.query, c.key, c.value)
    let (out, statistics) = c.packed(query, key, value, pool: Self.pools[0])
    for sequence in c.sequences.map(\.rows) {
      for position in Self.checked(sequence.count) {
        let row = sequence.lowerBound + position
        for head in 0..<c.heads {
          let source = head / (c.heads / c.keyHeads) * c.width
          func seen(_ array: [Float]) -> [[Float]] {
            (sequence.lowerBound...row).map {
              Array(array[$0 * c.keyStride + source..<$0 * c.keyStride + source + c.width])
            }
          }
          let start = row * c.queryStride + head * c.width
          let twin = scalarAttention(
            query: Array(query[start..<start + c.width]), keys: seen(key), values: seen(value), scale: c.shape.scale)
          #expect(bits(Array(out[start..<start + c.width])) == bits(twin.out), "row \(row), head \(head)")
          let place = (row * c.heads + head) * 2
          #expect(statistics[place] == twin.maximum && statistics[place + 1] == twin.sum, "row \(row), head \(head)")
          #expect(twin.out.allSatisfy { $0.isFinite })
        }
      }
    }
    for row in 0..<c.rows {
      for gap in c.heads * c.width..<c.queryStride {
        #expect(out[row * c.queryStride + gap].bitPattern == canary.bitPattern)
      }
    }
  }

  @Test(arguments: cases) func threadsChangeNothing(c: AttentionCase) {
    let one = c.packed(c.query, c.key, c.value, pool: Self.pools[0])
    for pool in Self.pools.dropFirst() {
      let many = c.packed(c.query, c.key, c.value, pool: pool)
      #expect(bits(one.out) == bits(many.out))
      #expect(bits(one.statistics) == bits(many.statistics))
    }
  }

  /// Decoding token by token, prefill in chunks and the packed training rows: one set of bits, with the whole unused
  /// cache and everything behind a row's own position full of NaN.
  @Test(arguments: cases, [1, 7, 64]) func decodingAndPrefillHaveTheBitsOfTraining(c: AttentionCase, chunk: Int) {
    let (query, key, value) = (c.query, c.key, c.value)
    let expected = c.packed(query, key, value, pool: Self.pools[0])
    let lender = Lender()
    let out = c.wide([Float](repeating: canary, count: c.rows * c.queryStride), lender)
    let queries = Rows(c.wide(query, lender))
    var statistics = [Float](repeating: canary, count: c.rows * c.heads * 2)
    let scratch = AttentionScratch()
    for sequence in c.sequences.map(\.rows) {
      StoredPages(shape: c.shape, length: sequence.count + 9).use { store in
        var start = sequence.lowerBound
        while start < sequence.upperBound {
          let end = min(start + chunk, sequence.upperBound)
          for row in start..<end {
            key.withUnsafeBufferPointer { key in
              value.withUnsafeBufferPointer { value in
                store.append(
                  position: row - sequence.lowerBound, key: key.baseAddress! + row * c.keyStride,
                  value: value.baseAddress! + row * c.keyStride, shape: c.shape)
              }
            }
          }
          let span = AttentionSpan(rows: start..<end, firstPosition: start - sequence.lowerBound, store: store)
          attention(
            out, query: queries, spans: [span], shape: c.shape, statistics: &statistics, scratch: scratch,
            pool: Self.pools[1])
          start = end
        }
      }
    }
    #expect(bits(lender.contents(out)) == bits(expected.out))
    #expect(bits(statistics) == bits(expected.statistics))
  }

  @Test func aRowNeverSeesWhatComesAfterIt() {
    let c = AttentionCase(heads: 4, keyHeads: 2, width: 32, lengths: [90])
    let clean = c.packed(c.query, c.key, c.value, pool: Self.pools[0]).out
    for cut in [1, 16, 37, 89] {
      var (key, value) = (c.key, c.value)
      for index in cut * c.keyStride..<key.count {
        key[index] = .nan
        value[index] = .infinity
      }
      let out = c.packed(c.query, key, value, pool: Self.pools[0]).out
      #expect(bits(Array(out[..<(cut * c.queryStride)])) == bits(Array(clean[..<(cut * c.queryStride)])))
      #expect(out[cut * c.queryStride].isNaN)
    }
  }
}
