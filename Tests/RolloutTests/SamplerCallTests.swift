import Tensor
import Testing
import Transformer

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
