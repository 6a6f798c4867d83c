import Tensor

/// The ranks that compute one update together.
///
/// An update batch is cut into parts by the configuration alone; a rank computes the parts that fall to it, one after
/// another. Parts are added as a fixed tree over their index, so that the number of ranks does not change a bit.
public protocol Cluster: Sendable {
  /// All ranks.
  var size: Int { get }
  /// The ranks that this process computes, one after another.
  var ranks: Range<Int> { get }
  /// Adds the trees of all ranks; every process finds the whole sum in `target`.
  /// - Parameter trees: of this process's ranks, in order. Their buffers are used up.
  func sum(_ trees: [GradientTree], into target: FloatBuffer)
}

extension Cluster {
  /// The parts, of `count` in all, that a rank computes. They are neighbours, so that most sums stay within a rank.
  public func parts(of rank: Int, count: Int) -> Range<Int> { count * rank / size..<count * (rank + 1) / size }
}

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
}
