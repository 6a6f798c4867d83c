import PPO
import Tensor
import Transformer

/// GRPO without files, tools or text: a decoder of random weights learns to say one token, for which it is rewarded.
@main
struct ToyGRPO {
  static let favourite: Int32 = 3
  static let (prompts, samples, length, steps) = (4, 8, 8, 30)

  let pool = WorkerPool()
  let model: LanguageModel
  let gradients: FloatBuffer
  let sampling: SamplingPass
  let training: TrainingPass
  let optimizer: Optimizer

  init() {
    let configuration = ModelConfiguration(
      architecture: .llama, hiddenSize: 32, intermediateSize: 64, layerCount: 2, heads: .init(2), vocabularySize: 16,
      contextLength: 32)
    model = LanguageModel(configuration: configuration)
    model.initialize(seed: 0, pool: pool)
    gradients = FloatBuffer(count: model.table.trainable.count)
    sampling = SamplingPass(model: model, pool: pool, slotCount: Self.prompts * Self.samples, capacity: 32)
    training = TrainingPass(model: model, gradients: gradients, matmul: .exact, pool: pool)
    optimizer = Optimizer(settings: .init(learningRate: 1e-2), parameterCount: gradients.count)
  }

  static func main() throws {
    let toy = ToyGRPO()
    var rewards: [Double] = []
    for step in 0..<steps {
      rewards.append(try toy.step(step))
      if step % 5 == 0 || step == steps - 1 { print("step \(step): mean reward \(rewards[step])") }
    }
    precondition(rewards[steps - 1] > rewards[0] + 0.5, "nothing was learned")
  }

  /// Samples, rewards, advantages, one update.
  /// - Returns: the mean reward.
  func step(_ step: Int) throws -> Double {
    let responses = sample(step)
    let batch = PolicyBatch(
      responses.enumerated().map { index, response in
        let hits = response.tokens.count { $0 == Self.favourite }
        return PolicySample(
          group: index / Self.samples, reward: Double(hits) / Double(Self.length),
          responseMask: response.tokens.map { _ in true }, oldLogProbs: response.logProbs)
      })
    let advantages = GRPOAdvantage().advantages(batch)
    let weights = Aggregation.tokenMean.weights(batch.samples)

    gradients.zero()
    let packed = PackedTokens(responses.enumerated().map { [Int32($0 / Self.samples)] + $1.tokens })
    training.forward(packed)
    // The row of a position predicts the token behind it.
    let targets = responses.enumerated().flatMap { index, response in
      response.tokens.enumerated().map { Target(row: packed.row(index, $0), token: $1) }
    }
    training.scoreAndBackpropagate(targets) { range, logProbs, _ in
      range.map { target in
        let (index, t) = target.quotientAndRemainder(dividingBy: Self.length)
        let old = responses[index].logProbs[t]
        precondition(logProbs[target].bitPattern == old.bitPattern, "the trainer's log-prob is not the sampler's")
        let loss = ClipLoss().token(
          logProb: Double(logProbs[target]), oldLogProb: Double(old), advantage: advantages.perToken[index][t])
        return TargetCoefficients(logProb: Float(weights[index] * loss.dLogProb))
      }
    }
    training.backward()
    training.finishGradients()
    _ = try optimizer.update(
      weights: model.trainableWeights, gradients: gradients, totalSteps: Self.steps, pool: pool)
    training.weightsChanged()
    sampling.weightsChanged()
    return batch.samples.map(\.reward).reduce(0, +) / Double(batch.samples.count)
  }

  /// All responses, token by token. The prompt of a group is its number.
  private func sample(_ step: Int) -> [(tokens: [Int32], logProbs: [Float])] {
    let count = Self.prompts * Self.samples
    var responses = [(tokens: [Int32], logProbs: [Float])](repeating: ([], []), count: count)
    for position in 0..<Self.length {
      let rows = (0..<count).map { slot in
        SamplingPass.Row(
          slot: slot, token: responses[slot].tokens.last ?? Int32(slot / Self.samples), position: position,
          wantsLogits: true)
      }
      let draws = UnsafeMutableBufferPointer<Draw>.allocate(capacity: count)
      defer { draws.deallocate() }
      sampling.run(rows) { row, logits in
        var random = CounterRandom(seed: 1, path: [UInt64(step), UInt64(row), UInt64(position)])
        let drawn = draw(
          logits, count: sampling.vocabularySize, settings: SamplingSettings(), uniform: random.uniform())
        draws.initializeElement(at: row, to: drawn)
      }
      for slot in 0..<count {
        responses[slot].tokens.append(draws[slot].token)
        responses[slot].logProbs.append(draws[slot].logProb)
      }
    }
    return responses
  }
}
