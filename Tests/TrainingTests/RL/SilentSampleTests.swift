import PPO
import Tensor
import Testing
import Transformer

@testable import Training

/// Responses that nothing is learnt from are left out of an update, and no weight shows it.
@Suite struct SilentSampleTests {
  private static func shape(valueHead: Bool) -> ModelConfiguration {
    var shape = ModelConfiguration(
      architecture: .qwen2, hiddenSize: 24, intermediateSize: 40, layerCount: 2,
      heads: .init(4, keyValue: 2, width: 6), vocabularySize: 37, contextLength: 64)
    shape.valueHead = valueHead
    return shape
  }

  /// Four groups of three responses. The rewards of the second and the last group are equal, and a response of the
  /// first is masked: seven of the twelve are silent where only rewards teach.
  private func samples(_ loss: LossSettings) -> [LearningSample] {
    var random = CounterRandom(seed: 9, path: [1])
    var samples = (0..<12).map { index -> LearningSample in
      let length = 6 + Int(random.next() % 17)
      let mask = (2..<length).map { $0 % 4 != 3 }
      func numbers(_ center: Double) -> [Float] { mask.map { _ in Float(center + 0.3 * random.normal()) } }
      var policy = PolicySample(
        group: index / 3, reward: index / 3 % 2 == 0 ? Double((index % 3) * (index % 3)) : 1, responseMask: mask,
        oldLogProbs: numbers(-3.6), refLogProbs: numbers(-3.6),
        values: loss.advantage.requiresValues ? numbers(0) : nil)
      if loss.advantage == .distillation { policy.teacherLogProbs = numbers(-3.6) }
      if index == 2 { policy.leaveLoss() }
      return LearningSample(
        tokens: (0..<length).map { _ in Int32(random.next() % 37) }, responseStart: 2, policy: policy, advantages: [],
        temperature: 0.8)
    }
    let advantages = loss.advantages(PolicyBatch(samples.map(\.policy)))
    for index in samples.indices {
      samples[index].advantages = advantages.perToken[index]
      samples[index].returns = advantages.returns?[index]
    }
    return samples
  }

  private struct Outcome {
    /// Weights and moments, as bits.
    var state: [UInt32] = []
    var updates: [UpdateResult] = []
  }

  /// Two updates on the same samples.
  private func outcome(_ loss: LossSettings, shards: Int, skips: Bool) throws -> Outcome {
    var configuration = Configuration()
    configuration.matmul = .exact
    configuration.loss = loss
    configuration.gradientShards = shards
    configuration.microBatchTokens = 40
    configuration.optimizer.learningRate = 1e-2
    let model = LanguageModel(configuration: Self.shape(valueHead: loss.advantage.requiresValues))
    model.initialize(seed: 4)
    let learner = Learner(model: model, configuration: configuration, pool: WorkerPool(threadCount: 2))
    learner.skipsSilent = skips
    let batch = samples(loss)
    let weights = loss.aggregation.weights(batch.map(\.policy), length: loss.aggregationLength)
    var outcome = Outcome()
    for _ in 0..<2 { outcome.updates.append(try learner.update(batch, weights: weights, totalSteps: 2)) }
    for buffer in [model.weights] + learner.optimizer.stateBuffers {
      outcome.state += buffer[0..<buffer.count].map(\.bitPattern)
    }
    return outcome
  }

  /// Compares with the update that leaves nothing out.
  /// - Parameter silent: how many of the twelve responses must be left out.
  private func expectSame(_ name: String, silent: Int, shards: Int = 1, _ change: (inout LossSettings) -> Void) throws {
    var loss = LossSettings()
    change(&loss)
    let (short, whole) = (
      try outcome(loss, shards: shards, skips: true), try outcome(loss, shards: shards, skips: false)
    )
    #expect(short.state == whole.state, "\(name): weights or moments differ")
    for (one, other) in zip(short.updates, whole.updates) {
      #expect(one.skipped == silent && other.skipped == 0, "\(name): \(one.skipped) were left out")
      #expect(one.tokens < other.tokens, "\(name)")
      #expect(one.metrics.loss == other.metrics.loss && one.metrics.tokens == other.metrics.tokens, "\(name)")
      #expect(one.gradientNorm == other.gradientNorm && one.valueLoss == other.valueLoss, "\(name)")
    }
  }

  @Test(arguments: [LossKind.grpo, .gspo, .gspoToken, .cispo, .sapo, .gmpo, .reinforce, .vespo])
  func lossesOfTheAdvantageAlone(kind: LossKind) throws {
    try expectSame("\(kind)", silent: 7) { $0.kind = kind }
  }

  @Test(arguments: [AdvantageKind.grpoBatch, .drGRPO, .rloo, .opo, .maxRL, .gpg])
  func advantages(kind: AdvantageKind) throws {
    try expectSame("\(kind)", silent: 7) { $0.advantage = kind }
  }

