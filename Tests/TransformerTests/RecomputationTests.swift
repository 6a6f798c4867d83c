import Tensor
import Testing

@testable import Transformer

/// Layers that are run again in the backward pass.
@Suite struct RecomputationTests {
  private static func configuration(
    _ architecture: ModelConfiguration.Architecture, adapters: LowRankAdapters?
  ) -> ModelConfiguration {
    var configuration = RandomModels.configuration(architecture)
    configuration.layerCount = 4
    configuration.adapters = adapters
    return configuration
  }

  /// Gradients and scores of three micro-batches, the largest in the middle.
  private func results(
    _ model: LanguageModel, matmul: MatmulMode, recomputes: Bool, threads: Int
  ) -> (gradients: [UInt32], scores: [Float]) {
    let gradients = FloatBuffer(count: model.table.trainable.count)
    let pass = TrainingPass(
      model: model, gradients: gradients, matmul: matmul, recomputes: recomputes,
      pool: WorkerPool(threadCount: threads))
    var random = CounterRandom(seed: 8, path: [])
    var scores: [Float] = []
    for lengths in [[3, 9], [70, 1, 40], [17]] {
      let (batch, targets) = RandomModels.batch(lengths: lengths, vocabulary: 41, random: &random)
      pass.forward(batch)
      let found = pass.scoreAndBackpropagate(targets) { range, _, _ in
        RandomModels.coefficients(range.count, random: &random)
      }
      scores += found.logProbs + found.entropies
      pass.backpropagateValues(rows: [0, 2], dValues: [0.5, -1])
      pass.backward()
    }
    pass.finishGradients()
    return (gradients[0..<gradients.count].map(\.bitPattern), scores)
  }

  @Test(
    arguments: RandomModels.architectures,
    [nil, LowRankAdapters(rank: 3, alpha: 5, targets: [.query, .value, .up, .down])])
  func gradientsAreTheSameBits(architecture: ModelConfiguration.Architecture, adapters: LowRankAdapters?) {
    let model = RandomModels.model(Self.configuration(architecture, adapters: adapters), seed: 6)
    for matmul in [MatmulMode.exact, .mixed] {
      let kept = results(model, matmul: matmul, recomputes: false, threads: 2)
      for threads in [1, 3] {
        let again = results(model, matmul: matmul, recomputes: true, threads: threads)
        let isEqual = again.gradients == kept.gradients && again.scores == kept.scores
        #expect(isEqual)
      }
      #expect(kept.gradients.contains { $0 != 0 })
    }
  }

  /// Of all layers but one only the input is held.
  @Test(arguments: RandomModels.architectures)
  func onlyInputsAreHeld(architecture: ModelConfiguration.Architecture) {
    let configuration = Self.configuration(architecture, adapters: nil)
    let scale = ModelScale(configuration)
    let layer = LayerActivations.floatCount(configuration, rows: 512)
    let saved = 3 * (layer - 512 * configuration.hiddenSize) * 4
    #expect(
      scale.trainingBytes(rows: 512, targets: 0) - scale.trainingBytes(rows: 512, targets: 0, recomputes: true) == saved
    )
    #expect(scale.activationBytesPerToken() - scale.activationBytesPerToken(recomputes: true) == saved / 512)
  }
}
