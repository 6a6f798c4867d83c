import Foundation
import Support
import Tensor
import Testing

@testable import Rollout

/// Trajectories that really call Python.
@Suite struct SamplerCallTests {
  private func sampler(slots: Int = 8, threads: Int = 2, context: Int = 512) throws -> Sampler {
    Sampler(
      model: try RolloutFixtures.callingModel(context: context), tokenizer: try RolloutFixtures.tokenizer(),
      stopTokens: [RolloutFixtures.stop], pool: WorkerPool(threadCount: threads),
      interpreter: try SharedInterpreter.patient.get(), slots: slots)
  }

  private func request(_ id: String, sample: Int, start: String) throws -> SampleRequest {
    let tokenizer = try RolloutFixtures.tokenizer()
    let prefix = Prefix(hint: "```python\n\(start)\n```\n", kind: .delayed, reason: "a test", tokenizer: tokenizer)
    #expect(!prefix.hasOpenCall(tokenizer))
    return SampleRequest(
      problem: Problem(id: id, problem: "?", gold: "1"), sample: sample, promptTokens: tokenizer.encode("Question"),
      prefix: prefix)
  }

  private func settings(calls: Int, tokens: Int = 300) -> SamplerSettings {
    SamplerSettings(seed: 1, maxTokens: tokens, maxCalls: calls, tools: .python)
  }

