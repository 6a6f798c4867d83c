import Tensor

/// The ranks that compute one update together.
///
/// An update batch is cut into parts by the configuration alone; a rank computes the parts that fall to it, one after
/// another. Parts are added as a fixed tree over their index, so that the number of ranks does not change a bit.
///
/// All ranks call the same methods in the same order. A method that throws has thrown everywhere, or the run ends.
public protocol Cluster: Sendable {
  /// All ranks.
  var size: Int { get }
  /// The ranks that this process computes, one after another.
  var ranks: Range<Int> { get }

  /// Adds the trees of all ranks; every process finds the whole sum in `target`. A lost rank ends the process.
  /// - Parameter trees: of this process's ranks, in order. Their buffers are used up.
  func sum(_ trees: [GradientTree], into target: FloatBuffer)

  /// Who owns which of `count` numbers. A process that plays all ranks owns everything.
  func slices(of count: Int) -> Slices

  /// Begins to add the trees of all ranks; every process finds the sum of the numbers that it owns in `target`.
  /// - Parameters:
  ///   - trees: of this process's ranks, in order. Their buffers are used up.
  ///   - last: a part that follows those of the last tree and is still being computed.
  ///   - target: where the sum goes; may be the buffer of `last`.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  func startReduction(
    _ trees: [GradientTree], last: (part: FloatBuffer, index: Int)?, into target: FloatBuffer
  ) throws -> any Reduction

  /// Begins to give every process the numbers that the others own.
  func startGather(_ buffer: FloatBuffer) -> any Gathering

  /// The records of all ranks in their order, such as the files that each has written.
  /// - Parameter records: of this process's ranks.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  func gather(_ records: [[UInt8]]) throws -> [[UInt8]]

  /// The largest of what the ranks say, place by place: what one rank wants, all want.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  func largest(_ values: [UInt64]) throws -> [UInt64]

  /// Carries out `items` with whoever is free, and gives every process all results in the order of the items.
  /// - Parameters:
  ///   - costs: what each item is expected to cost; the dearest are handed out first.
  ///   - body: carries out an item, on the calling thread.
  /// - Throws: what `body` throws, on the rank that it was thrown on; `MartletError` (tryAgain) on the others.
  func map(costs: [Double], _ body: (Int) throws -> [UInt8]) throws -> [[UInt8]]
}

/// A sum over all ranks on its way.
public protocol Reduction {
  /// Says that the numbers of the last part from `start` on are final; a backward pass finishes from the end.
  func release(from start: Int)
  /// Releases the rest and waits until the numbers that this process owns are whole and its own have left.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  func finish() throws
}

/// Weights on their way.
public protocol Gathering {
  /// Waits until all numbers before `end` are there.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  func wait(before end: Int) throws
  /// Waits until all are there, and those of this process have left.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  func finish() throws
}

extension Cluster {
  /// The parts, of `count` in all, that a rank computes. They are neighbours, so that most sums stay within a rank.
  public func parts(of rank: Int, count: Int) -> Range<Int> {
    count * rank / size..<count * (rank + 1) / size
  }

  /// Adds the trees of all ranks; every process finds the sum of the numbers that it owns in `target`.
  /// - Parameter trees: of this process's ranks, in order. Their buffers are used up.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  public func reduce(_ trees: [GradientTree], into target: FloatBuffer) throws {
    try startReduction(trees, last: nil, into: target).finish()
  }

  /// Gives every process the numbers that the others own.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  public func gather(_ buffer: FloatBuffer) throws { try startGather(buffer).finish() }

  /// Numbers that belong to the blocks of a buffer, such as their sums of squares, in the order of the blocks.
  /// - Parameter own: of the blocks that this process owns, in order.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  public func gather(blocks own: [Double], of slices: Slices) throws -> [Double] {
    precondition(ranks.count == 1 || slices.ranks == 1, "Cluster: blocks of \(ranks.count) ranks")
    guard slices.ranks > 1 else { return own }
    let records = try gather([own.withUnsafeBytes { Array($0) }])
    var all = [Double](repeating: 0, count: (slices.count + Slices.blockCount - 1) / Slices.blockCount)
    for (rank, record) in records.enumerated() {
      let values = record.withUnsafeBytes { Array($0.bindMemory(to: Double.self)) }
      var next = 0
      for range in slices.ranges(of: rank) {
        for block in range.lowerBound / Slices.blockCount..<(range.upperBound - 1) / Slices.blockCount + 1 {
          all[block] = values[next]
          next += 1
        }
      }
      precondition(next == values.count, "Cluster: \(values.count) values for \(next) blocks of rank \(rank)")
    }
    return all
  }
}
