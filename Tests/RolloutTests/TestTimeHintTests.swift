import Testing
import Tokenization
import Transformer

@testable import Rollout

/// Where a hint goes at test time, and what is kept before it.
@Suite struct TestTimeHintTests {
  private let tokenizer: Tokenizer

  init() throws { tokenizer = try RolloutFixtures.tokenizer() }

  private static let block = "```python\nprint(4)\n```\n"
  private static let output = "```output\n4\n```\n"

  private func episode(_ pieces: [(Author, String)], finish: Episode.Finish = .stop) -> Episode {
    var episode = Episode(id: "a", tokens: [], authors: [], logProbs: [])
    for (author, text) in [(Author.prompt, "What is 2 + 2?\n")] + pieces {
      let tokens = tokenizer.encode(text)
      if author == .hint {
        episode.hints.append(.init(token: episode.tokens.count, kind: .end, text: text, reason: ""))
      }
      episode.tokens += tokens
      episode.authors.extend(author, by: tokens.count)
      episode.logProbs += tokens.map { author == .model ? -Float($0) / 512 : nil }
      if author == .tool { episode.calls.append(.init(code: "", status: .ok, detail: "ok", output: "4\n", ms: 1)) }
    }
    if finish == .stop {
      episode.tokens.append(RolloutFixtures.stop)
      episode.authors.extend(.model)
      episode.logProbs.append(-1)
    }
    episode.finish = finish
    return episode
  }

  private func prefix(
    _ episode: Episode, limit: Int = 1000, maxCalls: Int = 4, _ change: (inout HintFinder) -> Void = { _ in }
  ) -> Prefix? {
    var finder = HintFinder()
    change(&finder)
    return TestTimeHints(finder, maxCalls: maxCalls).prefix(
      of: episode, limit: limit, stopTokens: [RolloutFixtures.stop], tokenizer: tokenizer)
  }

  private func kept(_ prefix: Prefix?) -> String? {
    prefix.map { tokenizer.decode(Array($0.tokens[..<($0.hints.last?.token ?? 0)])) }
  }

  struct Place: Sendable, CustomTestStringConvertible {
    var pieces: [(Author, String)]
    var finish = Episode.Finish.stop
    /// The response up to the hint; nil: there is none.
    var kept: String?
    var kind = BehaviourAnalysis.SpotKind.hesitation
    var testDescription: String { pieces.map(\.1).joined() }
  }

  @Test(arguments: [
    Place(pieces: [(.model, "It is 4. Wait, is it 5? So it is 4.")], kept: "It is 4. Wait, is it 5?"),
    Place(pieces: [(.model, "It is 4.\nAlternatively, count.\nSo 4.")], kept: "It is 4.\nAlternatively, count.\n"),
    Place(pieces: [(.model, "It is 4. I am not sure. So 4. Hmm. So 4.")], kept: "It is 4. I am not sure."),
    // The first one, unless it lies before a hint.
    Place(
      pieces: [(.model, "Wait, I add. "), (.hint, "Use code."), (.model, " It is 4. Hmm, is it? It is 4.")],
      kept: "Wait, I add. Use code. It is 4. Hmm, is it?"),
    // A response that is cut off may go back, but has no end.
    Place(pieces: [(.model, "Wait, I add. It is 4 and then")], finish: .length, kept: "Wait, I add."),
    Place(pieces: [(.model, "It is 4 and then")], finish: .length, kept: nil),
    Place(pieces: [(.model, "So it is 4.")], kept: "So it is 4.", kind: .end),
    Place(pieces: [(.model, "Waiting costs 4.")], kept: "Waiting costs 4.", kind: .end),
    Place(
      pieces: [(.model, "It is 4. We don't need to double-check.")], kept: "It is 4. We don't need to double-check.",
      kind: .end),
    // What hesitates in code or output does not count, nor where the model calls code by itself.
    Place(
      pieces: [(.model, "Wait, by code.\n" + block), (.tool, output), (.model, "So 4.")],
      kept: "Wait, by code.\n" + block + output + "So 4.", kind: .end),
    Place(
      pieces: [(.model, "```python\n# Wait, what.\n```\n"), (.tool, "```output\nWait.\n```\n"), (.model, "So 4.")],
      kept: "```python\n# Wait, what.\n```\n```output\nWait.\n```\nSo 4.", kind: .end),
    // The model stopped inside of a call.
    Place(pieces: [(.model, "It is 4.\n```python\nprint(4")], kept: nil),
    // The last sentence: the token that ended the response does not stay.
    Place(pieces: [(.model, "It is 4. Wait, is it?")], kept: "It is 4. Wait, is it?"),
  ])
  func aHintHasOnePlace(_ place: Place) throws {
    let found = prefix(episode(place.pieces, finish: place.finish))
    #expect(kept(found) == place.kept)
    #expect(found == nil || found?.hints.last?.kind == place.kind)
  }

  @Test func whatIsKeptStaysAsItWasDrawn() throws {
    let episode = episode([(.model, "By code.\n" + Self.block), (.tool, Self.output), (.model, "Wait, why? It is 4.")])
    let found = try #require(prefix(episode))
    let (start, cut) = (episode.promptCount, try #require(found.hints.first).token)
    #expect(found.tokens[..<cut] == episode.tokens[start..<start + cut])
    #expect(found.logProbs[..<cut] == episode.logProbs[start..<start + cut])
    #expect(found.authors[..<cut] == episode.authorsByToken[start..<start + cut])
    #expect(found.authors[cut...].allSatisfy { $0 == .hint } && found.logProbs[cut...].allSatisfy { $0 == nil })
    #expect(found.calls == episode.calls)
    let hint = " It looks tedious, and we can use python code to simplify the reasoning.\n```python\n"
    #expect(tokenizer.decode(Array(found.tokens[cut...])) == hint && found.hints[0].text == hint)
    // Without tools no call is opened, and the end has a sentence of its own.
    let free = try #require(prefix(episode) { $0.tools = .none })
    #expect(free.hints[0].text == " It looks tedious, and we can use python code to simplify the reasoning.")
    let end = try #require(prefix(episode) { ($0.hesitation, $0.end) = ("", "Think again.") })
    #expect(end.hints[0].kind == .end && end.hints[0].text == " Think again.")
    #expect(end.tokens.count + start == episode.tokens.count - 1 + tokenizer.encode(" Think again.").count)
    #expect(prefix(episode) { ($0.hesitation, $0.end) = ("", "") } == nil)
  }

  /// The budget holds hints too, and a hint without a call left opens none.
  @Test func aHintNeedsRoomAndACall() throws {
    let episode = episode([(.model, "By code.\n" + Self.block), (.tool, Self.output), (.model, "Wait, why? It is 4.")])
    let whole = try #require(prefix(episode)).tokens.count + episode.promptCount
    #expect(prefix(episode, limit: whole + 1)?.hints.last?.kind == .hesitation)
    #expect(prefix(episode, limit: whole) == nil)
    #expect(prefix(episode, maxCalls: 1)?.hints.last?.kind == .end)
    #expect(prefix(episode, maxCalls: 2)?.hints.last?.kind == .hesitation)
  }
}
