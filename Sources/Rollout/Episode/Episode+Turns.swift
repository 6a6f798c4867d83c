import Tokenization

extension Episode {
  /// Whether the response has a void turn: one that holds neither a complete call nor an answer (SimpleTIR).
  ///
  /// A turn is what model and hints wrote between two tool outputs, or between an output and an end of the response.
  /// Where no token stands there is no turn. A turn that a tool answered holds a complete call, whatever came of it, so
  /// the last turn alone can be void. It holds
  /// * a call if the closing mark of one is there, executed or not (`max_calls` may be used up);
  /// * an answer if a complete box stands in it or, with `endAnswers`, if the model ended it.
  /// - Parameters:
  ///   - tools: the protocol where the episode does not say. With `none` nothing is a call.
  ///   - endAnswers: a program grades, and it alone knows what an answer looks like.
  package func hasVoidTurn(_ tokenizer: Tokenizer, tools: ToolFormats, endAnswers: Bool = false) -> Bool {
    let own = authors.reversed().prefix { $0.author == .model || $0.author == .hint }.reduce(0) { $0 + $1.count }
    if own == 0 || (endAnswers && finish == .stop) { return false }
    var last = Episode(
      id: id, tokens: tokens.suffix(own), authors: [Run(author: .model, count: own)],
      logProbs: [Float?](repeating: nil, count: own))
    last.answer = last.readAnswer(tokenizer)
    if last.hasBoxedAnswer { return false }
    guard let format = (self.tools ?? tools).format else { return true }
    return !endsInCall(tokenizer, format)
  }

  /// Whether a complete call stands behind the last tool output.
  private func endsInCall(_ tokenizer: Tokenizer, _ format: any ToolFormat) -> Bool {
    var scanner = format.scanner()
    var found = false
    let authors = authorsByToken
    for index in promptCount..<tokens.count {
      if authors[index] == .tool {
        scanner.skip(0)
        found = false
        continue
      }
      // A stop token ends a call as a line end would; its own text is no part of it.
      if index == tokens.count - 1, finish == .stop {
        var ended = scanner
        if ended.stop() != nil { return true }
      }
      for byte in tokenizer.bytes(tokens[index]) where scanner.push(byte) != nil { found = true }
    }
    // The limit may cut off the line end behind a closing mark.
    return found || scanner.stop() != nil
  }
}
