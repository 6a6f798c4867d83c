import Tensor
import Testing

@testable import KernelsPortable

@Suite struct SharedPagesTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var heads, keyHeads, width: Int
    /// Positions that all begin with, in whole pages, and how many more each has.
    var sharedPages: Int
    var own: [Int]
    var testDescription: String { "\(heads)/\(keyHeads) heads of \(width), \(sharedPages) pages and \(own)" }
  }

  static let cases = [
    Case(heads: 4, keyHeads: 2, width: 32, sharedPages: 5, own: [1, 17, 9, 40, 16]),
    Case(heads: 14, keyHeads: 2, width: 64, sharedPages: 3, own: [30, 1, 16]),
    Case(heads: 3, keyHeads: 1, width: 20, sharedPages: 33, own: [5, 500, 2, 33]),
    Case(heads: 2, keyHeads: 2, width: 6, sharedPages: 32, own: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    Case(heads: 5, keyHeads: 1, width: 80, sharedPages: 1, own: [3, 50, 513]),
    Case(heads: 6, keyHeads: 1, width: 16, sharedPages: 31, own: [20, 17, 1, 600]),
  ]

  /// Decoding together over pages held in common gives each row the bits it has alone; the rest of all pages is NaN.
  @Test(arguments: cases) func rowsThatShareHaveTheBitsOfRowsAlone(c: Case) {
    let shape = AttentionShape(headCount: c.heads, keyValueHeadCount: c.keyHeads, headWidth: c.width)
    let shared = c.sharedPages * KeyValueStore.pageLength
    let (Q, KV) = (c.heads * c.width, c.keyHeads * c.width)
    func write(_ store: KeyValueStore, _ positions: Range<Int>, _ stream: UInt64) {
      let key = randomFloats(positions.count * KV, 60, stream).map { $0 * 3 }
      let value = randomFloats(positions.count * KV, 61, stream)
      for (index, position) in positions.enumerated() {
        store.append(
          position: position, key: Array(key[(index * KV)...]), value: Array(value[(index * KV)...]), shape: shape)
      }
    }
    let stored = c.own.map { StoredPages(shape: shape, length: shared + $0) }
    var spans: [AttentionSpan] = []
    func collect(_ left: ArraySlice<StoredPages>, _ body: () -> Void) {
      guard let next = left.first else { return body() }
      next.use { store in
        let member = spans.count
        write(store, shared..<shared + c.own[member], UInt64(member + 1))
        spans.append(
          AttentionSpan(rows: member..<member + 1, firstPosition: shared + c.own[member] - 1, store: store))
        collect(left.dropFirst(), body)
      }
    }
    stored[0].use { write($0, 0..<shared, 0) }
    for other in stored.dropFirst() { other.share(c.sharedPages, of: stored[0]) }
    let query = randomFloats(c.own.count * Q, 62, 1).map { $0 * 3 }
    collect(stored[...]) {
      let groups = AttentionGroup.cut(spans, atMost: 48)
      #expect(groups.map(\.sharedPages) == [c.sharedPages] && groups.map(\.spans) == [0..<c.own.count])
      func run(_ spans: [AttentionSpan], threads: Int) -> (out: [UInt32], statistics: [UInt32]) {
        var statistics = [Float](repeating: canary, count: c.own.count * c.heads * 2)
        return lending { lend in
          let out = lend.mutable([Float](repeating: canary, count: c.own.count * Q), width: Q)
          attention(
            out, query: lend.rows(query, width: Q), spans: spans, shape: shape, statistics: &statistics,
            scratch: AttentionScratch(), pool: WorkerPool(threadCount: threads))
          return (bits(lend.contents(out)), bits(statistics))
        }
      }
      let together = run(spans, threads: 1)
      #expect(run(spans, threads: 3) == together)
      for (member, span) in spans.enumerated() {
        let alone = run([span], threads: 1)
        let rows = member * Q..<(member + 1) * Q
        #expect(alone.out[rows] == together.out[rows], "member \(member)")
        let places = member * c.heads * 2..<(member + 1) * c.heads * 2
        #expect(alone.statistics[places] == together.statistics[places], "member \(member)")
      }
      let finite = together.out.allSatisfy { Float(bitPattern: $0).isFinite }
      #expect(finite)
    }
  }

  /// A group takes spans of one row that begin alike, and not one that would make it share much less.
  @Test func groupsAreOfNeighboursThatBeginAlike() {
    let shape = AttentionShape(headCount: 2, keyValueHeadCount: 1, headWidth: 16)
    let stored = (0..<4).map { _ in StoredPages(shape: shape, length: 200) }
    stored[1].share(8, of: stored[0])
    stored[2].share(2, of: stored[0])
    stored[0].use { a in
      stored[1].use { b in
        stored[2].use { c in
          stored[3].use { d in
            func groups(_ stores: [(KeyValueStore, position: Int)], rows: Int = 1, atMost limit: Int = 9) -> [[Int]] {
              let spans = stores.enumerated().map {
                AttentionSpan(rows: $0 * rows..<($0 + 1) * rows, firstPosition: $1.position, store: $1.0)
              }
              return AttentionGroup.cut(spans, atMost: limit).map {
                [$0.spans.lowerBound, $0.spans.count, $0.sharedPages]
              }
            }
            #expect(groups([(a, 150), (b, 130)]) == [[0, 2, 8]])
            #expect(groups([(a, 150), (d, 150)]) == [[0, 1, 0], [1, 1, 0]])
            #expect(groups([(a, 150), (b, 130), (c, 140)]) == [[0, 2, 8], [2, 1, 0]])
            // Only pages that both see whole.
            #expect(groups([(a, 150), (b, 65)]) == [[0, 2, 4]])
            #expect(groups([(a, 150), (b, 15)]) == [[0, 1, 0], [1, 1, 0]])
            #expect(groups([(a, 150), (b, 130)], atMost: 1) == [[0, 1, 0], [1, 1, 0]])
            #expect(groups([(a, 150), (b, 130)], rows: 2) == [[0, 1, 0], [1, 1, 0]])
          }
        }
      }
    }
  }
}
