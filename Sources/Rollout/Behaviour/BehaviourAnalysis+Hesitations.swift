extension BehaviourAnalysis {
  /// What a sentence begins with when its writer turns back.
  private static let turns = [
    "wait", "but wait", "no wait", "no, wait", "hold on", "hmm", "alternatively", "on second thought",
  ]

  /// Where sentences of the model's own prose end that hesitate, in order, as UTF-8 bytes of the response. A sentence
  /// with code right behind it is left out: there the model calls its interpreter itself.
  static func hesitations(_ segments: [TraceSegment], tools: ToolFormats) -> [Int] {
    let trace = BehaviourTrace(segments, format: tools.reading)
    return trace.pieces.indices.flatMap { index -> [Int] in
      guard case .prose(let range) = trace.pieces[index] else { return [] }
      var codeFollows = false
      if index + 1 < trace.pieces.count, case .code = trace.pieces[index + 1] { codeFollows = true }
      let sentences = ProseSentence.split(trace.bytes, in: range)
      let candidates = codeFollows ? sentences.dropLast() : sentences[...]
      return candidates.filter { sentence in
        hesitates(sentence) && !trace.hints.contains { $0.overlaps(sentence.range) }
      }.map(\.range.upperBound)
    }
  }

  private static func hesitates(_ sentence: ProseSentence) -> Bool {
    let words = sentence.words.drop { !$0.isLetter }
    return turns.contains { words.hasPrefix($0) && words.dropFirst($0.count).first?.isLetter != true }
      || isDoubt(sentence)
  }
}
