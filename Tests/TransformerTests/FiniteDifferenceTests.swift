import Tensor
import Testing
import Transformer

@Suite struct FiniteDifferenceTests {
  /// Along a random direction of every parameter: the gradient against the slope of the fp64 twin.
  @Test(arguments: RandomModels.architectures, [true, false])
  func gradientsAreTheSlopesOfTheLoss(architecture: ModelConfiguration.Architecture, tied: Bool) throws {
    let c = RandomModels.configuration(architecture, tied: tied)
    let model = RandomModels.model(c, seed: 31)
    var random = CounterRandom(seed: 32, path: [])
    let (batch, targets) = RandomModels.batch(lengths: [7, 18], vocabulary: c.vocabularySize, random: &random)
    let coefficients = RandomModels.coefficients(targets.count, random: &random)
    let cValues = batch.tokens.map { _ in Float(random.normal()) }

    let gradients = FloatBuffer(count: model.table.count)
    let pass = TrainingPass(model: model, gradients: gradients, matmul: .exact, pool: WorkerPool(threadCount: 2))
    pass.forward(batch)
    let scores = pass.scoreAndBackpropagate(targets) { range, _, _ in range.map { coefficients[$0] } }
    pass.backpropagateValues(rows: Array(batch.tokens.indices), dValues: cValues)
    pass.backward()
    pass.finishGradients()

    var twin = NaiveDecoder(model)
    #expect(largestError(scores.logProbs, twin.loss(batch, targets, coefficients, cValues).logProbs, scale: 1) < 1e-5)
    let step = 1e-5
    for parameter in model.table.parameters {
      let direction = parameter.range.map { _ in random.normal() }
      func loss(_ side: Double) -> Double {
        let kept = twin.weights
        defer { twin.weights = kept }
        for (index, d) in zip(parameter.range, direction) { twin.weights[index] += side * step * d }
        return twin.loss(batch, targets, coefficients, cValues).loss
      }
      let slope = (loss(1) - loss(-1)) / (2 * step)
      let gradient = gradients[parameter.range].map(Double.init)
      let found = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
      // The direction may be nearly at right angles to the gradient: compare with the gradient's length.
      #expect(found.isFinite)
      #expect(norm(gradient) > 0)
      #expect(abs(found - slope) < 1e-4 * (norm(gradient) + abs(slope)), "\(parameter.name)")
    }
  }

  /// The estimate that `plan` shows counts what a pass takes.
  @Test func theScaleCountsParametersAndActivations() {
    let c = RandomModels.configuration(.llama, tied: false)
    let scale = ModelScale(c)
    #expect(scale.parameterCount == ParameterTable(c).parameters.reduce(0) { $0 + $1.shape.reduce(1, *) })
    #expect(scale.weightBytes == 4 * ParameterTable(c).count)
    // 2 layers: input, middle (28 each), query, attended (40 each), key, value (20 each), statistics (8), gate, up (44
    // each), two scales; beside them final, hidden, dHidden, dStream, normed (28 each), activated (44), one scale, and
    // the gradients of query, key, value, attended.
    let perLayer = 2 * 28 + 2 * 40 + 2 * 20 + 8 + 2 * 44 + 2
    #expect(scale.activationBytesPerToken() == 4 * (2 * perLayer + 5 * 28 + 44 + 1 + 2 * 40 + 2 * 20))
    #expect(scale.cacheBytesPerToken == 4 * 2 * 2 * 20)
    #expect(scale.trainingBytes(rows: 1000, targets: 1000) > 1000 * scale.activationBytesPerToken())
  }
}
