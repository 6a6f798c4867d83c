import Tensor
import Testing
import Transformer

/// Sequences that begin alike: read once by the sampler, computed once by the trainer, with the bits of each alone.
@Suite struct SharedPrefixTests {
  /// Sequences after the shared prefixes, by family; the last stands alone.
  static let families: [(shared: Int, own: [Int])] = [
    (37, [5, 1, 40, 17]), (16, [3, 20]), (1, [2, 2, 9]), (70, [12]),
  ]

  struct Batch {
    var sequences: [[Int32]] = []
    var prefixLengths: [Int] = []

    init(vocabulary: Int, seed: UInt64) {
      var random = CounterRandom(seed: seed, path: [])
      for family in SharedPrefixTests.families {
        let prefix = RandomModels.tokens(family.shared, vocabulary: vocabulary, random: &random)
        for own in family.own {
          sequences.append(prefix + RandomModels.tokens(own, vocabulary: vocabulary, random: &random))
          prefixLengths.append(family.shared)
        }
      }
    }

    /// Every position of every sequence, asked for a token; of the prefixes' positions too.
    func targets(_ packed: PackedTokens, vocabulary: Int, seed: UInt64) -> [Target] {
      var random = CounterRandom(seed: seed, path: [])
      return sequences.indices.flatMap { index in
        sequences[index].indices.map { position in
          Target(row: packed.row(index, position), token: Int32.random(in: 0..<Int32(vocabulary), using: &random))
        }
      }
    }
  }

