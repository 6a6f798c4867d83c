extension BehaviourAnalysis {
  /// Phrases that announce a calculation by hand.
  private static let announcements = [
    "by hand", "manually", "step by step", "long division", "digit by digit", "let me calculate", "let me compute",
    "let me work", "let me do", "let me multiply", "let me add", "let me find", "let's calculate", "let's compute",
    "let's work", "let's do", "let's multiply", "let us calculate", "let us compute", "let us do", "we calculate",
    "we compute", "i'll calculate", "i'll compute", "i will calculate", "i will compute", "i can calculate",
  ]

  /// Stretches of at least `minimumSteps` calculated equations with at most two other sentences between neighbours. A
  /// sentence that announces the stretch belongs to it.
  static func delayed(_ sentences: [ProseSentence], codeFollows: Bool) -> [Spot] {
    var spots: [Spot] = []
    var index = 0
    while index < sentences.count {
      guard sentences[index].steps > 0 else {
        index += 1
        continue
      }
      var last = index
      var steps = sentences[index].steps
      var next = index + 1
      while next < sentences.count, next - last <= 3 {
        if sentences[next].steps > 0 {
          last = next
          steps += sentences[next].steps
        }
        next += 1
      }
      if steps >= minimumSteps {
        var first = index
        if first > 0, sentences[first - 1].steps == 0, sentences[first - 1].says(announcements) { first -= 1 }
        let range = sentences[first].range.lowerBound..<sentences[last].range.upperBound
        let place = codeFollows ? "before code" : "and no code after it"
        spots.append(
          Spot(kind: .delayed, range: range, reason: "\(steps) steps of arithmetic by hand \(place)"))
      }
      index = last + 1
    }
    return spots
  }

  private static let doubts = [
    "double-check", "double check", "doublecheck", "recheck", "re-check", "verify", "confirm", "doubt", "not sure",
    "is it right", "is this right", "is that right", "is it correct", "is this correct", "is that correct",
    "are we sure", "am i sure", "check it by hand", "check by hand", "check it manually", "check manually",
    "check this manually", "calculate it again", "compute it again", "let me check", "let me recalculate",
    "let me recompute", "recalculate", "recompute", "can't trust", "cannot trust", "don't trust", "seems off",
    "might be wrong", "may be wrong", "could be wrong", "might have made a mistake", "sanity check",
  ]
  private static let denials = [
    "don't need to", "do not need to", "no need to", "needn't", "no doubt", "without doubt", "without a doubt",
    "not doubt", "don't doubt", "not necessary to", "don't have to", "not need to",
  ]
  /// Whether a sentence doubts something.
  static func isDoubt(_ sentence: ProseSentence) -> Bool { sentence.says(doubts) && !sentence.says(denials) }

  private static let byCode = ["python", "code", "program", "script"]
  private static let instruments = ["with ", "using ", "use ", "in ", "run ", "write ", "can check", "to check"]

  /// Whether the text after the output of `block` checks what Python said: it has a sentence of doubt, or arithmetic by
  /// hand that ends in the same result. A check by code counts when it only prints the same result again.
  static func distrust(_ sentences: [ProseSentence], of block: Block, next: String?) -> Spot? {
    guard let end = sentences.last?.range.upperBound else { return nil }
    let result = BehaviourTrace.lastLine(block.output)
    let again = next.map { BehaviourTrace.lastLine($0) == result } ?? false
    let doubt = sentences.firstIndex { sentence in
      guard isDoubt(sentence) else { return false }
      return !(sentence.says(byCode) && sentence.says(instruments)) || again
    }
    let byHand = delayed(sentences, codeFollows: next != nil).first { stretch in
      sentences.contains { stretch.range.contains($0.range.lowerBound) && $0.results.contains(result) }
    }
    if let doubt, byHand.map({ sentences[doubt].range.lowerBound <= $0.offset }) ?? true {
      let steps = sentences[doubt...].reduce(0) { $0 + $1.steps }
      let how = steps > 0 ? ", \(steps) steps worked out again by hand" : again ? ", run again" : ""
      return Spot(
        kind: .distrust, range: sentences[doubt].range.lowerBound..<end,
        reason: "doubts what Python said (\(shortened(result)))\(how)")
    }
    return byHand.map { stretch in
      Spot(
        kind: .distrust, range: stretch.range,
        reason: "works out again by hand what Python said (\(shortened(result)))")
    }
  }

  private static func shortened(_ result: String) -> String {
    result.count <= 40 ? result : String(result.prefix(37)) + "..."
  }
}
