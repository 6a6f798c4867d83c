import Tensor

/// All ranks in one process: the arithmetic of a cluster without a cluster.
public struct VirtualCluster: Cluster {
  /// All ranks.
  public let size: Int
  /// All of them.
  public var ranks: Range<Int> { 0..<size }

  /// `size` ranks, at least 1.
  public init(size: Int = 1) {
    precondition(size > 0, "VirtualCluster: \(size) ranks")
    self.size = size
  }

  /// Joins the trees in the order of the ranks.
  public func sum(_ trees: [GradientTree], into target: FloatBuffer) {
    precondition(trees.count == size, "VirtualCluster: \(trees.count) trees of \(size) ranks")
    guard var whole = trees.first else { return }
    for tree in trees.dropFirst() { whole.append(tree) }
    whole.finish(into: target)
  }

  /// One slice: this process owns everything.
  public func slices(of count: Int) -> Slices { Slices(count: count, ranks: 1) }

  private final class Sum: Reduction {
    var trees: [GradientTree]
    let last: (part: FloatBuffer, index: Int)?
    let target: FloatBuffer
    init(_ trees: [GradientTree], _ last: (part: FloatBuffer, index: Int)?, _ target: FloatBuffer) {
      (self.trees, self.last, self.target) = (trees, last, target)
    }
    func release(from start: Int) {}
    func finish() {
      if let last { trees[trees.count - 1].push(last.part, index: last.index) }
      VirtualCluster(size: trees.count).sum(trees, into: target)
    }
  }

  /// Adds everything at the end, as ``sum(_:into:)`` does.
  public func startReduction(
    _ trees: [GradientTree], last: (part: FloatBuffer, index: Int)?, into target: FloatBuffer
  ) -> any Reduction { Sum(trees, last, target) }

  private struct Nothing: Gathering {
    func wait(before end: Int) {}
    func finish() {}
  }

  /// Nothing to do.
  public func startGather(_ buffer: FloatBuffer) -> any Gathering { Nothing() }

  /// The records as they are.
  public func gather(_ records: [[UInt8]]) -> [[UInt8]] { records }

  /// The values as they are.
  public func largest(_ values: [UInt64]) -> [UInt64] { values }

  /// In the order of the items.
  public func map(costs: [Double], _ body: (Int) throws -> [UInt8]) rethrows -> [[UInt8]] {
    try costs.indices.map(body)
  }
}
