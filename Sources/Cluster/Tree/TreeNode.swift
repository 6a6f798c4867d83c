/// A sum of neighbouring parts: a node of the fixed binary tree over the parts' index.
public struct TreeNode: Hashable, Sendable {
  /// 0 for a part; a node of level n holds up to 2^n parts.
  public var level: Int
  /// Which one of its level.
  public var index: Int

  /// The node `index` of `level`.
  public init(level: Int, index: Int) {
    self.level = level
    self.index = index
  }

  /// Whether the two are halves of one node of the next level.
  static func join(_ left: TreeNode, _ right: TreeNode) -> Bool {
    left.level == right.level && left.index % 2 == 0 && left.index + 1 == right.index
  }

  var parent: TreeNode { TreeNode(level: level + 1, index: index / 2) }

  /// The nodes that a rank is left with when it has added what it can of its parts.
  static func nodes(of parts: Range<Int>) -> [TreeNode] {
    var fold = Fold()
    for index in parts { fold.push(TreeNode(level: 0, index: index)) }
    return fold.roots.map(\.node)
  }
}

/// The additions that turn nodes, given from left to right, into as few as possible.
///
/// The order of additions is the contract of bits: the same for a tree in one process and for one over many ranks.
struct Fold {
  /// Places of nodes, in the order they were pushed: the right one is added to the left one.
  private(set) var additions: [(left: Int, right: Int)] = []
  /// What is left, and where it lies.
  private(set) var roots: [(node: TreeNode, place: Int)] = []
  private var count = 0

  init() {}

  init(_ nodes: [TreeNode]) {
    for node in nodes { push(node) }
  }

  mutating func push(_ node: TreeNode) {
    var (node, place) = (node, count)
    count += 1
    while let left = roots.last, TreeNode.join(left.node, node) {
      additions.append((left.place, place))
      roots.removeLast()
      (node, place) = (left.node.parent, left.place)
    }
    roots.append((node, place))
  }

  /// Adds what is left from the right, as a tree whose parts are no power of two ends.
  mutating func finish() {
    while roots.count > 1 {
      let right = roots.removeLast()
      additions.append((roots[roots.count - 1].place, right.place))
    }
  }
}
