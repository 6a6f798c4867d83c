import Tokenization
import Transformer

/// Hints at test time (START; Li et al. 2025, arXiv:2503.04625, Hint-infer): a response is cut behind a sentence that
/// hesitates, or before its end, gets a hint there and is continued.
public struct TestTimeHints: Sendable {
  /// The sentences, and how a call is opened. One that is empty is not inserted.
  public var finder: HintFinder
  /// The most calls of a response: where none is left, no hint opens one.
  public var maxCalls: Int

  /// Hints with these sentences.
  public init(_ finder: HintFinder, maxCalls: Int) {
    self.finder = finder
    self.maxCalls = maxCalls
  }

  /// The response up to its next hint, and the hint: behind the first sentence after the last hint that hesitates,
  /// else before the token with which the model ended the response.
  /// - Parameter limit: tokens that the episode may have. A hint that leaves none for the model is not inserted.
  /// - Returns: nil where no hint has a place.
  public func prefix(
    of episode: Episode, limit: Int, stopTokens: Set<Int32>, tokenizer: Tokenizer
  ) -> Prefix? {
    let stop = episode.finish == .stop && episode.tokens.last.map(stopTokens.contains) == true
    let end = episode.tokens.count - (stop ? 1 : 0)
    let lastHint = episode.authorsByToken.lastIndex(of: .hint).map { $0 + 1 } ?? episode.promptCount
    if !finder.hesitation.isEmpty {
      let found = BehaviourAnalysis.hesitations(episode.segments(tokenizer), tools: finder.tools)
      let offsets = found.isEmpty ? nil : TokenOffsets(episode, tokenizer)
      let cuts = found.compactMap { offsets?.token(at: $0) }.map { min($0, end) }
      if let cut = cuts.first(where: { $0 > lastHint }),
        let prefix = prefix(of: episode, cut, .hesitation, "behind a sentence that hesitates", limit, tokenizer)
      {
        return prefix
      }
    }
    guard stop, !finder.end.isEmpty else { return nil }
    return prefix(of: episode, end, .end, "before the end of the response", limit, tokenizer)
  }

  private func prefix(
    of episode: Episode, _ cut: Int, _ kind: BehaviourAnalysis.SpotKind, _ reason: String, _ limit: Int,
    _ tokenizer: Tokenizer
  ) -> Prefix? {
    var prefix = Prefix(of: episode, upTo: cut)
    if kind == .hesitation, finder.tools != .none, prefix.calls.count >= maxCalls { return nil }
    // The model stopped in the middle of a call.
    guard !prefix.hasOpenCall(tokenizer, tools: finder.tools) else { return nil }
    let text = finder.text(kind, after: prefix.tokens.suffix(8).flatMap { tokenizer.bytes($0) })
    prefix.append(hint: text, kind: kind, reason: reason, tokenizer: tokenizer)
    return episode.promptCount + prefix.tokens.count < limit ? prefix : nil
  }
}
