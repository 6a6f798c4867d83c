import Foundation
import PPO
import Tensor
import Testing
import Transformer

@testable import Cluster
@testable import Training

/// The contract's promises about training, on a tiny model.
@Suite struct LearnerTests {
  private static let shape = ModelConfiguration(
    architecture: .qwen2, hiddenSize: 24, intermediateSize: 40, layerCount: 2, heads: .init(4, keyValue: 2, width: 6),
    vocabularySize: 37, contextLength: 64)

  private func samples(_ count: Int, old: Bool) -> [LearningSample] {
    var random = CounterRandom(seed: 9, path: [1])
    return (0..<count).map { index in
      let length = 5 + Int(random.next() % 17)
      let tokens = (0..<length).map { _ in Int32(random.next() % 37) }
      let start = 2
      let mask = (start..<length).map { $0 % 4 != 3 }
      let advantage = random.normal()
      return LearningSample(
        tokens: tokens, responseStart: start,
        policy: PolicySample(
          group: index / 2, reward: advantage, responseMask: mask,
          oldLogProbs: mask.map { _ in old ? Float(-3.6 + 0.3 * random.normal()) : 0 }),
        advantages: mask.map { $0 ? advantage : 0 }, temperature: 0.8)
    }
  }

  /// Four responses each to prompts of 11 tokens.
  private func groups() -> [LearningSample] {
    let samples = samples(12, old: true)
    return samples.indices.map { index in
      var sample = samples[index]
      let prompt = samples[index / 4 * 4].tokens + samples[(index / 4 * 4 + 5) % 12].tokens + [3, 4, 5, 6, 7]
      sample.responseStart = 11
      sample.tokens = Array(prompt[..<11]) + sample.tokens[2...]
      return sample
    }
  }

  /// What one step of SGD changed, and the log-probs before it.
  private func step(
    sharing: Bool, budget: Int, threads: Int = 2, matmul: MatmulMode = .mixed
  ) throws -> (change: [Float], result: UpdateResult) {
    var configuration = Configuration()
    configuration.microBatchTokens = budget
    configuration.sharePrompts = sharing
    configuration.matmul = matmul
    configuration.optimizer.kind = .sgd
    configuration.optimizer.learningRate = 1
    configuration.optimizer.maxGradNorm = 0
    let model = LanguageModel(configuration: Self.shape)
    model.initialize(seed: 4)
    let before = Array(model.weights[0..<model.weights.count])
    let learner = Learner(model: model, configuration: configuration, pool: WorkerPool(threadCount: threads))
    let batch = groups()
    let weights = configuration.loss.aggregation.weights(batch.map(\.policy))
    let result = try learner.update(batch, weights: weights, totalSteps: 1)
    return (zip(model.weights[0..<model.weights.count], before).map { $0 - $1 }, result)
  }

  @Test func sharedPromptsGiveTheSameUpdateWithFewerTokens() throws {
    let plain = try step(sharing: false, budget: 1000)
    let total = groups().reduce(0) { $0 + $1.tokens.count }
    #expect(plain.result.tokens == total)
    let largest = plain.change.reduce(0) { max($0, abs($1)) }
    for (budget, tokens) in [(1000, total - 9 * 10), (1, total)] {
      let shared = try step(sharing: true, budget: budget)
      #expect(shared.result.tokens == tokens)
      #expect(shared.result.logProbs == plain.result.logProbs)
      let worst = zip(shared.change, plain.change).reduce(0) { max($0, abs($1.0 - $1.1)) }
      #expect(worst < 1e-5 * largest && largest > 1e-3, "\(worst) beside \(largest)")
      let alike = try step(sharing: true, budget: budget, threads: 3).change == shared.change
      #expect(alike)
    }
    #expect(try step(sharing: true, budget: 1000, matmul: .exact).result.tokens == total)
    // Prompts that two passes read: as many rows as fit, counted as they are packed.
    let (lengths, shared) = (groups().map(\.tokens.count), Learner.sharedCounts(groups()))
    #expect(shared == [0, 10, 10, 10, 0, 10, 10, 10, 0, 10, 10, 10])
    let batches = Learner.microBatches(lengths, shared: shared, 0..<12, budget: 60)
    #expect(batches.count < Learner.microBatches(lengths, 0..<12, budget: 60).count)
    for batch in batches {
      let samples = groups()[batch]
      #expect(PackedTokens(samples.map(\.tokens), prefixLengths: samples.map(\.prefixLength)).tokens.count <= 60)
    }
    #expect(batches.flatMap { Array($0) } == Array(0..<12))
  }

