import PPO
import Tensor
import Training
import Transformer

/// The measurements that train.
extension ModelBench {
  /// Tokens a second of a fine-tuning step: forward, backward and AdamW over packed sequences. `train_blas` gives up
  /// the numeric contract.
  /// - Parameters:
  ///   - adapters: adapters to train instead of the weights.
  ///   - length: tokens of a sequence.
  ///   - tokens: tokens of the batch; nil: `--tokens`, else 4,096, or 1,024 for a model that needs minutes for 4,096.
  func train(
    _ name: String, _ matmul: MatmulMode, adapters: LowRankAdapters? = nil, length: Int = 128, tokens: Int? = nil
  ) throws -> Benchmark.Result {
    let model = try adapters.map { try self.model.adapted($0, seed: 0) } ?? self.model
    let count = tokens ?? sizes.tokens ?? (scale.parameterCount < 50_000_000 ? 4096 : 1024)
    let length = min(length, count, model.configuration.contextLength)
    let gradients = FloatBuffer(count: model.table.trainable.count)
    let pass = TrainingPass(model: model, gradients: gradients, matmul: matmul, pool: pool)
    let timer = profiler?.timer
    pass.timer = timer
    let optimizer = Optimizer(settings: OptimizerSettings(learningRate: 1e-6), parameterCount: gradients.count)
    let batch = PackedTokens(
      stride(from: 0, to: count, by: length).map { start in (start..<min(start + length, count)).map(token) })
    // Each row but the last of its sequence predicts the next row's token.
    let targets = batch.sequences.flatMap { sequence in
      sequence.rows.dropLast().map { Target(row: $0, token: batch.tokens[$0 + 1]) }
    }
    let coefficient = TargetCoefficients(logProb: -1 / Float(targets.count))
    let taken = try seconds(name, repeats: 5) {
      gradients.zero()
      pass.forward(batch)
      pass.scoreAndBackpropagate(targets) { range, _, _ in range.map { _ in coefficient } }
      pass.backward()
      pass.finishGradients()
      timer?.begin(.optimizer)
      _ = try optimizer.update(weights: model.trainableWeights, gradients: gradients, totalSteps: 1000, pool: pool)
      timer?.begin(.other)
      pass.weightsChanged()
    }
    // Without dW two thirds of the operations are left.
    let each = (adapters == nil ? 3 : 2) * (scale.forwardOperations(contextLength: length / 2) + scale.headOperations)
    return Benchmark.Result(name, Double(batch.tokens.count) / taken, "tokens/s", limit: flops / each)
  }

  /// Seconds of a GRPO step without tools: `prompts` prompts, `samples` responses to each, one update of all weights.
  func grpoStep() throws -> Benchmark.Result {
    let (prompts, samples) = (sizes.prompts, sizes.samples)
    let (prompt, length) = sizes.lengths(.grpoStep, context: model.configuration.contextLength)
    var configuration = Configuration()
    configuration.optimizer.learningRate = 1e-6
    configuration.loss.kind = .grpo
    configuration.loss.advantage = .grpo
    let learner = Learner(model: model, configuration: configuration, pool: pool)
    let pass = SamplingPass(
      model: model, pool: pool, slotCount: prompts * samples, capacity: prompt + length,
      packedStorage: learner.gradients, matmul: configuration.matmul)
    learner.timer = profiler?.timer
    pass.timer = profiler?.timer
    let loss = configuration.loss
    let taken = try seconds("grpo_step", repeats: 5) {
      pass.weightsChanged()
      var batch = sample(pass, prompts: prompts, samples: samples, prompt: prompt, length: length)
      let advantages = loss.advantages(PolicyBatch(batch.map(\.policy)))
      for index in batch.indices { batch[index].advantages = advantages.perToken[index] }
      let weights = loss.aggregation.weights(batch.map(\.policy), length: loss.aggregationLength)
      _ = try learner.update(batch, weights: weights, totalSteps: 1000)
    }
    return Benchmark.Result("grpo_step", taken, "s", limit: grpoLimit(prompt: prompt, length: length))
  }

  /// The operations: each prompt is read and trained on once for its group; drawn tokens are decoded and trained on.
  private func grpoLimit(prompt: Int, length: Int) -> Double {
    let rows = Double(sizes.prompts * sizes.samples)
    let read = Double(sizes.prompts * prompt) * scale.forwardOperations(contextLength: prompt / 2)
    let step = rows * (scale.forwardOperations(contextLength: prompt + length / 2) + scale.headOperations)
    let drawing = Double(length) * slower(operations: step, bytes: scale.packedBytes)
    let drawn = rows * Double(length)
    let trained = drawn * (scale.forwardOperations(contextLength: prompt + length / 2) + scale.headOperations)
    return read / flops + drawing + 3 * (read + trained) / flops
  }

  /// Groups of `samples` responses, each `length` tokens after its group's prompt. Every other response is right.
  private func sample(
    _ pass: SamplingPass, prompts: Int, samples: Int, prompt: Int, length: Int
  ) -> [LearningSample] {
    let V = model.configuration.vocabularySize
    let rows = prompts * samples
    var tokens = (0..<rows).map { row in (0..<prompt).map { token(row / samples * prompt + $0) } }
    var logProbs = [[Float]](repeating: [], count: rows)
    for first in stride(from: 0, to: rows, by: samples) {
      pass.run(
        (0..<prompt - 1).map {
          SamplingPass.Row(slot: first, token: tokens[first][$0], position: $0, wantsLogits: false)
        },
        consume: { _, _ in })
      for slot in first + 1..<first + samples { pass.copyCache(from: first, to: slot, length: prompt - 1) }
    }
    var draws = [Draw?](repeating: nil, count: rows)
    for position in prompt - 1..<prompt + length - 1 {
      draws.withUnsafeMutableBufferPointer { draws in
        pass.run(
          (0..<rows).map {
            SamplingPass.Row(slot: $0, token: tokens[$0][position], position: position, wantsLogits: true)
          }
        ) { row, logits in
          var random = CounterRandom(seed: 1, path: [UInt64(row), UInt64(position)])
          draws[row] = draw(logits, count: V, settings: SamplingSettings(), uniform: random.uniform())
        }
      }
      for (row, draw) in draws.enumerated() {
        guard let draw else { continue }
        tokens[row].append(draw.token)
        logProbs[row].append(draw.logProb)
      }
    }
    return (0..<rows).map { row in
      LearningSample(
        tokens: tokens[row], responseStart: prompt,
        policy: PolicySample(
          group: row / samples, reward: Double(row % 2), responseMask: [Bool](repeating: true, count: length),
          oldLogProbs: logProbs[row]),
        advantages: [])
    }
  }
}
