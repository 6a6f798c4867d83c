import Tensor
import Testing
import Transformer

@testable import Rollout

/// Sampling where others write between the model's tokens.
@Suite struct KeptIdsTests {
  @Test func keptIdsStayInStepWithToolTextAndHints() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let sampler = Sampler(
      model: try RolloutFixtures.callingModel(), tokenizer: tokenizer, stopTokens: [RolloutFixtures.stop],
      pool: WorkerPool(threadCount: 2), interpreter: try SharedInterpreter.patient.get(), slots: 2)
    func sample(_ prefix: Prefix, topP: Float) throws -> Episode {
      let request = SampleRequest(
        problem: Problem(id: "a", problem: "?", gold: "1"), promptTokens: tokenizer.encode("Question"), prefix: prefix)
      let settings = SamplerSettings(
        SamplingSettings(topP: topP), seed: 1, maxTokens: 300, maxCalls: 3, tools: .python)
      return try sampler.run([request], settings: settings)[0]
    }
    func block(_ code: String) -> String { "```python\n\(code)\n```\n" }
    let start = Prefix(
      hint: block("c = iter([10, 20, 30, 40])"), kind: .delayed, reason: "a test", tokenizer: tokenizer)
    let first = try sample(start, topP: 0.9)
    #expect(first.defect == nil && first.calls.count == 3)
    let kept = try #require(first.kept)
    #expect(zip(kept, first.authorsByToken).allSatisfy { ($0 != nil) == ($1 == .model) })

    // A hint behind the second tool text, and on from there, with the filter and without.
    let tools = first.authors.indices.filter { first.authors[$0].author == .tool }
    let cut = first.authors[...tools[1]].reduce(0) { $0 + $1.count }
    let prefix = try prefix(
      of: first, cutAtToken: cut, hint: block("next(c)"), kind: .distrust, reason: "a test", tokenizer: tokenizer)
    #expect(prefix.kept?.count == prefix.tokens.count)
    for topP: Float in [0.9, 1] {
      let again = try sample(prefix, topP: topP)
      #expect(again.defect == nil && again.calls.count == 3)
      let both = try #require(again.kept)
      #expect(Array(both[..<cut]) == Array(kept[..<cut]))
      let drawn = zip(both[cut...], again.authorsByToken[cut...]).filter { $0.1 == .model }
      #expect(!drawn.isEmpty && drawn.allSatisfy { ($0.0 != nil) == (topP < 1) })
    }
  }

  @Test func withoutRoomForAnOutputNothingIsRun() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let sampler = Sampler(
      model: try RolloutFixtures.callingModel(), tokenizer: tokenizer, stopTokens: [RolloutFixtures.stop],
      pool: WorkerPool(threadCount: 1), interpreter: try SharedInterpreter.patient.get())
    let prefix = Prefix(hint: "```python\n1\n```\n", kind: .delayed, reason: "a test", tokenizer: tokenizer)
    let request = SampleRequest(
      problem: Problem(id: "a", problem: "?", gold: "1"), promptTokens: tokenizer.encode("Question"), prefix: prefix)
    let settings = SamplerSettings(seed: 1, maxTokens: prefix.tokens.count, maxCalls: 3, tools: .python)
    let episode = try sampler.run([request], settings: settings)[0]
    #expect(episode.calls.isEmpty && episode.finish == .length && episode.responseTokenCount == prefix.tokens.count)
  }

  /// Two responses to one prompt, one after the other in one slot, each with a beginning of its own.
  @Test func aSlotForgetsTheResponseBefore() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let sampler = Sampler(
      model: RolloutFixtures.randomModel(seed: 7), tokenizer: tokenizer, stopTokens: [],
      pool: WorkerPool(threadCount: 2), interpreter: nil, slots: 1)
    let requests = ["We add the numbers. ", "First of all we multiply by 12. "].enumerated().map { sample, hint in
      SampleRequest(
        problem: Problem(id: "a", problem: "?", gold: "1"), sample: sample,
        promptTokens: tokenizer.encode("Question 7"),
        prefix: Prefix(hint: hint, kind: .prompt, reason: "a test", tokenizer: tokenizer))
    }
    let settings = SamplerSettings(seed: 2, maxTokens: 60, maxCalls: 0, tools: .none)
    let together = try sampler.run(requests, settings: settings)
    let alone = try requests.map { try sampler.run([$0], settings: settings)[0] }
    #expect(together == alone)
    #expect(together.allSatisfy { $0.defect == nil && $0.responseTokenCount == 60 })
  }
}
