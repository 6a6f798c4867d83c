import Support
import Tensor

/// Ranks that are joined by a wire, one of them this process.
public final class WiredCluster: Cluster, @unchecked Sendable {
  /// The wire with its signs of life.
  public let communicator: Communicator
  /// All ranks.
  public var size: Int { communicator.size }
  /// This process's rank.
  public var ranks: Range<Int> { communicator.rank..<communicator.rank + 1 }
  private let spare = SpareBuffers()
  private var queues: UInt64 = 0

  /// The ranks behind a communicator that was started.
  public init(_ communicator: Communicator) { self.communicator = communicator }

  /// Every rank owns pieces of its own.
  public func slices(of count: Int) -> Slices { Slices(count: count, ranks: size) }

  /// Adds the trees of all ranks and gives everybody the sum. A lost rank ends the process.
  public func sum(_ trees: [GradientTree], into target: FloatBuffer) {
    do {
      try reduce(trees, into: target)
      try gather(target)
    } catch {
      // Only a fault comes here; the default `onFault` has ended the process before.
      Communicator.endProcess(communicator.fault ?? ClusterFault(.wire, rank: communicator.rank, "\(error)"))
    }
  }

  /// Begins to add; the ranks tell each other first which sums they have.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  public func startReduction(
    _ trees: [GradientTree], last: (part: FloatBuffer, index: Int)?, into target: FloatBuffer
  ) throws -> any Reduction {
    precondition(trees.count == 1, "WiredCluster: \(trees.count) trees of one rank")
    var tree = trees[0]
    precondition(tree.count == target.count, "WiredCluster: a tree of \(tree.count) numbers into \(target.count)")
    let leaves = tree.nodes + (last.map { [(TreeNode(level: 0, index: $0.index), $0.part)] } ?? [])
    let roots = Fold(leaves.map(\.node)).roots.map(\.node)
    let record = roots.flatMap { [UInt32($0.level), UInt32($0.index)] }.withUnsafeBytes { Array($0) }
    let shapes = try communicator.gather(record).map { bytes in
      let numbers = bytes.withUnsafeBytes { bytes in
        (0..<bytes.count / 4).map { Int(bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)) }
      }
      return stride(from: 0, to: numbers.count, by: 2).map { TreeNode(level: numbers[$0], index: numbers[$0 + 1]) }
    }
    return TreeReduction(
      communicator, leaves: leaves.map { ($0.0, $0.1) }, shapes: shapes, into: target, last: last?.part, spare: spare
    ) { tree.discard() }
  }

  /// Begins to give every rank the numbers of the others. `buffer` may not change until it is finished.
  public func startGather(_ buffer: FloatBuffer) -> any Gathering { SliceGathering(communicator, buffer) }

  /// The records of all ranks.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  public func gather(_ records: [[UInt8]]) throws -> [[UInt8]] {
    precondition(records.count == 1, "WiredCluster: \(records.count) records of one rank")
    return try communicator.gather(records[0])
  }

  /// The largest values of all ranks.
  /// - Throws: `MartletError` (tryAgain) when a rank is lost.
  public func largest(_ values: [UInt64]) throws -> [UInt64] { try communicator.largest(values) }

  /// A queue of items for all ranks, which open it together. One at a time.
  /// - Parameters:
  ///   - costs: what each item is expected to cost.
  ///   - movesFrom: a rank with so many unfinished items gives half of them to one that has none; nil: never.
  public func openQueue(costs: [Double], movesFrom: Int? = nil) -> WorkQueue {
    queues += 1
    return WorkQueue(communicator, id: queues, costs: costs, movesFrom: movesFrom)
  }

  /// Carries out items with whoever is free.
  /// - Throws: what `body` throws here, after the others were told; `MartletError` when a rank is lost.
  public func map(costs: [Double], _ body: (Int) throws -> [UInt8]) throws -> [[UInt8]] {
    guard !costs.isEmpty else { return [] }
    let queue = openQueue(costs: costs)
    do {
      while let work = try queue.next(1) {
        for work in work { queue.finish(work.item, try body(work.item)) }
      }
    } catch {
      communicator.leave(because: error as? MartletError ?? MartletError(.io, "\(error)"))
      throw error
    }
    return try queue.results().map { result in
      guard let result else { throw MartletError(.tryAgain, "the work queue was stopped") }
      return result
    }
  }
}