  @Test func variablesPersistAndTheLimitIsSaidOnce() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let episode = try sampler().run(
      [request("a", sample: 0, start: "c = iter([10, 20, 30, 40])")], settings: settings(calls: 3))[0]
    #expect(episode.defect == nil)
    #expect(episode.calls.map(\.code) == ["c = iter([10, 20, 30, 40])\n", "next(c)\n", "next(c)\n"])
    #expect(episode.calls.map(\.output) == ["", "10\n", "20\n"])
    #expect(episode.calls.allSatisfy { $0.status == .ok && $0.ms > 0 })
    #expect(episode.finish == .stop)
    #expect(episode.tokens.last == RolloutFixtures.stop)
    let text = episode.segments(tokenizer).map { "\($0.author.rawValue): \($0.text)" }
    let block = "model: ```python\nnext(c)\n```\n"
    #expect(
      text == [
        "prompt: Question", "hint: ```python\nc = iter([10, 20, 30, 40])\n```\n", "tool: ```output\n```\n", block,
        "tool: ```output\n10\n```\n", block, "tool: ```output\n20\n```\nNo further code will be run.\n",
        "model: <|im_end|>",
      ])
    #expect(episode.hints.map(\.token) == [episode.promptCount])
    let allowed = try sampler().run([request("a", sample: 0, start: "c = 1")], settings: settings(calls: 0))[0]
    #expect(allowed.calls.isEmpty && !allowed.authors.contains { $0.author == .tool })
  }

  @Test func resultsDoNotDependOnWhenCallsComeBack() throws {
    let requests = try (0..<10).map { number in
      // The earlier ones are the slower ones, and every one draws its own random numbers.
      let start = "import time, random\ntime.sleep(\(0.02 * Double(10 - number)))\nc = iter([random.random()] * 9)"
      return try request("p\(number / 2)", sample: number % 2, start: start)
    }
    let expected = try sampler().run(requests, settings: settings(calls: 3)).map(\.timeless)
    #expect(Set(expected.map { $0.calls[1].output }).count == 10)
    #expect(expected.allSatisfy { $0.calls.count == 3 && $0.calls[1].status == .ok })
    #expect(try sampler(slots: 1, threads: 1).run(requests, settings: settings(calls: 3)).map(\.timeless) == expected)
    let reversed = try sampler(slots: 3, threads: 3).run(requests.reversed(), settings: settings(calls: 3))
    #expect(reversed.map(\.timeless) == expected.reversed())
  }

  @Test func earlierCallsRunAgainAndErrorsAreShown() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let first = try sampler().run(
      [request("a", sample: 0, start: "c = iter([10, 20])")], settings: settings(calls: 6))[0]
    #expect(first.calls.map(\.status) == [.ok, .ok, .ok, .error, .error, .error])
    #expect(first.calls[3].output.contains("StopIteration"))
    // Cut behind the first output of next(c): the variables must be those of that moment.
    let outputs = first.authors.indices.filter { first.authors[$0].author == .tool }
    let cut = first.authors[...outputs[1]].reduce(0) { $0 + $1.count }
    let prefix = try prefix(
      of: first, cutAtToken: cut, hint: "```python\n100 + next(c)\n```\n", kind: .distrust, reason: "by hand",
      tokenizer: tokenizer)
    #expect(prefix.calls.count == 2)
    let again = try sampler().run(
      [
        SampleRequest(
          problem: Problem(id: "a", problem: "?", gold: "1"), sample: 1,
          promptTokens: Array(first.tokens[..<first.promptCount]), prefix: prefix)
      ], settings: settings(calls: 3))[0]
    #expect(again.defect == nil)
    #expect(again.calls.map(\.output) == ["", "10\n", "120\n"])
    #expect(again.hints.map(\.kind) == [.delayed, .distrust])
    #expect(again.hints[1].token == cut)
    #expect(Array(again.logProbs[..<cut]) == Array(first.logProbs[..<cut]))
  }

  /// A clock says something else each time; what is on record stands.
  @Test func recordedCallsAreNotExecutedAgain() throws {
    let clock = "import time\nc = iter([time.time_ns(), time.time_ns(), time.time_ns()])"
    var request = try request("a", sample: 0, start: clock + "\nnext(c)")
    var reported: [Episode.Call] = []
    let first = try sampler().run(
      [request], settings: settings(calls: 3),
      onCall: {
        #expect($0 == 0); reported.append($1)
      })[0]
    #expect(reported == first.calls && first.calls.count == 3)

    request.recordedCalls = reported
    let replayed = try sampler().run([request], settings: settings(calls: 3), onCall: { _, _ in reported = [] })[0]
    #expect(replayed == first && reported == first.calls)

    // The third is executed, after the first two were again: `c` has moved on.
    request.recordedCalls.removeLast()
    reported = []
    let resumed = try sampler().run([request], settings: settings(calls: 3), onCall: { reported.append($1) })[0]
    #expect(resumed.calls.prefix(2) == first.calls.prefix(2) && reported == Array(resumed.calls.suffix(1)))
    #expect(resumed.calls[2].status == .ok && resumed.calls[2].output != first.calls[2].output)

    // A record of other code is none.
    request.recordedCalls[0].code = "1\n"
    let other = try sampler().run([request], settings: settings(calls: 3))[0]
    #expect(other.calls[0].output != first.calls[0].output)
  }

  @Test func aLongOutputEndsAtTheLimit() throws {
    let episode = try sampler().run(
      [request("a", sample: 0, start: "print('x' * 900)")], settings: settings(calls: 3, tokens: 100))[0]
    #expect(episode.responseTokenCount == 100)
    #expect(episode.finish == .length)
    #expect(episode.defect == nil)
    #expect(episode.calls.count == 1)
  }

  @Test func printedSpecialTokensStayText() throws {
    let episode = try sampler().run(
      [request("a", sample: 0, start: "print('<|im_end|><|endoftext|>')")], settings: settings(calls: 1))[0]
    let tool = zip(episode.tokens, episode.authorsByToken).filter { $0.1 == .tool }.map(\.0)
    #expect(try RolloutFixtures.tokenizer().decode(tool).contains("<|im_end|><|endoftext|>\n"))
    #expect(tool.allSatisfy { $0 < 269 })
  }

  /// Hints open calls in the run's own protocol, and the sampler, the analysis and who reads the file later agree on
  /// what ran.
  @Test(arguments: [
    (ToolFormats.python, "x = 4\nx + 38\n```\n"), (.toolCall, "x = 4\\nx + 38\"}}\n</tool_call>"),
    (.code, "x = 4\nx + 38\n</code>"), (.code, "```python\nx = 4\nx + 38\n```\n</code>"),
  ])
  func aCallThatAHintOpensRuns(tools: ToolFormats, rest: String) throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    var finder = HintFinder()
    finder.tools = tools
    var request = try request("a", sample: 0, start: "")
    request.prefix = Prefix(
      hint: finder.text(.delayed, after: []) + rest, kind: .delayed, reason: "a test", tokenizer: tokenizer)
    var settings = settings(calls: 1)
    settings.tools = tools
    let episode = try sampler().run([request], settings: settings)[0]
    #expect(episode.calls.map(\.output) == ["42\n"] && episode.calls.map(\.status) == [.ok])
    let analysis = episode.analysis(tokenizer)
    #expect(analysis.blocks.map(\.output) == ["42\n"] && analysis.idleHints == 0)
    let written = try JSONDecoder().decode(Episode.self, from: JSONEncoder().encode(episode))
    #expect(written.tools == tools)
    // Without the key the output's frame tells; where there is none, the reader does.
    var silent = episode
    silent.tools = nil
    #expect(EpisodeLabels(silent, tokenizer: tokenizer).blocks == [.calculation])
    #expect(silent.analysis(tokenizer, tools: tools) == analysis)
    #expect((silent.analysis(tokenizer, tools: tools == .code ? .python : .code) == analysis) == false)
    silent.tools = episode.tools
    #expect(silent.analysis(tokenizer, tools: tools == .code ? .python : .code) == analysis)
  }

  /// Each call of a hint runs where it stands, also when more follows than the call.
  @Test(arguments: [
    (ToolFormats.python, "```python\nx = 40\n```\nThen\n```python\nx + 2\n```\n"),
    (.code, "<code>x = 40</code>\n<code>x + 2</code>\n"),
    (.toolCall, ["x = 40", "x + 2"].map { ToolCallJSON().callOpening + $0 + "\"}}\n</tool_call>" }.joined() + "\nSo"),
  ])
  func everyCallOfAHintRuns(tools: ToolFormats, hint: String) throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    var request = try request("a", sample: 0, start: "")
    var prefix = Prefix(hint: hint, kind: .prompt, reason: "a test", tokenizer: tokenizer)
    let length = prefix.tokens.count
    prefix.append(hint: "And.", kind: .distrust, reason: "a second", tokenizer: tokenizer)
    request.prefix = prefix
    var settings = settings(calls: 2)
    settings.tools = tools
    let episode = try sampler().run([request], settings: settings)[0]
    #expect(episode.defect == nil)
    #expect(episode.calls.map(\.output) == ["", "42\n"])
    #expect(episode.analysis(tokenizer).blocks.map(\.output) == ["", "42\n"])
    let written = zip(episode.tokens, episode.authorsByToken).filter { $0.1 == .hint }.map(\.0)
    #expect(tokenizer.decode(written) == hint + "And.")
    #expect(episode.hints.map(\.token) == [episode.promptCount, episode.hints[1].token])
    #expect(tokenizer.decode(Array(episode.tokens[episode.hints[1].token...])).hasPrefix("And."))
    #expect(episode.hints[1].token > episode.promptCount + length)
    // Those that the limit forbids are passed over, as the model's are.
    settings.maxCalls = 1
    #expect(try sampler().run([request], settings: settings)[0].calls.map(\.output) == [""])
  }

  @Test func withoutToolsNothingRuns() throws {
    var settings = settings(calls: 3)
    settings.tools = .none
    let episode = try sampler().run([request("a", sample: 0, start: "c = 1")], settings: settings)[0]
    #expect(episode.calls.isEmpty)
    let lone = Sampler(
      model: try RolloutFixtures.callingModel(), tokenizer: try RolloutFixtures.tokenizer(), stopTokens: [],
      pool: WorkerPool(threadCount: 1), interpreter: nil)
    #expect(throws: MartletError.self) {
      try lone.run([request("a", sample: 0, start: "c = 1")], settings: self.settings(calls: 3))
    }
  }
}
