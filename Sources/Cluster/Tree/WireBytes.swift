/// What an update sends, from the shape of the tree alone.
public enum WireBytes {
  /// Bytes that each rank sends to the owners of sums.
  /// - Parameters:
  ///   - count: numbers of the gradient.
  ///   - parts: parts of the batch, dealt out as ``Cluster/parts(of:count:)`` does.
  public static func reduction(count: Int, parts: Int, ranks: Int) -> [Int] {
    let (slices, cluster) = (Slices(count: count, ranks: ranks), VirtualCluster(size: ranks))
    return (0..<ranks).map { rank in
      let nodes = TreeNode.nodes(of: cluster.parts(of: rank, count: parts)).count
      return 4 * nodes * (count - slices.owned(by: rank))
    }
  }

  /// Bytes that each rank sends when weights go from their owners to everybody.
  public static func gathering(count: Int, ranks: Int) -> [Int] {
    let slices = Slices(count: count, ranks: ranks)
    return (0..<ranks).map { 4 * (ranks - 1) * (ranks == 1 ? 0 : slices.owned(by: $0)) }
  }
}