  @Test func aPrefixIsLaidDownOnce() {
    let packed = PackedTokens(
      [[1, 2, 3, 4], [1, 2, 3, 5, 6], [1, 2, 7], [8, 9], [8, 9], [1, 2, 3, 4]], prefixLengths: [3, 3, 2, 2, 1, 3])
    #expect(packed.tokens == [1, 2, 3, 4, 5, 6, 1, 2, 7, 8, 9, 8, 9, 1, 2, 3, 4])
    #expect(
      packed.sequences == [
        AttentionSequence(rows: 0..<3), AttentionSequence(rows: 3..<4, prefix: 0..<3),
        AttentionSequence(rows: 4..<6, prefix: 0..<3), AttentionSequence(rows: 6..<9), AttentionSequence(rows: 9..<11),
        AttentionSequence(rows: 11..<13), AttentionSequence(rows: 13..<17),
      ])
    #expect((0..<5).map { packed.row(1, $0) } == [0, 1, 2, 4, 5])
    #expect(packed.row(5, 3) == 16)
    #expect(PackedTokens([[1, 2], [1, 2]]).tokens == [1, 2, 1, 2])
  }

  @Test(arguments: RandomModels.architectures, [1, 3])
  func aSharedPrefixChangesNoBitOfTheForwardPass(architecture: ModelConfiguration.Architecture, threads: Int) {
    let c = RandomModels.configuration(architecture)
    let pass = TrainingPass(
      model: RandomModels.model(c, seed: 3), gradients: nil, matmul: .mixed, pool: WorkerPool(threadCount: threads))
    let batch = Batch(vocabulary: c.vocabularySize, seed: 5)
    func scores(_ packed: PackedTokens) -> TargetScores {
      pass.forward(packed)
      return pass.score(batch.targets(packed, vocabulary: c.vocabularySize, seed: 6))
    }
    let shared = PackedTokens(batch.sequences, prefixLengths: batch.prefixLengths)
    let plain = PackedTokens(batch.sequences)
    #expect(shared.tokens.count == plain.tokens.count - 3 * 37 - 16 - 2)
    let expected = scores(plain)
    #expect(scores(shared) == expected)
    #expect(allFinite(expected.logProbs))
  }

  /// Gradients of all that go on from a prefix meet there; only the order of sums differs.
  @Test(arguments: RandomModels.architectures, [MatmulMode.mixed, .exact])
  func gradientsMeetInThePrefix(architecture: ModelConfiguration.Architecture, matmul: MatmulMode) {
    let c = RandomModels.configuration(architecture)
    let model = RandomModels.model(c, seed: 3)
    let batch = Batch(vocabulary: c.vocabularySize, seed: 5)
    func gradients(_ packed: PackedTokens, threads: Int) -> [Float] {
      let buffer = FloatBuffer(count: model.table.count)
      let pass = TrainingPass(model: model, gradients: buffer, matmul: matmul, pool: WorkerPool(threadCount: threads))
      let targets = batch.targets(packed, vocabulary: c.vocabularySize, seed: 6)
      var random = CounterRandom(seed: 7, path: [])
      let coefficients = RandomModels.coefficients(targets.count, random: &random)
      pass.forward(packed)
      pass.scoreAndBackpropagate(targets) { range, _, _ in Array(coefficients[range]) }
      pass.backward()
      pass.finishGradients()
      return Array(buffer[0..<buffer.count])
    }
    let shared = PackedTokens(batch.sequences, prefixLengths: batch.prefixLengths)
    let found = gradients(shared, threads: 1)
    let expected = gradients(PackedTokens(batch.sequences), threads: 1)
    let alike = gradients(shared, threads: 3) == found
    #expect(alike)
    for parameter in model.table.parameters where !parameter.name.hasPrefix("value") {
      let pairs = parameter.range.map { (found[$0], expected[$0]) }
      let scale = pairs.reduce(0) { max($0, abs($1.1)) }
      let worst = pairs.reduce(0) { max($0, abs($1.0 - $1.1)) }
      #expect(worst <= 2e-5 * scale && scale > 1e-3, "\(parameter.name): \(worst) beside \(scale)")
    }
  }

  /// Slots that begin with a copy go on by themselves, whoever writes first, also over what they have in common.
  @Test(arguments: RandomModels.architectures) func copiesGoOnByThemselves(
    architecture: ModelConfiguration.Architecture
  ) {
    let c = RandomModels.configuration(architecture)
    let model = RandomModels.model(c, seed: 4)
    let pool = WorkerPool(threadCount: 2)
    let pass = SamplingPass(model: model, pool: pool, slotCount: 4, capacity: 160)
    let trainer = TrainingPass(model: model, gradients: nil, matmul: .mixed, pool: pool)
    var random = CounterRandom(seed: 15, path: [])
    func tokens(_ count: Int) -> [Int32] { RandomModels.tokens(count, vocabulary: c.vocabularySize, random: &random) }
    var texts = [[Int32]](repeating: [], count: 4)

    func read(_ rows: [SamplingPass.Row]) {
      var logProbs = [Float](repeating: .nan, count: rows.count)
      logProbs.withUnsafeMutableBufferPointer { logProbs in
        pass.run(rows) { logProbs[$0] = logProbability($1, count: c.vocabularySize, index: 1) }
      }
      for row in rows { texts[row.slot] = texts[row.slot][..<row.position] + [row.token] }
      for (index, row) in rows.enumerated() where row.wantsLogits {
        trainer.forward(PackedTokens([texts[row.slot]]))
        let expected = trainer.score([Target(row: row.position, token: 1)]).logProbs
        #expect([logProbs[index]] == expected, "slot \(row.slot), position \(row.position)")
      }
    }
    func decode(_ slots: [Int], _ count: Int) {
      for _ in 0..<count {
        read(
          slots.map {
            SamplingPass.Row(slot: $0, token: tokens(1)[0], position: texts[$0].count, wantsLogits: true)
          })
      }
    }
    func copy(_ from: Int, _ to: Int, _ length: Int) {
      pass.copyCache(from: from, to: to, length: length)
      texts[to] = Array(texts[from][..<length])
    }
    read(tokens(40).enumerated().map { .init(slot: 0, token: $1, position: $0, wantsLogits: $0 == 39) })
    copy(0, 1, 37)
    copy(0, 2, 32)
    decode([0, 1, 2], 3)
    copy(1, 3, 39)
    decode([0, 1, 2, 3], 20)
    // Over positions that others read.
    read(tokens(3).enumerated().map { .init(slot: 0, token: $1, position: 5 + $0, wantsLogits: $0 == 2) })
    decode([1, 2, 3], 2)
    decode([0], 30)
    copy(3, 0, 20)
    copy(0, 3, 1)
    decode([0, 1, 2, 3], 18)
  }
}
