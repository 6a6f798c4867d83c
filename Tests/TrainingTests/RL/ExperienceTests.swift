import Foundation
import PPO
import Rollout
import Support
import Tensor
import TestSupport
import Testing
import Transformer

@testable import Training

/// Which tokens are learnt from, with what, in which order.
@Suite struct ExperienceTests {
  private static func shape(valueHead: Bool = false) -> ModelConfiguration {
    var shape = ModelConfiguration(
      architecture: .qwen2, hiddenSize: 24, intermediateSize: 40, layerCount: 2,
      heads: .init(4, keyValue: 2, width: 6), vocabularySize: 1, contextLength: 64)
    shape.valueHead = valueHead
    return shape
  }

  /// Seven tokens: two of the prompt, two of the model, one of a tool, one of a hint, one of the model.
  private func episode(sample: Int = 0, reward: Double = 1) -> Episode {
    var episode = Episode(
      id: "a", sample: sample, tokens: [1, 2, 3, 4, 5, 6, 7 + Int32(sample)],
      authors: [
        .init(author: .prompt, count: 2), .init(author: .model, count: 2), .init(author: .tool, count: 1),
        .init(author: .hint, count: 1), .init(author: .model, count: 1),
      ],
      logProbs: [nil, nil, -1, -2, nil, nil, -3], kept: sample > 0 ? nil : [nil, nil, [3, 9], nil, nil, nil, [7, 8]])
    episode.sampling = .init(temperature: 0.5)
    episode.reward = .init(total: reward)
    return episode
  }

