import Rollout
import Testing

/// Void turns: which last words of a response are neither a complete call nor an answer.
@Suite struct TurnTests {
  /// A response of parts to a prompt; a part of a tool begins with "> ".
  private func episode(
    _ parts: [String], finish: Episode.Finish = .stop, tools: ToolFormats? = .python
  ) throws -> Episode {
    let tokenizer = try RolloutFixtures.tokenizer()
    var tokens = tokenizer.encode("What is 2 + 2?\n")
    var authors = [Episode.Run(author: .prompt, count: tokens.count)]
    for part in parts {
      let isTool = part.hasPrefix("> ")
      let new = tokenizer.encode(isTool ? String(part.dropFirst(2)) : part)
      tokens += new
      authors.append(.init(author: isTool ? .tool : .model, count: new.count))
    }
    if finish == .stop {
      tokens.append(RolloutFixtures.stop)
      authors.append(.init(author: .model, count: 1))
    }
    var episode = Episode(
      id: "a", tokens: tokens, authors: authors, logProbs: [Float?](repeating: nil, count: tokens.count))
    (episode.finish, episode.tools) = (finish, tools)
    return episode
  }

  private func isVoid(
    _ parts: [String], finish: Episode.Finish = .stop, tools: ToolFormats = .python, endAnswers: Bool = false
  ) throws -> Bool {
    try episode(parts, finish: finish, tools: tools)
      .hasVoidTurn(RolloutFixtures.tokenizer(), tools: .none, endAnswers: endAnswers)
  }

  private let call = "Let us see.\n```python\nprint(2 + 2)\n```\n"
  private let output = "> ```output\n4\n```\n"

  @Test func wordsAloneAreVoid() throws {
    #expect(try isVoid(["It is four."]))
    #expect(try !isVoid(["It is \\boxed{4}."]))
    #expect(try isVoid([call, output, "So it is four."]))
    #expect(try !isVoid([call, output, "So it is \\boxed{4}."]))
    // A box of an earlier turn, one that a tool printed, and one that never closes are no answer of this turn.
    #expect(try isVoid(["It is \\boxed{4}. " + call, output, "Yes, it is."]))
    #expect(try isVoid([call, "> ```output\n\\boxed{4}\n```\n", "That is it."]))
    #expect(try isVoid(["It is \\boxed{4"], finish: .length))
  }

  @Test func aCompleteCallIsNotVoid() throws {
    // The calls may be used up: this one is not executed.
    #expect(try !isVoid([call], finish: .length))
    #expect(try !isVoid([call, output, "Once more.\n" + call + "What now?"]))
    // Stopped, or cut off, right behind the closing mark.
    #expect(try !isVoid([String(call.dropLast())]))
    #expect(try !isVoid([String(call.dropLast())], finish: .length))
    #expect(try isVoid(["```python\nprint(2 + 2)\n"]))
    #expect(try isVoid([call, output, "```python\nprint(2 + 2)\n``"], finish: .length))
    // Other blocks are no calls.
    #expect(try isVoid(["```text\nprint(2 + 2)\n```\n"]))
  }

  /// Where no token of the model stands there is no turn.
  @Test func anOutputAtTheEndIsNoTurn() throws {
    #expect(try !isVoid([call, output], finish: .length))
    #expect(try isVoid([call, output, "So"], finish: .length))
  }

  @Test func everyProtocolHasItsCalls() throws {
    let json = "<tool_call>\n{\"name\": \"python\", \"arguments\": {\"code\": \"print(4)\"}}\n</tool_call>"
    #expect(try !isVoid([json], tools: .toolCall))
    #expect(try !isVoid(["<tool_call>\n{\"name\": python}\n</tool_call>"], tools: .toolCall), "malformed, but complete")
    #expect(try isVoid([String(json.dropLast(3))], finish: .length, tools: .toolCall))
    #expect(try isVoid([call], tools: .toolCall))
    #expect(try !isVoid(["<code>\nprint(4)\n</code>"], tools: .code))
    #expect(try isVoid(["<code>\nprint(4)\n"], tools: .code))
    // Nothing is executed.
    #expect(try isVoid([call], tools: .none))
    #expect(try !isVoid([call + "\\boxed{4}"], tools: .none))
    // The episode's own protocol counts; where it names none, the configuration's.
    let plain = try episode([call], tools: nil)
    #expect(try !plain.hasVoidTurn(RolloutFixtures.tokenizer(), tools: .python))
    #expect(try plain.hasVoidTurn(RolloutFixtures.tokenizer(), tools: .none))
  }

  /// A program that grades knows what an answer is: what the model ended may hold one.
  @Test func aProgramsAnswersHaveNoBox() throws {
    #expect(try !isVoid(["It is four."], endAnswers: true))
    #expect(try isVoid(["It is four."], finish: .length, endAnswers: true))
  }
}
