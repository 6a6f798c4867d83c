import PPO
import Testing

/// GRPO-RoC's choice, by hand.
@Suite struct CleanSuccessesTests {
  private func kept(_ verdicts: String, _ failures: [Int] = [], count: Int) -> [Int] {
    let correct = verdicts.map { $0 == "+" ? true : $0 == "-" ? false : nil as Bool? }
    let padding = [Int](repeating: 0, count: correct.count - failures.count)
    return CleanSuccesses(count: count).kept(correct: correct, failures: failures + padding)
  }

  @Test func theCleanestRightOnesAndTheFirstWrongOnesStay() {
    // Four of each: two of each stay. Failures of wrong ones do not count.
    #expect(kept("++++----", [2, 0, 1, 0, 9, 0, 0, 0], count: 4) == [1, 3, 4, 5])
    #expect(kept("-+-+-+-+", [0, 3, 0, 1, 0, 2, 0, 2], count: 4) == [0, 2, 3, 5])
    // Equal ones: the first.
    #expect(kept("++++++++", [1, 0, 1, 0, 1, 0, 1, 1], count: 4) == [0, 1, 3, 5])
    #expect(kept("--------", [5, 4, 3, 2, 1, 0, 0, 0], count: 4) == [0, 1, 2, 3])
  }

  @Test func theProportionStays() {
    func rights(_ right: Int, of total: Int, count: Int) -> Int {
      let verdicts = String(repeating: "+", count: right) + String(repeating: "-", count: total - right)
      let chosen = kept(verdicts, count: count)
      #expect(chosen.count == count && Set(chosen).count == count)
      return chosen.count { $0 < right }
    }
    #expect((0...16).map { rights($0, of: 16, count: 8) } == [0, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 8])
    // Half of two is one, so both kinds keep one.
    #expect((0...4).map { rights($0, of: 4, count: 2) } == [0, 1, 1, 1, 2])
  }

  @Test func whatCannotBeScoredFillsUp() {
    #expect(kept("?+?-", count: 2) == [1, 3])
    #expect(kept("??+-????", count: 4) == [0, 1, 2, 3])
    #expect(kept("????", count: 2) == [0, 1])
    #expect(kept("+-?", count: 4) == [0, 1, 2])
  }
}