  @Test(arguments: Aggregation.allCases) func aggregations(kind: Aggregation) throws {
    try expectSame("\(kind)", silent: 7) { ($0.aggregation, $0.aggregationLength) = (kind, 20) }
  }

  /// The last shard of five has silent responses alone.
  @Test(arguments: [2, 3, 5]) func shards(count: Int) throws {
    try expectSame("\(count) shards", silent: 7, shards: count) { _ in }
  }

  /// Where something else acts on a response, only the masked one is left out.
  @Test func whatElseActsKeepsAResponse() throws {
    try expectSame("kl", silent: 1) { ($0.kl, $0.klCoef) = (.k3, 0.1) }
    try expectSame("entropy", silent: 1) { $0.entropyCoef = 0.1 }
    try expectSame("critic", silent: 1) { $0.advantage = .gae }
    try expectSame("dro", silent: 1) { $0.kind = .dro }
    try expectSame("dppo", silent: 1) { $0.kind = .dppo }
    try expectSame("distillation", silent: 1) { $0.advantage = .distillation }
  }

  /// Figures of responses that did not go through the model are the sampler's.
  @Test func figuresComeFromTheRecord() throws {
    let (short, whole) = (
      try outcome(LossSettings(), shards: 1, skips: true), try outcome(LossSettings(), shards: 1, skips: false)
    )
    let batch = samples(LossSettings())
    var (entropy, count) = (0.0, 0)
    for (sample, found) in zip(batch, short.updates[0].logProbs) where found == nil {
      for token in sample.policy.responseMask.indices where sample.policy.responseMask[token] {
        entropy -= Double(sample.policy.oldLogProbs[token])
        count += 1
      }
    }
    let seen = short.updates[0].metrics
    #expect(count == seen.unseenTokens && count > 30)
    // The entropies of the others, from the update that saw all of them.
    let learner = try score(batch.filter { sample in sample.advantages.contains { $0 != 0 } })
    let expected = (entropy + learner.entropy * Double(learner.tokens)) / Double(seen.tokens)
    #expect(abs(seen.entropy - expected) < 1e-6)
    #expect(seen.ratioMax == learner.ratioMax && abs(seen.approxKL3 - learner.approxKL3) < 1e-9)
    #expect(whole.updates[0].metrics.unseenTokens == 0)
  }

  /// The figures of an update on `batch` alone.
  private func score(_ batch: [LearningSample]) throws -> PolicyMetrics {
    let model = LanguageModel(configuration: Self.shape(valueHead: false))
    model.initialize(seed: 4)
    var configuration = Configuration()
    configuration.matmul = .exact
    let learner = Learner(model: model, configuration: configuration, pool: WorkerPool(threadCount: 1))
    return try learner.update(batch, weights: batch.map { _ in 1 }, totalSteps: 1).metrics
  }

  @Test func anUpdateWithoutASignalChangesNothing() throws {
    let model = LanguageModel(configuration: Self.shape(valueHead: false))
    model.initialize(seed: 4)
    let before = Array(model.weights[0..<model.weights.count])
    let learner = Learner(model: model, configuration: Configuration(), pool: WorkerPool(threadCount: 1))
    var batch = Array(samples(LossSettings())[3..<6])
    var done: [Int] = []
    learner.onMicroBatch = { done.append($0) }
    let result = try learner.update(batch, weights: [1, 1, 1], totalSteps: 1)
    #expect(result.skipped == 3 && result.tokens == 0 && result.gradientNorm == 0 && done == [3])
    #expect(result.metrics.ratioMax == 1 && result.metrics.ratioMean == 1 && result.metrics.approxKL3 == 0)
    #expect(Array(model.weights[0..<model.weights.count]) == before)
    batch[1].advantages = batch[1].policy.responseMask.map { $0 ? 1 : 0 }
    #expect(try learner.update(batch, weights: [1, 1, 1], totalSteps: 1).skipped == 2)
  }

  /// Log-probs of a reference stand at their own samples, though the masked ones are not scored.
  @Test func maskedResponsesAreNotScored() throws {
    let model = LanguageModel(configuration: Self.shape(valueHead: false))
    model.initialize(seed: 4)
    let pass = TrainingPass(model: model, gradients: nil, matmul: .exact, pool: WorkerPool(threadCount: 1))
    var batch = samples(LossSettings())
    let all = Learner.score(batch, pass: pass, microBatchTokens: 40).logProbs
    #expect(all[2].isEmpty && all.count { !$0.isEmpty } == 11)
    batch[5].policy.leaveLoss()
    var expected = all
    expected[5] = []
    #expect(Learner.score(batch, pass: pass, microBatchTokens: 40).logProbs == expected)
  }
}
