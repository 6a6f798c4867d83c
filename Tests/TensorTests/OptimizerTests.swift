import Foundation
import Support
import Tensor
import Testing

@Suite struct OptimizerTests {
  struct Fixture: Decodable {
    struct Step: Decodable {
      let gradient: [Float]
      let norm: Double
      let rate: Double
      let weights: [Float]
    }
    struct Case: Decodable {
      let kind: OptimizerKind
      let schedule: LearningRateSchedule
      let max_grad_norm, learning_rate, weight_decay, eps: Double
      let warmup_steps: Int
      let betas: [Double]
      let start: [Float]
      let steps: [Step]

      var settings: OptimizerSettings {
        var settings = OptimizerSettings(
          kind: kind, learningRate: learning_rate, betas: betas, weightDecay: weight_decay,
          maxGradNorm: max_grad_norm, warmupSteps: warmup_steps, schedule: schedule)
        settings.eps = eps
        return settings
      }
    }
    struct Orthogonal: Decodable {
      let rows, columns: Int
      let matrix, result: [Float]
    }
    let cases: [Case]
    let orthogonal: [Orthogonal]

    static func load() throws -> Fixture {
      let url = Bundle.module.url(forResource: "Fixtures/optimizer", withExtension: "json")!
      return try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: url))
    }
  }

  static func buffer(_ values: [Float]) -> FloatBuffer {
    let buffer = FloatBuffer(count: values.count)
    buffer.pointer.update(from: values, count: values.count)
    return buffer
  }

  static func array(_ buffer: FloatBuffer) -> [Float] { Array(buffer[0..<buffer.count]) }

  /// Every weight after every step within three units in the last place of PyTorch's, a step's own rounding.
  @Test(arguments: 0..<4) func tenStepsFollowPyTorch(index: Int) throws {
    let fixture = try Fixture.load().cases[index]
    let weights = OptimizerTests.buffer(fixture.start)
    let optimizer = Optimizer(settings: fixture.settings, parameterCount: weights.count)
    let pool = WorkerPool(threadCount: 2)
    #expect(fixture.steps.count == 10)
    for (number, step) in fixture.steps.enumerated() {
      let before = OptimizerTests.array(weights)
      let done = try optimizer.update(
        weights: weights, gradients: OptimizerTests.buffer(step.gradient), totalSteps: 10, pool: pool)
      #expect(optimizer.step == number + 1)
      #expect(abs(done.gradientNorm - step.norm) <= 1e-6 * step.norm)
      #expect(abs(done.learningRate - step.rate) <= 1e-15)
      let expected = step.weights
      let result = OptimizerTests.array(weights)
      #expect(result != before)
      for (w, e) in zip(result, expected) {
        #expect(w.isFinite && abs(w - e) <= max(abs(e), 0.01) * 4e-7 * Float(number + 1), "step \(number + 1)")
      }
    }
  }

  /// The naive twin: the formulas of the paper's algorithm 2 in fp64, one element at a time.
  @Test func adamWIsItsAlgorithmAtAnyLengthAndThreadCount() throws {
    let count = 65_536 * 2 + 77
    let settings = OptimizerSettings(learningRate: 0.01, betas: [0.9, 0.99], weightDecay: 0.1, maxGradNorm: 2)
    let start = randomFloats(count, 41)
    let decayed = [3..<500, 65_000..<66_000, 70_000..<70_001, 131_072..<count]
    let isDecayed = { (index: Int) in decayed.contains { $0.contains(index) } }
    var (w, m, v) = (
      start.map(Double.init), [Double](repeating: 0, count: count), [Double](repeating: 0, count: count)
    )
    var results: [[UInt32]] = []
    for threads in [1, 2, 3, 8] {
      let weights = OptimizerTests.buffer(start)
      let optimizer = Optimizer(settings: settings, parameterCount: count, decayed: decayed.reversed())
      let pool = WorkerPool(threadCount: threads)
      for step in 1...3 {
        let gradient = randomFloats(count, 42, UInt64(step))
        let done = try optimizer.update(
          weights: weights, gradients: OptimizerTests.buffer(gradient), totalSteps: 3, pool: pool)
        guard threads == 1 else { continue }
        let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        #expect(abs(done.gradientNorm - norm) < 1e-12 * norm)
        for index in 0..<count {
          let g = Double(gradient[index]) * 2 / (norm + 1e-6)
          if isDecayed(index) { w[index] *= 1 - 0.01 * 0.1 }
          m[index] = 0.9 * m[index] + 0.1 * g
          v[index] = 0.99 * v[index] + 0.01 * g * g
          let (mHat, vHat) = (m[index] / (1 - pow(0.9, Double(step))), v[index] / (1 - pow(0.99, Double(step))))
          w[index] -= 0.01 * mHat / (vHat.squareRoot() + 1e-8)
        }
      }
      if threads == 1 {
        let worst = (0..<count).max { abs(Double(weights[$0]) - w[$0]) < abs(Double(weights[$1]) - w[$1]) }!
        #expect(abs(Double(weights[worst]) - w[worst]) < 1e-6, "element \(worst)")
      }
      results.append(bits(OptimizerTests.array(weights)))
      results.append(bits(OptimizerTests.array(optimizer.firstMoment!)))
      results.append(bits(OptimizerTests.array(optimizer.secondMoment!)))
    }
    for index in 3..<results.count { #expect(results[index] == results[index % 3]) }
  }

  @Test func aBadNormLeavesEverythingAsItWas() throws {
    for bad in [Float.nan, .infinity] {
      let weights = OptimizerTests.buffer([1, 2, 3])
      let optimizer = Optimizer(settings: OptimizerSettings(), parameterCount: 3)
      let pool = WorkerPool(threadCount: 1)
      #expect(throws: MartletError.self) {
        try optimizer.update(
          weights: weights, gradients: OptimizerTests.buffer([0, bad, 1]), totalSteps: 1, pool: pool)
      }
      #expect(optimizer.step == 0)
      #expect(OptimizerTests.array(weights) == [1, 2, 3])
      #expect(OptimizerTests.array(optimizer.firstMoment!) == [0, 0, 0])
    }
  }

  @Test func shortGradientsAreNotScaled() throws {
    let settings = OptimizerSettings(kind: .sgd, learningRate: 1, maxGradNorm: 10)
    let weights = OptimizerTests.buffer([0, 0])
    let optimizer = Optimizer(settings: settings, parameterCount: 2)
    let done = try optimizer.update(
      weights: weights, gradients: OptimizerTests.buffer([3, -4]), totalSteps: 1, pool: WorkerPool(threadCount: 1))
    #expect(done.gradientNorm == 5)
    #expect(OptimizerTests.array(weights) == [-3, 4])
  }

  @Test func schedulesStartAndEndWhereTheySay() {
    var settings = OptimizerSettings(learningRate: 2, warmupSteps: 4, schedule: .cosine)
    settings.minLearningRateRatio = 0.1
    #expect((1...4).map { settings.learningRate(step: $0, of: 14) } == [0.5, 1, 1.5, 2])
    #expect(settings.learningRate(step: 5, of: 14) == 2)
    #expect(abs(settings.learningRate(step: 10, of: 14) - 1.1) < 1e-15)
    #expect(abs(settings.learningRate(step: 15, of: 14) - 0.2) < 1e-15)
    #expect(abs(settings.learningRate(step: 99, of: 14) - 0.2) < 1e-15)
    settings.schedule = .linear
    #expect(abs(settings.learningRate(step: 10, of: 14) - 1.1) < 1e-15)
    #expect(settings.learningRate(step: 14, of: 14) > 0.2)
    settings.schedule = .constant
    #expect(settings.learningRate(step: 14, of: 14) == 2)
  }

  @Test func settingsAreReadFromSnakeCaseKeysAndChecked() throws {
    let text = """
      {"kind": "sgd", "learning_rate": 0.5, "betas": [0.8, 0.9], "eps": 1e-6, "weight_decay": 0.1, "max_grad_norm": 0,
       "warmup_steps": 7, "schedule": "linear", "min_learning_rate_ratio": 0.25, "state": "fp32"}
      """
    let settings = try JSONDecoder().decode(OptimizerSettings.self, from: Data(text.utf8))
    var expected = OptimizerSettings(
      kind: .sgd, learningRate: 0.5, betas: [0.8, 0.9], weightDecay: 0.1, maxGradNorm: 0, warmupSteps: 7,
      schedule: .linear)
    expected.eps = 1e-6
    expected.minLearningRateRatio = 0.25
    #expect(settings == expected)
    #expect(try JSONDecoder().decode(OptimizerSettings.self, from: JSONEncoder().encode(settings)) == settings)
    try settings.validate()
    var bad = settings
    bad.betas = [0.9]
    #expect(
      throws: MartletError(
        .configuration, "optimizer.betas: [0.9] is not possible; it must be two numbers from 0 up to below 1")
    ) {
      try bad.validate()
    }
    bad = settings
    bad.learningRate = -1
    #expect(throws: MartletError.self) { try bad.validate() }
  }
}
