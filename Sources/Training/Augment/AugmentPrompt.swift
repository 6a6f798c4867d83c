import Foundation

/// What `train augment` asks a model to write.
enum AugmentPrompt {
  private static let alone = "Write the new problem alone, between <problem> and </problem>. Do not solve it."

  /// For a new problem like `problem` (MuggleMath's augmentations of queries).
  static func rewrite(_ problem: String, _ method: Augmentation.Method) -> String {
    let change =
      method == .numbers
      ? "Change its numbers, so that the new problem is of the same kind and has one clear answer."
      : "Ask for the same in other words and another setting. Keep all its numbers, so that the answer stays the same."
    return "Here is a mathematics problem:\n\n\(problem)\n\n\(change) \(alone)"
  }

  /// For the concepts that `problem` needs (MathScale's extraction).
  static func concepts(of problem: String) -> String {
    "Here is a mathematics problem:\n\n\(problem)\n\nName the mathematical topics and facts that its solution needs, "
      + "two to five of them, each in a few words on a line of its own. Write nothing else."
  }

  /// For a new problem that needs these concepts.
  static func compose(_ concepts: [String]) -> String {
    "Write a new mathematics problem whose solution needs all of this:\n\n"
      + concepts.map { "- \($0)\n" }.joined()
      + "\nIt must have one clear answer, a number or a short expression. \(alone)"
  }

  /// The problem in a response: what stands between the last marks. Without marks nothing counts, since the text may be
  /// a solution.
  /// - Parameter response: nil: it was cut off.
  static func problem(in response: String?) -> String {
    guard let response, let start = response.range(of: "<problem>", options: .backwards) else { return "" }
    let rest = response[start.upperBound...]
    guard let end = rest.range(of: "</problem>") else { return "" }
    return rest[..<end.lowerBound].trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