  @Test func onlyTheModelsTokensAreLearntFrom() {
    let sample = LearningSample(episode(), group: 3)
    #expect(sample.responseStart == 2 && sample.policy.group == 3 && sample.policy.reward == 1)
    #expect(sample.policy.responseMask == [true, true, false, false, true])
    #expect(sample.policy.oldLogProbs == [-1, -2, 0, 0, -3])
    // The row before a token's own gives its log-prob.
    #expect(sample.targets.map(\.place) == [0, 1, 4])
    #expect(
      sample.targets.map(\.target) == [
        Target(row: 1, token: 3, temperature: 0.5, kept: [3, 9]), Target(row: 2, token: 4, temperature: 0.5),
        Target(row: 5, token: 7, temperature: 0.5, kept: [7, 8]),
      ])
  }

  @Test(
    arguments: [
      ([.model], [2, 3, 6]), ([.model, .hint], [2, 3, 5, 6]), ([.tool], [4]),
      // Nothing precedes the first token.
      ([.prompt, .model], [1, 2, 3, 6]),
    ] as [([Author], [Int])])
  func examplesAreTrainedOnTheChosenAuthors(authors: [Author], places: [Int]) {
    let example = TrainingExample(episode(), authors: authors)
    #expect(example.tokens == episode().tokens)
    #expect(example.trained.indices.filter { example.trained[$0] } == places)
  }

  @Test func onlyTheAssistantsWordsAreTrainedOn() throws {
    let loaded = try LoadedModel.make(configuration(), valueHead: nil, pool: WorkerPool(threadCount: 1))
    var prompt = Configuration.Prompt()
    prompt.template = .chatml
    let folder = try ScratchFolder()
    try folder.write(
      """
      {"prompt": "2+2?", "response": "4"}
      {"prompt": "2+2?", "segments": [{"author": "model", "text": "Let me see."}, {"author": "tool", "text": "no"}, \
      {"author": "hint", "text": " So"}, {"author": "model", "text": " 4."}]}
      {"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}, \
      {"role": "user", "content": "3+3?"}, {"role": "assistant", "content": "6"}]}

      """, "examples.jsonl")
    let examples = try TrainingExamples(
      builder: try PromptBuilder(loaded, settings: prompt, python: nil), tokenizer: loaded.tokenizer,
      vocabulary: loaded.model.configuration.vocabularySize, contextLength: 512, authors: [.model]
    ).read([folder.path + "/examples.jsonl"])
    let trained = examples.map { loaded.tokenizer.decode(zip($0.tokens, $0.trained).filter(\.1).map(\.0)) }
    #expect(trained == ["4<|im_end|>", "Let me see. 4.<|im_end|>", "4<|im_end|>6<|im_end|>"])
    #expect(examples.allSatisfy { loaded.tokenizer.decode($0.tokens).hasPrefix("<|im_start|>user\n2+2?<|im_end|>\n") })
  }

  @Test func numbersGoToTheTokensTheyBelongTo() {
    #expect(LearningSample(episode(), group: 0).spread([1, 2, 3]) == [1, 2, 0, 0, 3])
  }

  @Test func whatCannotBeScoredHasNoSayInASuccessRate() {
    let verdicts: [Verdict] = [.correct, .timeout, .incorrect, .ungradable]
    var episodes = verdicts.indices.map { episode(sample: $0) }
    for (index, verdict) in verdicts.enumerated() { episodes[index].verdict = verdict }
    #expect(EpisodeSource.successRates(episodes) == ["a": 0.5])
  }

  /// A factor of one half is half the weight, in losses token by token and in those of whole responses.
  @Test(arguments: [LossKind.grpo, .gspo]) func correctionsWeighTheLoss(kind: LossKind) throws {
    func gradient(weight: Double, correction: Double?) throws -> [Float] {
      var configuration = Configuration()
      configuration.matmul = .exact
      configuration.loss.kind = kind
      let learner = learner(configuration)
      var sample = LearningSample(episode(sample: 1), group: 0)
      sample.advantages = [1, 1, 1, 1, 1]
      sample.corrections = correction.map { [Double](repeating: $0, count: 5) }
      _ = try learner.update([sample], weights: [weight], totalSteps: 1)
      return Array(learner.gradients[0..<learner.gradients.count])
    }
    let half = try gradient(weight: 0.5, correction: nil)
    #expect(half.allSatisfy { $0.isFinite } && half.contains { $0 != 0 })
    #expect(try gradient(weight: 1, correction: 0.5) == half)
  }

  @Test func everyOrderOfThreeComesUp() {
    let items = DataOrder(count: 3, seed: 5).items(from: 0, count: 600)
    let orders = Set(stride(from: 0, to: 600, by: 3).map { Array(items[$0..<$0 + 3]) })
    #expect(orders.count == 6)
  }

  private func learner(_ configuration: Configuration, valueHead: Bool = false) -> Learner {
    var shape = Self.shape(valueHead: valueHead)
    shape.vocabularySize = 37
    let model = LanguageModel(configuration: shape)
    model.initialize(seed: 4)
    return Learner(model: model, configuration: configuration, pool: WorkerPool(threadCount: 1))
  }

  @Test(arguments: [1, 2, 3, 4, 7]) func everySampleFallsToOneShard(shards: Int) throws {
    var configuration = Configuration()
    configuration.gradientShards = shards
    configuration.sharePrompts = false
    var samples = LearningSample.samples((0..<5).map { episode(sample: $0) })
    for index in samples.indices { samples[index].advantages = [1, 1, 1, 1, 1] }
    let result = try learner(configuration).update(samples, weights: [1, 1, 1, 1, 1], totalSteps: 1)
    #expect(result.tokens == 35 && result.metrics.tokens == 15)
    #expect(result.logProbs.map { $0?.count } == [3, 3, 3, 3, 3])
  }

  /// The gradient of the value head; it begins at 0, so all values are 0.
  private func valueGradient(weight: Double) throws -> [Float] {
    var configuration = Configuration()
    configuration.matmul = .exact
    configuration.loss.advantage = .gae
    let learner = learner(configuration, valueHead: true)
    var sample = LearningSample(episode(), group: 0)
    sample.policy.values = [Float](repeating: 0, count: 5)
    sample.returns = [0.5, -0.25, .nan, .nan, 1]
    _ = try learner.update([sample], weights: [weight], totalSteps: 1)
    return Array(learner.gradients[try #require(learner.model.table["value_head.weight"]).range])
  }

  @Test func theCriticLearnsByTheTokensWeight() throws {
    let gradient = try valueGradient(weight: 0.25)
    #expect(gradient.allSatisfy { $0.isFinite } && gradient.contains { $0 != 0 })
    #expect(try valueGradient(weight: 0.5) == gradient.map { $0 * 2 })
  }

  /// Random weights, and the tokenizer of the demo.
  private func configuration() -> Configuration {
    var configuration = Configuration()
    configuration.newModel = .init(tokenizer: TrainProgram.root + "/configs/demo", shape: Self.shape())
    configuration.steps = 1
    return configuration
  }

  /// The first update of two sampled episodes, whose stored log-probs are those of the weights but for `change`.
  /// - Returns: the tokens of each that were in the loss.
  @discardableResult
  private func firstUpdate(
    _ groups: Configuration.Groups = .init(), _ change: (inout [Episode]) -> Void
  ) throws -> [Int] {
    let folder = try ScratchFolder()
    var configuration = configuration()
    configuration.groups = groups
    let run = try TrainingRun(
      configuration, folder: RunFolder(folder.path + "/run", resume: false), context: StageContext(threads: 2))
    var episodes = [episode(), episode(sample: 1, reward: 0)]
    let found = Learner.score(LearningSample.samples(episodes), pass: run.learner.pass, microBatchTokens: 64).logProbs
    for (index, logProbs) in found.enumerated() {
      for (place, logProb) in zip([2, 3, 6], logProbs) { episodes[index].logProbs[place] = logProb }
    }
    change(&episodes)
    let update = try PolicyUpdate(run)
    let batch = update.batch(episodes, isOnPolicy: true)
    _ = try update.learn(batch, totalSteps: 1)
    return batch.samples.map(\.policy.tokenCount)
  }

  @Test func cutOffResponsesAreTakenOutWhereAskedFor() throws {
    #expect(try firstUpdate { $0[1].finish = .length } == [3, 3])
    var groups = Configuration.Groups()
    groups.maskTruncated = true
    #expect(try firstUpdate(groups) { $0[1].finish = .length } == [3, 0])
  }

  /// Nothing could score the greedy answer of the first problem: its group leaves the loss, and the other is learnt
  /// from.
  @Test func anUngradableGreedyAnswerTakesItsGroupOut() throws {
    let folder = try ScratchFolder()
    var configuration = configuration()
    configuration.loss.advantage = .remax
    let run = try TrainingRun(
      configuration, folder: RunFolder(folder.path + "/run", resume: false), context: StageContext(threads: 2))
    var episodes = [episode(), episode(sample: 1)]
    episodes[1].id = "b"
    let update = try PolicyUpdate(run)
    let batch = update.batch(episodes, isOnPolicy: false, greedyRewards: ["a": .nan, "b": 0.5])
    let (updates, samples) = (try update.learn(batch, totalSteps: 1), batch.samples)
    #expect(samples.map(\.policy.tokenCount) == [0, 3])
    #expect(samples.map { $0.advantages.contains { $0 != 0 } } == [false, true])
    #expect(updates.count == 1 && updates[0].gradientNorm.isFinite && updates[0].gradientNorm > 0)
    #expect(updates[0].metrics.loss.isFinite)
    let weights = run.loaded.model.weights
    #expect(weights[0..<weights.count].allSatisfy { $0.isFinite })
  }

  @Test func aLogProbThatIsNotTheTrainersIsAnError() throws {
    try firstUpdate { _ in }
    for (index, place) in [(0, 2), (1, 6)] {
      let error = #expect(throws: MartletError.self) {
        try firstUpdate { $0[index].logProbs[place] = $0[index].logProbs[place]?.nextUp }
      }
      #expect(error?.message.contains("sample \(index), token \(place)") == true, "\(error?.message ?? "")")
    }
  }
}