  /// Weights after two updates.
  private func trained(
    matmul: MatmulMode, threads: Int, budget: Int, shards: Int = 1, ranks: Int = 1, kind: LossKind = .grpo
  ) throws -> [Float] {
    var configuration = Configuration()
    configuration.matmul = matmul
    configuration.microBatchTokens = budget
    configuration.gradientShards = shards
    configuration.ranks = ranks
    configuration.loss.kind = kind
    configuration.loss.aggregation = kind == .gspo ? .seqMeanTokenMean : .tokenMean
    configuration.optimizer.learningRate = 1e-2
    let pool = WorkerPool(threadCount: threads)
    let model = LanguageModel(configuration: Self.shape)
    model.initialize(seed: 4)
    let learner = Learner(model: model, configuration: configuration, pool: pool)
    for _ in 0..<2 {
      let batch = samples(9, old: true)
      let weights = configuration.loss.aggregation.weights(batch.map(\.policy))
      _ = try learner.update(batch, weights: weights, totalSteps: 2)
    }
    return Array(model.weights[0..<model.weights.count])
  }

  @Test(arguments: [MatmulMode.mixed, .exact]) func threadsDoNotMatter(matmul: MatmulMode) throws {
    let one = try trained(matmul: matmul, threads: 1, budget: 64)
    for threads in [2, 3, 8] { #expect(try trained(matmul: matmul, threads: threads, budget: 64) == one) }
  }

  @Test(arguments: [LossKind.grpo, .gspo]) func microBatchesDoNotMatterWhenExact(kind: LossKind) throws {
    let whole = try trained(matmul: .exact, threads: 2, budget: 10_000, kind: kind)
    for budget in [1, 30, 64] {
      #expect(try trained(matmul: .exact, threads: 2, budget: budget, kind: kind) == whole)
    }
  }

  @Test func shardsAreAddedAsATree() throws {
    let one = try trained(matmul: .exact, threads: 2, budget: 64, shards: 1)
    let four = try trained(matmul: .exact, threads: 2, budget: 64, shards: 4)
    #expect(try trained(matmul: .exact, threads: 1, budget: 17, shards: 4) == four)
    #expect(zip(one, four).allSatisfy { abs($0 - $1) < 1e-3 })
    #expect(one != four)
  }

  @Test(arguments: [MatmulMode.mixed, .exact]) func ranksDoNotMatter(matmul: MatmulMode) throws {
    let one = try trained(matmul: matmul, threads: 2, budget: 64, shards: 4)
    for ranks in [2, 3, 4] {
      #expect(try trained(matmul: matmul, threads: 2, budget: 64, shards: 4, ranks: ranks) == one)
    }
  }

  /// The tree over six parts is ((0 + 1) + (2 + 3)) + (4 + 5), over five without the last, however many ranks add them.
  @Test(arguments: [5, 6]) func treeOrder(count: Int) {
    let parts: [Float] = [1e8, 1, -1e8, 3, 0.25, 7]
    let four = (parts[0] + parts[1]) + (parts[2] + parts[3])
    let expected = four + (count == 5 ? parts[4] : parts[4] + parts[5])
    #expect(expected != parts[..<count].reduce(0, +))
    let buffer = FloatBuffer(count: 1)
    for ranks in 1...count {
      let cluster = VirtualCluster(size: ranks)
      let spare = SpareBuffers()
      for _ in 0..<2 {  // the second time with used buffers
        let trees = cluster.ranks.map { rank in
          var tree = GradientTree(count: 1, spare: spare)
          for index in cluster.parts(of: rank, count: count) {
            buffer[0] = parts[index]
            tree.push(buffer, index: index)
            #expect(buffer[0] == 0)
          }
          return tree
        }
        cluster.sum(trees, into: buffer)
        #expect(buffer[0] == expected, "\(ranks) ranks")
      }
    }
  }

  /// A masked token is not in the loss: changing its stored log-prob changes nothing, changing a trained one does.
  @Test func maskedTokensAreNotTrainedOn() throws {
    func weights(_ change: (inout [LearningSample]) -> Void) throws -> [Float] {
      var configuration = Configuration()
      configuration.matmul = .exact
      let model = LanguageModel(configuration: Self.shape)
      model.initialize(seed: 4)
      let learner = Learner(model: model, configuration: configuration, pool: WorkerPool(threadCount: 1))
      var batch = samples(4, old: true)
      change(&batch)
      _ = try learner.update(batch, weights: [1, 1, 1, 1], totalSteps: 1)
      return Array(model.weights[0..<model.weights.count])
    }
    let plain = try weights { _ in }
    let masked = try weights { batch in
      for index in batch.indices {
        for t in batch[index].policy.responseMask.indices where !batch[index].policy.responseMask[t] {
          batch[index].policy.oldLogProbs[t] = .nan
          batch[index].advantages[t] = 1e9
        }
      }
    }
    #expect(masked == plain)
    let trained = try weights { batch in
      let t = batch[0].policy.responseMask.firstIndex(of: true)!
      batch[0].advantages[t] += 1
    }
    #expect(trained != plain)
  }

  /// A small model learns as fast with moments in 8 bits.
  @Test func momentsInEightBitsLearnAsWell() throws {
    func losses(_ state: OptimizerState) throws -> [Double] {
      var configuration = Configuration()
      configuration.loss.kind = .sft
      configuration.optimizer = OptimizerSettings(learningRate: 3e-3, warmupSteps: 5, state: state)
      let model = LanguageModel(configuration: Self.shape)
      model.initialize(seed: 4)
      let learner = Learner(model: model, configuration: configuration, pool: WorkerPool(threadCount: 2))
      let batch = samples(16, old: false)
      let weights = Aggregation.tokenMean.weights(batch.map(\.policy))
      return try (0..<150).map { _ in
        try learner.update(batch, weights: weights, totalSteps: 150).metrics.loss
      }
    }
    let (plain, eight) = (try losses(.float32), try losses(.eightBit))
    // The first step's moments come from zeros, which need no code.
    #expect(plain[0] == eight[0] && plain[1] == eight[1] && plain[2] != eight[2])
    for step in [10, 20, 50, 100, 149] { #expect(abs(eight[step] / plain[step] - 1) < 0.1, "step \(step)") }
    #expect(plain[149] < 0.03)
  }

  @Test func aValueHeadIsFitted() throws {
    var shape = Self.shape
    shape.valueHead = true
    var configuration = Configuration()
    configuration.loss.advantage = .gae
    configuration.loss.valueCoef = 1
    configuration.optimizer.learningRate = 3e-3
    let model = LanguageModel(configuration: shape)
    model.initialize(seed: 4)
    let learner = Learner(model: model, configuration: configuration, pool: WorkerPool(threadCount: 2))
    var losses: [Double] = []
    for _ in 0..<30 {
      var batch = samples(4, old: true)
      for index in batch.indices {
        batch[index].policy.values = batch[index].policy.responseMask.map { _ in 0 }
        batch[index].returns = batch[index].policy.responseMask.map { _ in 0.15 }
        batch[index].advantages = batch[index].policy.responseMask.map { _ in 0 }
      }
      let weights = Aggregation.tokenMean.weights(batch.map(\.policy))
      losses.append(try learner.update(batch, weights: weights, totalSteps: 30).valueLoss)
    }
    #expect(losses[29] < losses[0] / 10)
  }
}
