import Tensor

/// Sums of neighbouring parts of a gradient, joined as a fixed binary tree over the parts' index: parts 0 and 1, 2 and
/// 3, then those two sums, and so on. What is left over at the end is added from the right.
///
/// Needs at most ceil(log2(parts)) buffers, whichever parts it covers.
public struct GradientTree {
  /// Floats of a gradient.
  let count: Int
  private let spare: SpareBuffers
  private(set) var nodes: [(node: TreeNode, sum: FloatBuffer)] = []

  /// - Parameters:
  ///   - count: floats of a gradient.
  ///   - spare: where buffers come from and go to.
  public init(count: Int, spare: SpareBuffers) {
    self.count = count
    self.spare = spare
  }

  /// Takes over the gradient of the part `index`, which follows those taken before, and leaves zeros.
  public mutating func push(_ part: FloatBuffer, index: Int) {
    let sum = spare.take(count: count)
    sum.pointer.update(from: part.pointer, count: count)
    part.zero()
    push(TreeNode(level: 0, index: index), sum)
  }

  /// Takes over the sums of the parts that follow.
  mutating func append(_ next: GradientTree) { for (node, sum) in next.nodes { push(node, sum) } }

  /// Moves the whole sum to `target`.
  mutating func finish(into target: FloatBuffer) {
    while let right = nodes.popLast() {
      if let left = nodes.last {
        addFloats(right.sum.pointer, to: left.sum.pointer, count: count)
      } else {
        target.pointer.update(from: right.sum.pointer, count: count)
      }
      spare.give(right.sum)
    }
  }

  /// Gives the buffers back without having used them.
  mutating func discard() {
    for (_, sum) in nodes { spare.give(sum) }
    nodes = []
  }

  private mutating func push(_ node: TreeNode, _ sum: FloatBuffer) {
    var (node, sum) = (node, sum)
    while let left = nodes.last, TreeNode.join(left.node, node) {
      addFloats(sum.pointer, to: left.sum.pointer, count: count)
      spare.give(sum)
      nodes.removeLast()
      (node, sum) = (left.node.parent, left.sum)
    }
    nodes.append((node, sum))
  }
}

/// Adds `count` numbers to those at `left`.
func addFloats(_ right: UnsafePointer<Float>, to left: UnsafeMutablePointer<Float>, count: Int) {
  for index in 0..<count { left[index] += right[index] }
}

/// Buffers to be used again: in fresh memory, every page costs a page fault.
public final class SpareBuffers {
  private var free: [FloatBuffer] = []

  /// Without any buffer yet.
  public init() {}

  /// A buffer with anything in it.
  func take(count: Int) -> FloatBuffer {
    while let buffer = free.popLast() { if buffer.count == count { return buffer } }
    return FloatBuffer(count: count)
  }
  func give(_ buffer: FloatBuffer) { free.append(buffer) }
}
