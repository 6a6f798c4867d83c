import Support
import Tensor
import Testing

@testable import Cluster

@Suite struct ReductionTests {
  /// Numbers whose sum depends on the order of additions.
  static func part(_ index: Int, _ place: Int) -> Float {
    var x = UInt64(place) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index) &* 0xD1B5_4A32_D192_ED03
    x ^= x >> 29
    x = x &* 0xBF58_476D_1CE4_E5B9
    x ^= x >> 32
    return Float(Int32(truncatingIfNeeded: x)) * 1e-9 * Float(1 + (x >> 40 & 7))
  }

  static func fill(_ buffer: FloatBuffer, part: Int) {
    for place in 0..<buffer.count { buffer.pointer[place] = Self.part(part, place) }
  }

  static func hash(_ buffer: FloatBuffer) -> String {
    sha256Hex(of: UnsafeRawBufferPointer(start: buffer.pointer, count: 4 * buffer.count))
  }

  /// The sum as one process takes it.
  static func expected(_ count: Int, parts: Int) -> String {
    let buffer = FloatBuffer(count: count)
    var tree = GradientTree(count: count, spare: SpareBuffers())
    for index in 0..<parts {
      fill(buffer, part: index)
      tree.push(buffer, index: index)
    }
    VirtualCluster().sum([tree], into: buffer)
    return hash(buffer)
  }

  static func trees(_ cluster: WiredCluster, count: Int, parts: Range<Int>) -> GradientTree {
    let buffer = FloatBuffer(count: count)
    var tree = GradientTree(count: count, spare: SpareBuffers())
    for index in parts {
      fill(buffer, part: index)
      tree.push(buffer, index: index)
    }
    return tree
  }

  /// 150,001 numbers are two whole blocks and a part of one. The tree over seven parts ends with three nodes.
  @Test(arguments: [6, 7, 8, 16], [1, 2, 3, 4, 5, 6, 7, 8]) func sameBits(parts: Int, ranks: Int) throws {
    let count = 150_001
    let expected = Self.expected(count, parts: parts)
    let hashes = onRanks(ranks) { cluster in
      let rank = cluster.communicator.rank
      let buffer = FloatBuffer(count: count)
      for _ in 0..<2 {
        let tree = Self.trees(cluster, count: count, parts: cluster.parts(of: rank, count: parts))
        cluster.sum([tree], into: buffer)
      }
      return (Self.hash(buffer), cluster.communicator.counters.bytesSent)
    }
    let sent = zip(
      WireBytes.reduction(count: count, parts: parts, ranks: ranks), WireBytes.gathering(count: count, ranks: ranks))
    for (result, (reduced, gathered)) in zip(hashes, sent) {
      let (hash, bytes) = try result.get()
      #expect(hash == expected)
      // Beside the numbers: which sums the ranks have.
      #expect(bytes - 2 * (reduced + gathered) < 2000 * ranks)
      #expect(bytes >= 2 * (reduced + gathered))
    }
  }

  /// Numbers that tell: added one after the other they give other bits.
  @Test func orderMatters() {
    let buffer = FloatBuffer(count: 1000)
    let sum = FloatBuffer(count: 1000)
    for part in 0..<6 {
      Self.fill(buffer, part: part)
      addFloats(buffer.pointer, to: sum.pointer, count: 1000)
    }
    #expect(Self.hash(sum) != Self.expected(1000, parts: 6))
  }

  /// Pieces leave as soon as the last part's numbers are final.
  @Test(arguments: [1, 2, 3, 4]) func releasedPieceByPiece(ranks: Int) throws {
    let (count, parts) = (1_000_003, 4)
    let expected = Self.expected(count, parts: parts)
    let hashes = onRanks(ranks) { cluster in
      let own = cluster.parts(of: cluster.communicator.rank, count: parts)
      let gradients = FloatBuffer(count: count)
      let tree = Self.trees(cluster, count: count, parts: own.dropLast())
      let last = own.upperBound - 1
      let reduction = try cluster.startReduction([tree], last: (gradients, last), into: gradients)
      var end = count
      while end > 0 {
        let start = max(0, end - 70_000)
        for place in start..<end { gradients.pointer[place] = Self.part(last, place) }
        reduction.release(from: start)
        end = start
      }
      try reduction.finish()
      try cluster.gather(gradients)
      return Self.hash(gradients)
    }
    for hash in hashes { #expect(try hash.get() == expected) }
  }

  /// The table of docs/cluster.md: bytes a rank in units of the whole gradient.
  @Test func bytesOnTheWire() {
    func units(_ parts: Int, _ ranks: Int) -> Double {
      let count = 64 * 65_536 * 840
      let sent = WireBytes.reduction(count: count, parts: parts, ranks: ranks).reduce(0, +)
      return (1000 * Double(sent) / Double(4 * count * ranks)).rounded() / 1000
    }
    #expect([2, 3, 4, 5, 6, 7, 8].map { units(8, $0) } == [0.5, 1.111, 0.75, 0.96, 0.833, 0.857, 0.875])
    #expect([2, 4, 8].map { units(16, $0) } == [0.5, 0.75, 0.875])
    #expect([2, 3, 4, 5, 6].map { units(6, $0) } == [1, 0.667, 0.938, 0.8, 0.833])
  }

  @Test(arguments: [1, 2, 3, 7, 64]) func slicesCoverEverythingOnce(ranks: Int) {
    for count in [0, 1, 65_536, 65_537, 50_000_000] {
      let slices = Slices(count: count, ranks: ranks)
      var ranges = (0..<ranks).flatMap { rank in
        slices.ranges(of: rank).map { range in
          #expect(slices.owner(of: range.lowerBound) == rank)
          return range
        }
      }
      ranges.sort { $0.lowerBound < $1.lowerBound }
      #expect(ranges.first?.lowerBound ?? 0 == 0)
      #expect(ranges.last?.upperBound ?? 0 == count)
      #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
      #expect(ranges.allSatisfy { $0.lowerBound % Slices.blockCount == 0 })
      if count == 50_000_000, ranks < 64 {
        let most = (0..<ranks).map { slices.owned(by: $0) }.max()!
        #expect(Double(most) < 1.1 * Double(count) / Double(ranks))
      }
    }
  }

  /// The norm from the owners' block sums is that of the whole buffer.
  @Test(arguments: [1, 2, 3, 5]) func normFromBlocks(ranks: Int) throws {
    let count = 700_001
    let buffer = FloatBuffer(count: count)
    Self.fill(buffer, part: 3)
    let expected = Optimizer.norm(buffer, pool: WorkerPool(threadCount: 1))
    let norms = onRanks(ranks) { cluster in
      let slices = cluster.slices(of: count)
      let buffer = FloatBuffer(count: count)
      Self.fill(buffer, part: 3)
      let own = slices.ranges(of: cluster.communicator.rank).flatMap { range in
        stride(from: range.lowerBound, to: range.upperBound, by: Slices.blockCount).map { start in
          kernels.sumOfSquares(buffer.pointer + start, count: min(Slices.blockCount, count - start))
        }
      }
      return try cluster.gather(blocks: own, of: slices).reduce(0, +).squareRoot()
    }
    for norm in norms { #expect(try norm.get() == expected) }
  }
}
