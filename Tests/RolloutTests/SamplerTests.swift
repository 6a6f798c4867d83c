import Support
import Tensor
import Testing
import Transformer

@testable import Rollout

@Suite struct SamplerTests {
  private var kinds: [SamplingSettings] { Self.kinds }

  static let kinds = [
    SamplingSettings(), SamplingSettings(temperature: 0.7), SamplingSettings(temperature: 1.3, topP: 0.8),
    SamplingSettings(topK: 5), SamplingSettings(temperature: 0.9, topP: 0.9, topK: 40),
    SamplingSettings(temperature: 0),
  ]

  private func settings(_ sampling: SamplingSettings, tokens: Int = 120) -> SamplerSettings {
    SamplerSettings(sampling, seed: 3, step: 2, maxTokens: tokens, maxCalls: 0, tools: .none)
  }

  /// The promise that the first policy ratio is exactly 1.
  @Test(arguments: kinds) func logProbsAreTheTrainersBitForBit(sampling: SamplingSettings) throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let model = RolloutFixtures.randomModel(seed: 1)
    let pool = WorkerPool(threadCount: 2)
    let sampler = Sampler(model: model, tokenizer: tokenizer, stopTokens: [274], pool: pool, interpreter: nil, slots: 3)
    let episodes = try sampler.run(
      RolloutFixtures.requests(2, samples: 3, tokenizer: tokenizer), settings: settings(sampling))
    let pass = TrainingPass(model: model, gradients: nil, matmul: .mixed, pool: pool)
    pass.forward(PackedTokens(episodes.map(\.tokens)))
    var targets: [Target] = []
    var expected: [Float] = []
    var start = 0
    var filtered = 0
    for episode in episodes {
      #expect(episode.defect == nil)
      #expect(episode.finish == .stop || episode.responseTokenCount == 120)
      for place in episode.promptCount..<episode.tokens.count {
        let kept = episode.kept?[place]
        if let kept { filtered += kept.count }
        targets.append(
          Target(
            row: start + place - 1, token: episode.tokens[place], temperature: sampling.temperature, kept: kept))
        expected.append(try #require(episode.logProbs[place]))
      }
      start += episode.tokens.count
    }
    #expect(targets.count > 300)
    #expect((filtered > 0) == (sampling.topP < 1 || sampling.topK > 0))
    #expect(pass.score(targets).logProbs == expected)
    #expect(Set(episodes.map(\.tokens)).count == (sampling.temperature == 0 ? 2 : 6))
  }

  @Test func nothingDependsOnSlotsThreadsOrCompany() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let model = RolloutFixtures.randomModel(seed: 2)
    let requests = RolloutFixtures.requests(3, samples: 3, tokenizer: tokenizer)
    let settings = settings(SamplingSettings(topP: 0.95), tokens: 60)
    func sample(_ requests: [SampleRequest], slots: Int, threads: Int) throws -> [Episode] {
      let sampler = Sampler(
        model: model, tokenizer: tokenizer, stopTokens: [274, 10, 33], pool: WorkerPool(threadCount: threads),
        interpreter: nil, slots: slots)
      return try sampler.run(requests, settings: settings)
    }
    let expected = try sample(requests, slots: 64, threads: 2)
    #expect(expected.map(\.id) == requests.map(\.problem.id))
    #expect(Set(expected.map(\.tokens)).count == 9)
    #expect(Set(expected.map(\.finish)).count == 2)
    #expect(try sample(requests, slots: 1, threads: 1) == expected)
    #expect(try sample(requests, slots: 3, threads: 3) == expected)
    #expect(try sample(requests.reversed(), slots: 4, threads: 2) == expected.reversed())
    #expect(try sample([requests[4]], slots: 2, threads: 1) == [expected[4]])
    var other = settings
    other.step = 3
    let sampler = Sampler(
      model: model, tokenizer: tokenizer, stopTokens: [274], pool: WorkerPool(threadCount: 2), interpreter: nil)
    #expect(try sampler.run([requests[0]], settings: other)[0].tokens != expected[0].tokens)
  }

  /// A second run of one sampler, after the weights changed.
  @Test func changedWeightsAreSeen() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let model = RolloutFixtures.randomModel(seed: 3)
    let pool = WorkerPool(threadCount: 2)
    let sampler = Sampler(model: model, tokenizer: tokenizer, stopTokens: [274], pool: pool, interpreter: nil)
    let requests = RolloutFixtures.requests(2, samples: 2, tokenizer: tokenizer)
    let first = try sampler.run(requests, settings: settings(kinds[0]))
    let other = RolloutFixtures.randomModel(seed: 4)
    model.weights.pointer.update(from: other.weights.pointer, count: model.weights.count)
    sampler.weightsChanged()
    let second = try sampler.run(requests, settings: settings(kinds[0]))
    let fresh = Sampler(model: other, tokenizer: tokenizer, stopTokens: [274], pool: pool, interpreter: nil)
    #expect(second != first)
    #expect(try second == fresh.run(requests, settings: settings(kinds[0])))
  }

  @Test func theContextEndsAnEpisodeAndALongPromptIsRefused() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let model = RolloutFixtures.randomModel(seed: 5, context: 48)
    let sampler = Sampler(
      model: model, tokenizer: tokenizer, stopTokens: [], pool: WorkerPool(threadCount: 1), interpreter: nil)
    let problem = Problem(id: "long", problem: "", gold: "")
    let fits = SampleRequest(problem: problem, promptTokens: [Int32](repeating: 65, count: 47))
    let episode = try sampler.run([fits], settings: settings(kinds[0]))[0]
    #expect(episode.tokens.count == 48)
    #expect(episode.finish == .length)
    for (tokens, words) in [
      ([Int32](repeating: 65, count: 48), ["long", "48"]), ([], ["no tokens"]), ([275], ["275"]),
    ] {
      let error = #expect(throws: MartletError.self) {
        try sampler.run([SampleRequest(problem: problem, promptTokens: tokens)], settings: settings(kinds[0]))
      }
      #expect(error?.status == .data)
      for word in words { #expect(error?.message.contains(word) == true) }
    }
    model.weights[3] = .nan
    model.weights[65 * 28] = .nan
    sampler.weightsChanged()
    #expect(throws: MartletError.self) { try sampler.run([fits], settings: settings(kinds[0])) }
  }

  @Test func eventsAddUpAndCancellingStops() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    let model = RolloutFixtures.randomModel(seed: 6)
    let sampler = Sampler(
      model: model, tokenizer: tokenizer, stopTokens: [274], pool: WorkerPool(threadCount: 2), interpreter: nil,
      slots: 2)
    let requests = RolloutFixtures.requests(2, samples: 2, tokenizer: tokenizer)
    var written = [[Int32]](repeating: [], count: 4)
    var ended: [Int] = []
    var last = (0, 0)
    let episodes = try sampler.run(
      requests, settings: settings(kinds[0], tokens: 30), onEpisode: { place, _ in ended.append(place) },
      onToken: { place, tokens, _ in written[place] += tokens }, onProgress: { last = ($0, $1) })
    #expect(ended.sorted() == [0, 1, 2, 3])
    #expect(written == episodes.map { Array($0.tokens[$0.promptCount...]) })
    #expect(last == (episodes.reduce(0) { $0 + $1.responseTokenCount }, 4))
    var steps = 0
    #expect(throws: CancellationError.self) {
      try sampler.run(
        requests, settings: settings(kinds[0]),
        isCancelled: {
          steps += 1
          return steps > 9
        })
    }
    #expect(steps == 10)
  }
}
