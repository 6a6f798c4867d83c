import Tensor
import Testing
import Transformer

/// Against transformers in fp64.
@Suite struct DecoderFixtureTests {
  @Test(arguments: DecoderFixture.names)
  func scoresEqualTransformers(name: String) throws {
    let (fixture, model) = try DecoderFixture.load(name)
    let pool = WorkerPool(threadCount: 2)
    for mode in MatmulMode.allCases {
      let pass = TrainingPass(model: model, gradients: nil, matmul: mode, pool: pool)
      pass.forward(fixture.batch)
      let scores = pass.score(fixture.modelTargets)
      #expect(largestError(scores.logProbs, DecoderFixture.doubles(fixture.logprobs), scale: 1) < 1e-5)
      #expect(largestError(scores.entropies, DecoderFixture.doubles(fixture.entropies), scale: 1) < 1e-5)
      let values = pass.values(rows: Array(fixture.tokens.indices))
      #expect(largestError(values, DecoderFixture.doubles(fixture.values), scale: 1) < 1e-5)
    }
  }

  @Test(arguments: DecoderFixture.names, MatmulMode.allCases)
  func gradientsEqualTransformers(name: String, mode: MatmulMode) throws {
    let (fixture, model) = try DecoderFixture.load(name)
    let gradients = FloatBuffer(count: model.table.count)
    let pass = TrainingPass(
      model: model, gradients: gradients, matmul: mode, pool: WorkerPool(threadCount: 2))
    func run() {
      pass.forward(fixture.batch)
      pass.scoreAndBackpropagate(fixture.modelTargets) { range, logProbs, entropies in
        #expect(logProbs.indices == range)
        #expect(entropies.indices == range)
        return range.map { TargetCoefficients(logProb: fixture.c_logprob[$0], entropy: fixture.c_entropy[$0]) }
      }
      pass.backpropagateValues(rows: Array(fixture.tokens.indices), dValues: fixture.c_value)
      pass.backward()
    }
    run()
    pass.finishGradients()
    for parameter in model.table.parameters {
      let expected = DecoderFixture.floats(try #require(fixture.gradients[parameter.name])).map(Double.init)
      let found = Array(gradients[parameter.range])
      // Relative to the element, and to the typical element where one is nearly 0.
      let typical = norm(expected) / Double(expected.count).squareRoot()
      #expect(typical > 0)
      #expect(largestError(found, expected, scale: typical) < 2e-4, "\(parameter.name)")
    }

    // Gradients are added: twice the same batch doubles them.
    let once = Array(gradients[0..<gradients.count])
    run()
    pass.finishGradients()
    let twice = Array(gradients[0..<gradients.count])
    #expect(largestError(twice, once.map { 2 * Double($0) }, scale: 0.1) < 1e-4)
  }
}
