import PPO
import Rollout
import Tensor
import Testing
import Transformer

@testable import Training

/// ECHO: what tools returned is learnt beside the policy's loss.
@Suite struct ObservationLossTests {
  private static let shape = ModelConfiguration(
    architecture: .qwen2, hiddenSize: 24, intermediateSize: 40, layerCount: 2, heads: .init(4, keyValue: 2, width: 6),
    vocabularySize: 37, contextLength: 64)

  /// Six responses: two tokens of the prompt, then three of the model, two of a tool, one of a hint, and more of the
  /// model. A filter kept few ids where the model drew, and the tool's are not among them.
  private func samples(_ change: (inout Episode) -> Void = { _ in }) -> [LearningSample] {
    var random = CounterRandom(seed: 3, path: [1])
    var samples = (0..<6).map { number -> LearningSample in
      let rest = 1 + number * 2
      let count = 8 + rest
      var episode = Episode(
        id: "p\(number / 3)", sample: number % 3, tokens: (0..<count).map { _ in Int32(random.next() % 37) },
        authors: [
          .init(author: .prompt, count: 2), .init(author: .model, count: 3), .init(author: .tool, count: 2),
          .init(author: .hint, count: 1), .init(author: .model, count: rest),
        ], logProbs: [])
      let authors = episode.authorsByToken
      episode.logProbs = authors.map { $0 == .model ? Float(-3 + 0.3 * random.normal()) : nil }
      episode.kept = zip(authors, episode.tokens).map { author, token in
        author == .model ? Set([2, 11, token, 30]).sorted() : nil
      }
      episode.sampling = .init(temperature: 0.5)
      episode.reward = .init(total: Double(number * number))
      change(&episode)
      return LearningSample(episode, group: number / 3)
    }
    let advantages = LossSettings().advantages(PolicyBatch(samples.map(\.policy)))
    for index in samples.indices { samples[index].advantages = advantages.perToken[index] }
    return samples
  }

  private struct Outcome {
    var gradient: [Float]
    var result: UpdateResult
  }

  private func update(
    _ batch: [LearningSample], kind: LossKind = .grpo, coefficient: Double = 0, weight: Double = 0.125,
    budget: Int = 1000, shards: Int = 1
  ) throws -> Outcome {
    var configuration = Configuration()
    configuration.matmul = .exact
    configuration.loss.kind = kind
    configuration.loss.observationCoef = coefficient
    configuration.microBatchTokens = budget
    configuration.gradientShards = shards
    let model = LanguageModel(configuration: Self.shape)
    model.initialize(seed: 4)
    let learner = Learner(model: model, configuration: configuration, pool: WorkerPool(threadCount: 2))
    let result = try learner.update(batch, weights: batch.map { _ in weight }, totalSteps: 1)
    return Outcome(gradient: Array(learner.gradients[0..<learner.gradients.count]), result: result)
  }

  /// The samples with the tool's tokens alone in the loss, as supervised training would have them.
  private func supervised() -> [LearningSample] {
    samples().map { sample in
      var sample = sample
      for place in sample.policy.responseMask.indices {
        sample.policy.responseMask[place] = sample.observations.contains(place)
      }
      (sample.temperature, sample.kept, sample.observations) = (1, nil, [])
      return sample
    }
  }

  /// Without advantages the gradient is that of supervised training on the tools' tokens, each with the weight
  /// 0.25 / 12: two in each of six responses.
  @Test(arguments: [LossKind.grpo, .gspo]) func aloneItIsCrossEntropy(kind: LossKind) throws {
    var batch = samples()
    #expect(batch.allSatisfy { $0.observations == [3, 4] })
    for index in batch.indices { batch[index].advantages = batch[index].advantages.map { _ in 0 } }
    let expected = try update(supervised(), kind: .sft, weight: 0.25 / 12)
    #expect(expected.gradient.contains { $0 != 0 })
    for budget in [1, 30, 1000] {
      let found = try update(batch, kind: kind, coefficient: 0.25, budget: budget)
      #expect(found.gradient == expected.gradient, "micro-batches of \(budget)")
      let mean = expected.result.metrics.loss / 0.25
      #expect(abs((found.result.observationLoss ?? 0) - mean) < 1e-12 && mean > 1)
      #expect(found.result.skipped == 0 && found.result.metrics.loss == 0)
      #expect(found.result.logProbs.map { $0?.count } == batch.map(\.policy.tokenCount))
    }
    #expect(try update(batch, kind: kind).result.skipped == 6)
  }

  /// The gradients of both parts add up.
  @Test(arguments: [LossKind.grpo, .gspo]) func itIsAddedToThePolicysLoss(kind: LossKind) throws {
    let policy = try update(samples(), kind: kind)
    let tools = try update(supervised(), kind: .sft, weight: 0.25 / 12)
    let both = try update(samples(), kind: kind, coefficient: 0.25, shards: 3)
    let largest = both.gradient.reduce(0) { max($0, abs($1)) }
    let worst = both.gradient.indices.reduce(Float(0)) { worst, index in
      max(worst, abs(both.gradient[index] - policy.gradient[index] - tools.gradient[index]))
    }
    #expect(worst < 1e-5 * largest, "\(worst) beside \(largest)")
    #expect(both.result.metrics == policy.result.metrics && policy.result.observationLoss == nil)
    #expect(both.gradient != policy.gradient)
  }

  /// A response that left the policy's loss still shows what its code came to; a sandbox that failed shows nothing.
  @Test func whichOutputsCount() throws {
    var batch = samples()
    for index in batch.indices { batch[index].policy.leaveLoss() }
    let found = try update(batch, coefficient: 0.25)
    #expect(found.gradient == (try update(supervised(), kind: .sft, weight: 0.25 / 12)).gradient)
    let call = Episode.Call(code: "", status: .sandboxError, detail: "", output: "", ms: 0)
    #expect(samples { $0.calls = [call] }.allSatisfy { $0.observations.isEmpty })
  }
}
