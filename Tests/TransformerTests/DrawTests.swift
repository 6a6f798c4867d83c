import Tensor
import Testing
import Transformer

@Suite struct DrawTests {
  private func row(_ count: Int, spread: Double, random: inout CounterRandom) -> [Float] {
    (0..<count).map { _ in Float(spread * random.normal()) }
  }

  private func draw(_ logits: [Float], _ settings: SamplingSettings, uniform: Double) -> Draw {
    var copy = logits
    return copy.withUnsafeMutableBufferPointer {
      Transformer.draw($0.baseAddress!, count: $0.count, settings: settings, uniform: uniform)
    }
  }

  /// What must be kept, by sorting everything in fp64.
  private func expectedKept(_ logits: [Float], _ settings: SamplingSettings) -> [Int32] {
    let x = logits.map { $0 / settings.temperature }
    var order = x.indices.sorted { x[$0] > x[$1] || (x[$0] == x[$1] && $0 < $1) }
    if settings.topK > 0 { order = Array(order.prefix(settings.topK)) }
    let weights = order.map { Double(exactExp(x[$0] - x[order[0]])) }
    let goal = Double(settings.topP) * weights.reduce(0, +)
    var kept: [Int32] = []
    var reached = 0.0
    for (id, weight) in zip(order, weights) where kept.isEmpty || reached < goal {
      kept.append(Int32(id))
      reached += weight
    }
    return settings.topP < 1 ? kept.sorted() : order.map(Int32.init).sorted()
  }

  @Test(arguments: [1, 5, 16, 300, 5000], [0.5, 3, 12])
  func filtersKeepTheSmallestSet(count: Int, spread: Double) {
    var random = CounterRandom(seed: 21, path: [UInt64(count), UInt64(spread * 2)])
    for settings in [
      SamplingSettings(temperature: 1, topP: 0.9), SamplingSettings(temperature: 0.6, topP: 0.95, topK: 20),
      SamplingSettings(temperature: 1.7, topP: 1, topK: 3), SamplingSettings(temperature: 1, topP: 0.0001),
      SamplingSettings(temperature: 0.3, topP: 0.5, topK: 4000),
    ] {
      let logits = row(count, spread: spread, random: &random)
      let expected = expectedKept(logits, settings)
      let found = draw(logits, settings, uniform: random.uniform())
      #expect(found.kept ?? (0..<Int32(count)).map { $0 } == expected)
      #expect(found.kept == nil || found.kept?.contains(found.token) == true)
    }
  }

  @Test func tiesGoToTheLowerId() {
    let logits: [Float] = [1, 4, 4, 2, 4, 4]
    #expect(draw(logits, SamplingSettings(temperature: 0), uniform: 0).token == 1)
    #expect(draw(logits, SamplingSettings(topK: 2), uniform: 0.9).kept == [1, 2])
    // Each 4 has about 24 %: three of them are needed for 60 %.
    #expect(draw(logits, SamplingSettings(topP: 0.6), uniform: 0.9).kept == [1, 2, 4])
  }

  @Test func theInverseDistributionIsTakenInIdOrder() {
    // Probabilities 1/8, 1/2, 1/8, 1/4.
    let ln2 = exactLog(Float(2))
    let logits: [Float] = [0, 2 * ln2, 0, ln2]
    let bounds = [0.125, 0.625, 0.75, 1.0]
    for step in 0..<1000 {
      let uniform = (Double(step) + 0.5) / 1000
      let expected = bounds.firstIndex { uniform < $0 }!
      #expect(draw(logits, SamplingSettings(), uniform: uniform).token == Int32(expected))
    }
    #expect(draw(logits, SamplingSettings(), uniform: 0).token == 0)
    #expect(draw(logits, SamplingSettings(), uniform: 0x1.fffffffffffffp-1).token == 3)
    // An id's share of [0, 1) begins with its lower bound and ends before the next one's.
    #expect((0..<4).map { draw([1, 1, 1, 1], SamplingSettings(), uniform: Double($0) / 4).token } == [0, 1, 2, 3])
    // A token without mass is never drawn.
    #expect(draw([-200, 0, -200], SamplingSettings(), uniform: 0).token == 1)
    #expect(draw([-200, 0, -.infinity], SamplingSettings(), uniform: 0x1.fffffffffffffp-1).token == 1)
  }

  @Test func frequenciesFollowTheProbabilities() {
    var random = CounterRandom(seed: 22, path: [])
    let logits = row(700, spread: 1.5, random: &random)
    let maximum = logits.max()!
    let weights = logits.map { Double(exactExp(($0 - maximum) / 0.7)) }
    let total = weights.reduce(0, +)
    let draws = 20_000
    var counts = [Int](repeating: 0, count: logits.count)
    for _ in 0..<draws {
      counts[Int(draw(logits, SamplingSettings(temperature: 0.7), uniform: random.uniform()).token)] += 1
    }
    for (count, weight) in zip(counts, weights) {
      let p = weight / total
      let deviation = (Double(draws) * p * (1 - p)).squareRoot()
      #expect(abs(Double(count) - Double(draws) * p) < 5 * deviation + 2)
    }
  }

  @Test func aNumberThatIsNoneGivesNoLogProb() {
    for bad in [Float.nan, .infinity] {
      for settings in [SamplingSettings(), .init(temperature: 0), .init(topP: 0.5), .init(topK: 2)] {
        #expect(draw([1, bad, 3], settings, uniform: 0.5).logProb.isNaN)
      }
    }
  }

  /// The log-prob at the draw has the bits that the trainer gives for the same temperature and kept ids.
  @Test func logProbsEqualTheTrainers() {
    let c = RandomModels.configuration(.qwen2, vocabulary: 300)
    let model = RandomModels.model(c, seed: 23)
    let pool = WorkerPool(threadCount: 2)
    var random = CounterRandom(seed: 24, path: [])
    let sampler = SamplingPass(model: model, pool: pool, slotCount: 1, capacity: 64)
    for settings in [
      SamplingSettings(), .init(temperature: 0.6, topP: 0.95), .init(temperature: 1.3, topP: 0.8, topK: 40),
      .init(temperature: 0), .init(topK: 1),
    ] {
      var tokens: [Int32] = [3]
      var draws: [Draw] = []
      for position in 0..<40 {
        let uniform = random.uniform()
        sampler.run([.init(slot: 0, token: tokens[position], position: position, wantsLogits: true)]) { _, logits in
          draws.append(
            Transformer.draw(logits, count: c.vocabularySize, settings: settings, uniform: uniform))
        }
        tokens.append(draws[position].token)
      }
      let trainer = TrainingPass(model: model, gradients: nil, matmul: .exact, pool: pool)
      trainer.forward(PackedTokens([Array(tokens.dropLast())]))
      let scores = trainer.score(
        draws.indices.map {
          Target(row: $0, token: draws[$0].token, temperature: settings.temperature, kept: draws[$0].kept)
        })
      #expect(allFinite(scores.logProbs))
      #expect(scores.logProbs == draws.map(\.logProb))
      #expect((draws[0].kept == nil) == (settings == SamplingSettings() || settings.temperature == 0))
    }
  }
}
