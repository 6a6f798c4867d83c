import Tensor
import Testing
import Transformer

/// More targets, rows and words than one piece of work takes.
@Suite struct HeadPiecesTests {
  private func bits(_ buffer: FloatBuffer) -> [UInt32] {
    // Adding +0 makes both zeros the same.
    buffer[0..<buffer.count].map { ($0 + 0).bitPattern }
  }

  @Test func targetsOfTwoChunksEqualTheirParts() {
    let c = RandomModels.configuration(.llama, vocabulary: 23)
    let model = RandomModels.model(c, seed: 41)
    var random = CounterRandom(seed: 42, path: [])
    let batch = PackedTokens([RandomModels.tokens(40, vocabulary: 23, random: &random)])
    let targets = (0..<5000).map {
      Target(row: $0 * 7 % 40, token: Int32($0 % 23), temperature: 0.5 + Float($0 % 5) / 4)
    }
    let coefficients = RandomModels.coefficients(targets.count, random: &random)
    func run(_ parts: [Range<Int>]) -> (logProbs: [Float], gradients: [UInt32]) {
      let gradients = FloatBuffer(count: model.table.count)
      let pass = TrainingPass(model: model, gradients: gradients, matmul: .exact, pool: WorkerPool(threadCount: 2))
      pass.forward(batch)
      let logProbs = parts.flatMap { part in
        pass.scoreAndBackpropagate(Array(targets[part])) { range, _, _ in
          range.map { coefficients[part.lowerBound + $0] }
        }.logProbs
      }
      pass.backward()
      pass.finishGradients()
      return (logProbs, bits(gradients))
    }
    let whole = run([0..<5000])
    let parts = run([0..<3000, 3000..<5000])
    #expect(allFinite(whole.logProbs) && Set(whole.gradients).count > 1000)
    #expect(whole.logProbs == parts.logProbs)
    #expect(whole.gradients == parts.gradients)
  }

  @Test func gradientsThatWereGivenUpStayAway() {
    let c = RandomModels.configuration(.qwen2)
    let model = RandomModels.model(c, seed: 43)
    var random = CounterRandom(seed: 44, path: [])
    let (first, firstTargets) = RandomModels.batch(lengths: [9], vocabulary: c.vocabularySize, random: &random)
    let (second, targets) = RandomModels.batch(lengths: [12], vocabulary: c.vocabularySize, random: &random)
    func gradients(after start: (TrainingPass) -> Void) -> [UInt32] {
      let gradients = FloatBuffer(count: model.table.count)
      let pass = TrainingPass(model: model, gradients: gradients, matmul: .exact, pool: WorkerPool(threadCount: 1))
      start(pass)
      pass.weightsChanged()
      gradients.zero()
      pass.forward(second)
      pass.scoreAndBackpropagate(targets) { range, _, _ in range.map { _ in TargetCoefficients(logProb: 1) } }
      pass.backward()
      pass.finishGradients()
      return bits(gradients)
    }
    let alone = gradients { _ in }
    let again = gradients { pass in
      pass.forward(first)
      pass.scoreAndBackpropagate(firstTargets) { range, _, _ in range.map { _ in TargetCoefficients(logProb: 1) } }
      pass.backward()
      pass.discardGradients()
    }
    #expect(Set(alone).count > 100 && again == alone)
  }

  /// Log-probs of the tokens that follow the wanting rows, read in the given parts.
  private func read(_ rows: [SamplingPass.Row], parts: [Range<Int>], _ model: LanguageModel) -> [Float] {
    let sampler = SamplingPass(model: model, pool: WorkerPool(threadCount: 2), slotCount: 3, capacity: 150)
    let V = sampler.vocabularySize
    let found = FloatBuffer(count: rows.count)
    for part in parts {
      sampler.run(Array(rows[part])) { index, logits in
        let row = part.lowerBound + index
        found.pointer[row] = logProbability(logits, count: V, index: (row * 31 + 5) % V)
      }
    }
    return Array(found[0..<rows.count])
  }

  @Test func rowsBehindTheFirst256HaveTheirOwnLogits() {
    let c = RandomModels.configuration(.qwen3)
    let model = RandomModels.model(c, seed: 45)
    var random = CounterRandom(seed: 46, path: [])
    let rows = (0..<3).flatMap { slot in
      RandomModels.tokens(130, vocabulary: c.vocabularySize, random: &random).enumerated().map {
        SamplingPass.Row(slot: slot, token: $1, position: $0, wantsLogits: $0 % 3 == 1)
      }
    }
    let together = read(rows, parts: [0..<390], model)
    #expect(allFinite(together) && Set(together).count > 100)
    #expect(together == read(rows, parts: [0..<130, 130..<260, 260..<390], model))
  }

  /// So many words that the logits of 130 rows are made in two pieces.
  @Test func aLargeVocabularysLogitsComeInPieces() {
    let model = RandomModels.model(
      ModelConfiguration(
        architecture: .llama, hiddenSize: 8, intermediateSize: 8, layerCount: 1, heads: .init(1, width: 4),
        vocabularySize: 150_000, contextLength: 160, tiedHead: true), seed: 47)
    var random = CounterRandom(seed: 48, path: [])
    let rows = RandomModels.tokens(130, vocabulary: 150_000, random: &random).enumerated().map {
      SamplingPass.Row(slot: 0, token: $1, position: $0, wantsLogits: true)
    }
    let together = read(rows, parts: [0..<130], model)
    #expect(allFinite(together) && Set(together).count > 100)
    #expect(together == read(rows, parts: [0..<70, 70..<130], model))
  }
}
