import Foundation
import Tensor
import Testing

@testable import Transformer

/// The reverse KL to a teacher over its likeliest tokens and the rest.
@Suite struct TeacherDivergenceTests {
  private struct Case: Decodable {
    let name: String
    let own, teacher: [Float]
    let k, target: Int
    let temperature, c_logprob, c_entropy, c_kl: Float
    let places: [Int32]
    let teacher_logprobs: [Double]
    let teacher_rest: Double?
    let kl: Double
    let gradient: [Float]
  }
  private struct Cases: Decodable { let cases: [Case] }

  private let cases: [Case]

  init() throws {
    let url = Bundle.module.url(forResource: "teacher", withExtension: "json", subdirectory: "Fixtures")
    cases = try JSONDecoder().decode(Cases.self, from: Data(contentsOf: try #require(url))).cases
  }

  /// The view of a row over the temperature, at given places or at its largest.
  private func view(
    _ row: FloatBuffer, _ temperature: Float, places: [Int32]? = nil, k: Int = 0
  ) -> (view: TopLogProbs, statistics: RowStatistics) {
    divideRow(row.pointer, count: row.count, by: temperature)
    let statistics = rowStatistics(row.pointer, count: row.count)
    let before = Array(row[0..<row.count])
    let places = places ?? TopLogProbs.largest(k, of: row.pointer, count: row.count)
    let view = TopLogProbs(at: places, of: row.pointer, count: row.count, statistics)
    #expect(Array(row[0..<row.count]) == before)
    return (view, statistics)
  }

  private func buffer(_ values: [Float]) -> FloatBuffer {
    let buffer = FloatBuffer(count: values.count)
    for (index, value) in values.enumerated() { buffer.pointer[index] = value }
    return buffer
  }

  @Test func viewsDivergencesAndGradientsMatchAutograd() {
    #expect(cases.count == 11)
    for c in cases {
      let teacher = view(buffer(c.teacher), c.temperature, k: c.k).view
      #expect(teacher.places == c.places, "\(c.name)")
      #expect(largestError(teacher.logProbs, c.teacher_logprobs, scale: 1) < 2e-6, "\(c.name)")
      if let rest = c.teacher_rest {
        #expect(abs(Double(teacher.rest) - rest) < 4e-6 * max(1, abs(rest)), "\(c.name)")
      } else {
        #expect(teacher.rest == -.infinity, "\(c.name)")
      }

      let row = buffer(c.own)
      let (own, statistics) = view(row, c.temperature, places: teacher.places)
      let divergence = BucketDivergence(own, teacher)
      #expect(abs(divergence.value - c.kl) < 4e-6 * max(1, abs(c.kl)), "\(c.name): \(divergence.value), \(c.kl)")
      TeacherPull(divergence: divergence, places: own.places, coefficient: c.c_kl).backward(
        row.pointer, count: row.count, target: c.target, statistics: statistics,
        coefficients: TargetCoefficients(logProb: c.c_logprob, entropy: c.c_entropy), temperature: c.temperature)
      // Relative to the row's largest element.
      let largest = c.gradient.map(abs).max() ?? 0
      for (place, (found, expected)) in zip(row[0..<row.count], c.gradient).enumerated() {
        #expect(abs(found - expected) < 4e-6 * max(largest, 0.25), "\(c.name) [\(place)]: \(found), \(expected)")
      }
    }
  }

  /// The KL over all tokens is what the drawn token's term is on average: sum_a p_a (log p_a - log q_a) times the
  /// gradient of log p_a. Through the whole model, filtered and not.
  @Test(arguments: [false, true]) func allTokensTogetherAreTheExpectationOverDraws(filtered: Bool) {
    let c = RandomModels.configuration(.qwen2)
    let (model, teacher) = (RandomModels.model(c, seed: 61), RandomModels.model(c, seed: 62))
    let (V, pool) = (c.vocabularySize, WorkerPool(threadCount: 2))
    var random = CounterRandom(seed: 63, path: [])
    let batch = PackedTokens([RandomModels.tokens(9, vocabulary: V, random: &random)])
    let kept: [Int32]? = filtered ? (0..<Int32(V)).filter { $0 % 3 != 1 } : nil
    let ids = kept ?? (0..<Int32(V)).map { $0 }
    func target(_ token: Int32) -> Target { Target(row: 7, token: token, temperature: 0.8, kept: kept) }
    func gradient(_ targets: [Target], _ coefficients: [Float]) -> (TargetScores, [Float]) {
      let gradients = FloatBuffer(count: model.table.count)
      let pass = TrainingPass(model: model, gradients: gradients, matmul: .exact, pool: pool)
      pass.forward(batch)
      let scores = pass.scoreAndBackpropagate(targets) { range, _, _ in
        range.map { TargetCoefficients(logProb: coefficients[$0]) }
      }
      pass.backward()
      pass.finishGradients()
      return (scores, Array(gradients[0..<gradients.count]))
    }
    let teaching = TrainingPass(model: teacher, gradients: nil, matmul: .exact, pool: pool)
    teaching.forward(batch)
    var asked = target(ids[4])
    asked.likeliest = V
    let view = teaching.score([asked]).likeliest[0]
    #expect(view.places == (0..<Int32(ids.count)).map { $0 } && view.rest == -.infinity)

    let (own, _) = gradient(ids.map(target), ids.map { _ in 0 })
    let ratios = zip(own.logProbs, view.logProbs).map { Double($0) - Double($1) }
    let probabilities = own.logProbs.map { Mathematics.exp(Double($0)) }
    let (_, expected) = gradient(ids.map(target), zip(probabilities, ratios).map { Float($0 * $1) })
    var taught = target(ids[4])
    taught.teacher = Target.Teacher(view, coefficient: 1)
    let (scores, found) = gradient([taught], [0])
    #expect(abs(scores.divergences[0] - zip(probabilities, ratios).reduce(0) { $0 + $1.0 * $1.1 }) < 1e-5)
    #expect(scores.divergences[0] > 0.1)
    let largest = expected.map(abs).max() ?? 0
    #expect(largest > 0.01 && zip(found, expected).allSatisfy { abs($0 - $1) < 2e-5 * largest })
  }

  /// More tokens with a bucket of their own never make it smaller, up to the KL over all.
  @Test func theDivergenceGrowsWithTheTokens() {
    for c in cases where c.k < c.own.count {
      let values = [1, 3, c.k, c.k + 2, c.own.count].sorted().map { k in
        let teacher = view(buffer(c.teacher), c.temperature, k: k).view
        return BucketDivergence(view(buffer(c.own), c.temperature, places: teacher.places).view, teacher).value
      }
      #expect(zip(values, values.dropFirst()).allSatisfy { $0 <= $1 + 1e-6 } && values[0] >= -1e-6, "\(c.name)")
    }
  }

  /// Ids beyond the student's head are never named; their probability is among the rest.
  @Test func aLargerHeadNamesNothingTheStudentLacks() {
    let c = RandomModels.configuration(.llama)
    let pass = TrainingPass(
      model: RandomModels.model(c, seed: 64), gradients: nil, matmul: .exact, pool: WorkerPool(threadCount: 1))
    pass.forward(PackedTokens([[1, 2, 3, 4]]))
    var target = Target(row: 2, token: 4)
    target.likeliest = c.vocabularySize
    target.likeliestBelow = c.vocabularySize - 5
    let view = pass.score([target]).likeliest[0]
    #expect(view.places == (0..<Int32(c.vocabularySize - 5)).map { $0 } && view.rest.isFinite)
    let sum = (view.logProbs + [view.rest]).reduce(0) { $0 + Mathematics.exp(Double($1)) }
    #expect(abs(sum - 1) < 1e-5)
  }
}
