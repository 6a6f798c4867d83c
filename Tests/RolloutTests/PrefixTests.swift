import Support
import Tensor
import Testing
import Tokenization

@testable import Rollout

@Suite struct PrefixTests {
  private static let parts: [(Author, String)] = [
    (.prompt, "Question \u{e9}"), (.model, "\u{1F600} We multiply. 12 * 3 = 36. 36 + 4 = 40. 40 * 2 = 80. Now\n"),
    (.model, "```python\n12*3\n```\n"), (.tool, "```output\n36\n```\n"),
    (.model, "But let me double-check it by hand. 12 * 3 = 36. The answer is \\boxed{36}."), (.model, "<|im_end|>"),
  ]

  private func episode(_ tokenizer: Tokenizer) -> Episode {
    var episode = Episode(id: "a", tokens: [], authors: [], logProbs: [])
    for (author, text) in Self.parts {
      let tokens = TraceSegment(author: author, text: text).tokens(tokenizer)
      episode.tokens += tokens
      episode.authors.extend(author, by: tokens.count)
      episode.logProbs += tokens.map { author == .model ? -Float($0) : nil }
    }
    episode.calls = [.init(code: "12*3\n", status: .ok, detail: "ok", output: "36\n", ms: 1)]
    episode.verdict = .correct
    return episode
  }

  @Test func labelsPointAtTokens() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let episode = episode(tokenizer)
    #expect(episode.defect == nil)
    let labels = EpisodeLabels(episode, tokenizer: tokenizer)
    #expect(labels.blocks == [.verification] || labels.blocks == [.calculation])
    let delayed = try #require(labels.delayed.first)
    let distrust = try #require(labels.distrust.first)
    #expect(labels.delayed.count == 1 && labels.distrust.count == 1)
    #expect(tokenizer.decode(Array(episode.tokens[delayed...])).hasPrefix(" 12 * 3 = 36. 36"))
    #expect(tokenizer.decode(Array(episode.tokens[distrust...])).hasPrefix("But let me"))
    #expect(!labels.keep && labels.reasons.count == 2)
    let line = String(decoding: try JSONLines.line(labels), as: UTF8.self)
    #expect(
      line.hasPrefix("{\"id\": \"a\", \"sample\": 0, \"blocks\": [\"verification\"], \"delayed\": [\(delayed)], "))
  }

  @Test func everyCutKeepsWholeCharactersAndCalls() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let episode = episode(tokenizer)
    let text = Array(episode.segments(tokenizer).dropFirst().map(\.text).joined().utf8)
    let tool = episode.authorsByToken.lastIndex(of: .tool)! + 1
    for offset in 0...text.count {
      let cut = prefix(
        of: episode, cutAt: offset, hint: HintFinder(), kind: .distrust, reason: "r", tokenizer: tokenizer)
      let hint = try #require(cut.hints.last)
      let kept = Array(cut.tokens[..<hint.token])
      let keptText = tokenizer.decode(kept)
      #expect(!keptText.contains("\u{FFFD}"))
      #expect(text.starts(with: keptText.utf8))
      let inTool = cut.authors[..<hint.token].contains(.tool)
      if !inTool { #expect(keptText.utf8.count <= offset) }
      #expect(cut.calls.count == (inTool ? 1 : 0))
      if inTool { #expect(episode.promptCount + hint.token >= tool) }
      #expect(cut.logProbs[..<hint.token].elementsEqual(episode.logProbs[episode.promptCount...].prefix(hint.token)))
      #expect(cut.authors[hint.token...].allSatisfy { $0 == .hint })
      #expect(tokenizer.decode(Array(cut.tokens[hint.token...])) == hint.text)
    }
    let labels = EpisodeLabels(episode, tokenizer: tokenizer)
    let cut = try prefix(
      of: episode, cutAtToken: labels.delayed[0], hint: " So.\n```python\n", kind: .delayed, reason: "r",
      tokenizer: tokenizer)
    #expect(cut.hasOpenCall(tokenizer))
    #expect(tokenizer.decode(cut.tokens) == "\u{1F600} We multiply. So.\n```python\n")
    for token in [-1, episode.promptCount - 1, episode.tokens.count + 1] {
      #expect(throws: MartletError.self) {
        try prefix(of: episode, cutAtToken: token, hint: "", kind: .delayed, reason: "", tokenizer: tokenizer)
      }
    }
  }
}
