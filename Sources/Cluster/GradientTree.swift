import Tensor

/// Sums of neighbouring parts of a gradient, joined as a fixed binary tree over the parts' index: parts 0 and 1, 2 and
/// 3, then those two sums, and so on. What is left over at the end is added from the right.
///
/// Needs at most ceil(log2(parts)) buffers, whichever parts it covers.
public struct GradientTree {
  private struct Node {
    var level: Int
    /// Which one of its level; parts have level 0.
    var index: Int
    var sum: FloatBuffer
  }

  private let count: Int
  private let spare: SpareBuffers
  private var nodes: [Node] = []

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
    push(Node(level: 0, index: index, sum: sum))
  }

  /// Takes over the sums of the parts that follow.
  mutating func append(_ next: GradientTree) { for node in next.nodes { push(node) } }

  /// Moves the whole sum to `target`.
  mutating func finish(into target: FloatBuffer) {
    while let right = nodes.popLast() {
      if let left = nodes.last {
        add(right.sum, to: left.sum)
      } else {
        target.pointer.update(from: right.sum.pointer, count: count)
      }
      spare.give(right.sum)
    }
  }

  private mutating func push(_ node: Node) {
    var node = node
    while let left = nodes.last, left.level == node.level, left.index % 2 == 0, left.index + 1 == node.index {
      add(node.sum, to: left.sum)
      spare.give(node.sum)
      nodes.removeLast()
      node = Node(level: left.level + 1, index: left.index / 2, sum: left.sum)
    }
    nodes.append(node)
  }

  private func add(_ right: FloatBuffer, to left: FloatBuffer) {
    for index in 0..<count { left.pointer[index] += right.pointer[index] }
  }
}

/// Buffers to be used again: in fresh memory, every page costs a page fault.
public final class SpareBuffers {
  private var free: [FloatBuffer] = []

  /// Without any buffer yet.
  public init() {}

  /// A buffer with anything in it.
  func take(count: Int) -> FloatBuffer { free.popLast() ?? FloatBuffer(count: count) }
  func give(_ buffer: FloatBuffer) { free.append(buffer) }
}
