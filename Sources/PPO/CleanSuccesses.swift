/// Which samples of a group are learnt from when more were drawn than are kept: GRPO-RoC's resampling on correct
/// (rStar2-Agent, 2508.20722). Right and wrong ones keep their proportion; of the right ones the cleanest stay.
public struct CleanSuccesses: Sendable, Equatable {
  /// How many samples of a group are kept.
  public var count: Int
  /// Right and wrong ones each keep at least this many, where there are as many and half of `count` allows it.
  public var minimum: Int

  /// rStar2's minimum where nothing else is said.
  public init(count: Int, minimum: Int = 2) {
    precondition(count >= 1 && minimum >= 0, "CleanSuccesses: count \(count), minimum \(minimum)")
    self.count = count
    self.minimum = minimum
  }

  /// The samples to keep, ascending: `count` of them, or all of a smaller group.
  ///
  /// With R right and W wrong ones, round(count R / (R + W)) right ones are kept, halves rounded up: those with the
  /// fewest failed calls, and of equal ones the first. Of the wrong ones the first are kept. Samples that cannot be
  /// scored fill what these leave free.
  /// - Parameters:
  ///   - correct: for each sample; nil: it cannot be scored.
  ///   - failures: how many of its calls failed.
  public func kept(correct: [Bool?], failures: [Int]) -> [Int] {
    precondition(correct.count == failures.count, "\(correct.count) verdicts, but \(failures.count) counts of failures")
    if correct.count <= count { return Array(correct.indices) }
    let right = correct.indices.filter { correct[$0] == true }.sorted { (failures[$0], $0) < (failures[$1], $1) }
    let wrong = correct.indices.filter { correct[$0] == false }
    let scored = right.count + wrong.count
    let n = min(count, scored)
    let least = min(minimum, n / 2)
    // Rounded in whole numbers, so that no platform rounds otherwise.
    var rightCount = scored == 0 ? 0 : (2 * n * right.count + scored) / (2 * scored)
    rightCount = max(rightCount, min(least, right.count))
    rightCount = min(rightCount, n - min(least, wrong.count))
    let rest = correct.indices.filter { correct[$0] == nil }.prefix(count - n)
    return (right.prefix(rightCount) + wrong.prefix(n - rightCount) + rest).sorted()
  }
}
