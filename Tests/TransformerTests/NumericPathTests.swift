import Tensor
import Testing
import Transformer

/// One numeric path: a row's bits depend on its own sequence alone, in the trainer and in the sampler.
@Suite struct NumericPathTests {
  @Test(arguments: RandomModels.architectures, [1, 2, 3, 8])
  func samplerEqualsTrainer(architecture: ModelConfiguration.Architecture, threads: Int) throws {
    var c = RandomModels.configuration(architecture)
    if threads == 2 { c.adapters = LowRankAdapters(rank: 3, alpha: 2, targets: [.key, .output, .up]) }
    let model = RandomModels.model(c, seed: 3)
    // Every matrix but one is held in 16 bits by the sampler.
    if threads == 3 {
      for parameter in model.table.parameters where !parameter.name.hasSuffix("layers.1.self_attn.o_proj.weight") {
        for index in parameter.range {
          model.weights[index] = Float(bitPattern: model.weights[index].bitPattern & 0xffff_0000)
        }
      }
    }
    let pool = WorkerPool(threadCount: threads)
    var random = CounterRandom(seed: 11, path: [UInt64(threads)])
    for round in 0..<4 {
      let lengths = (0..<5).map { _ in Int.random(in: 1...(round == 3 ? 150 : 40), using: &random) }
      let (batch, targets) = RandomModels.batch(lengths: lengths, vocabulary: c.vocabularySize, random: &random)
      let trainer = TrainingPass(model: model, gradients: nil, matmul: .mixed, pool: pool)
      trainer.forward(batch)
      let expected = trainer.score(targets)

      let sampler = SamplingPass(model: model, pool: pool, slotCount: 5, capacity: 160)
      let found = sample(sampler, batch, targets, random: &random)
      #expect(allFinite(expected.logProbs))
      #expect(found == expected.logProbs)
    }
  }

  /// Reads the sequences in random pieces, rows of several slots mixed, and scores the targets as `draw` does.
  private func sample(
    _ sampler: SamplingPass, _ batch: PackedTokens, _ targets: [Target], random: inout CounterRandom
  ) -> [Float] {
    var logProbs = [Float](repeating: .nan, count: targets.count)
    let places = Dictionary(uniqueKeysWithValues: targets.enumerated().map { ($1.row, $0) })
    let sequences = batch.sequences.map(\.rows)
    var next = sequences.map(\.lowerBound)
    while zip(next, sequences).contains(where: { $0 < $1.upperBound }) {
      var rows: [SamplingPass.Row] = []
      var sources: [Int] = []
      for (slot, sequence) in sequences.enumerated() where next[slot] < sequence.upperBound {
        let count = Int.random(in: 0...3, using: &random) == 0 ? Int.random(in: 1...50, using: &random) : 1
        for row in next[slot]..<min(next[slot] + count, sequence.upperBound) {
          rows.append(
            .init(
              slot: slot, token: batch.tokens[row], position: row - sequence.lowerBound,
              wantsLogits: places[row] != nil))
          sources.append(row)
        }
        next[slot] = min(next[slot] + count, sequence.upperBound)
      }
      let V = sampler.vocabularySize
      logProbs.withUnsafeMutableBufferPointer { logProbs in
        sampler.run(rows) { index, logits in
          let target = targets[places[sources[index]]!]
          var x = (0..<V).map { logits[$0] / target.temperature }
          if let kept = target.kept { x = kept.map { x[Int($0)] } }
          let place = target.kept.map { $0.firstIndex(of: target.token)! } ?? Int(target.token)
          logProbs[places[sources[index]]!] = logProbability(x, count: x.count, index: place)
        }
      }
    }
    return logProbs
  }

  @Test func aCopiedCacheGoesOnWithTheSameBits() throws {
    let c = RandomModels.configuration(.qwen2)
    let model = RandomModels.model(c, seed: 5)
    let pool = WorkerPool(threadCount: 2)
    var random = CounterRandom(seed: 12, path: [])
    for length in [1, 15, 16, 17, 70] {
      let tokens = RandomModels.tokens(length + 9, vocabulary: c.vocabularySize, random: &random)
      let sampler = SamplingPass(model: model, pool: pool, slotCount: 3, capacity: 128)
      func read(_ slot: Int, _ range: Range<Int>, of tokens: [Int32]) -> [[Float]] {
        var logits = [[Float]](repeating: [], count: range.count)
        sampler.run(range.map { .init(slot: slot, token: tokens[$0], position: $0, wantsLogits: true) }) {
          let row = Array(UnsafeBufferPointer(start: $1, count: c.vocabularySize))
          logits[$0] = row
        }
        return logits
      }
      // What another sequence left in the slot must not matter.
      let others = RandomModels.tokens(length + 9, vocabulary: c.vocabularySize, random: &random)
      _ = read(1, 0..<length + 9, of: others)
      _ = read(0, 0..<length, of: tokens)
      sampler.copyCache(from: 0, to: 1, length: length)
      let copied = (length..<length + 9).map { read(1, $0..<$0 + 1, of: tokens)[0] }
      let whole = read(2, 0..<length + 9, of: tokens)
      #expect(copied == Array(whole[length...]))
      #expect(allFinite(Array(copied.joined())))
    }
  }

  @Test(arguments: RandomModels.architectures)
  func aSequenceAloneEqualsTheSequenceInABatch(architecture: ModelConfiguration.Architecture) throws {
    let c = RandomModels.configuration(architecture, tied: false)
    let model = RandomModels.model(c, seed: 7)
    var random = CounterRandom(seed: 13, path: [])
    let (batch, targets) = RandomModels.batch(
      lengths: [5, 33, 1, 64, 17], vocabulary: c.vocabularySize, random: &random)
    let together = TrainingPass(model: model, gradients: nil, matmul: .mixed, pool: WorkerPool(threadCount: 2))
    together.forward(batch)
    let expected = together.score(targets)
    let alone = TrainingPass(model: model, gradients: nil, matmul: .mixed, pool: WorkerPool(threadCount: 1))
    for sequence in batch.sequences.map(\.rows) {
      alone.forward(PackedTokens([Array(batch.tokens[sequence])]))
      let places = targets.indices.filter { sequence.contains(targets[$0].row) }
      let scores = alone.score(
        places.map {
          var target = targets[$0]
          target.row -= sequence.lowerBound
          return target
        })
      #expect(scores.logProbs == places.map { expected.logProbs[$0] })
      #expect(scores.entropies == places.map { expected.entropies[$0] })
      #expect(allFinite(scores.logProbs))
      #expect(allFinite(scores.entropies))
    }
  }

  /// A tied table's gradient is what an untied model of the same weights gives its two tables, added, for more tokens
  /// than room is made for at first.
  @Test func aTiedTableGetsTheGradientsOfBoth() throws {
    let tied = RandomModels.model(RandomModels.configuration(.qwen2, vocabulary: 150), seed: 9)
    let untied = RandomModels.model(RandomModels.configuration(.qwen2, tied: false, vocabulary: 150), seed: 9)
    let table = try #require(untied.table["model.embed_tokens.weight"]).range
    let head = try #require(untied.table["lm_head.weight"]).range
    for (from, to) in zip(table, head) { untied.weights[to] = untied.weights[from] }
    var random = CounterRandom(seed: 15, path: [])
    let batches = [0..<90, 60..<150].map { PackedTokens([$0.map { Int32($0) }]) }
    let targets = (0..<90).map { Target(row: $0, token: Int32($0 * 7 % 150)) }
    let coefficients = RandomModels.coefficients(90, random: &random)
    func gradients(_ model: LanguageModel) -> FloatBuffer {
      let gradients = FloatBuffer(count: model.table.count)
      let pass = TrainingPass(model: model, gradients: gradients, matmul: .exact, pool: WorkerPool(threadCount: 2))
      for batch in batches {
        pass.forward(batch)
        pass.scoreAndBackpropagate(targets) { range, _, _ in Array(coefficients[range]) }
        pass.backward()
      }
      pass.finishGradients()
      return gradients
    }
    let (one, two) = (gradients(tied), gradients(untied))
    let sums = zip(table, head).map { two[$0] + two[$1] }
    let own = try #require(tied.table["model.embed_tokens.weight"]).range
    #expect(allFinite(sums) && Set(sums).count > 4000)
    #expect(Array(one[own]) == sums)
  }

  /// Gradients, bit for bit, whatever the micro-batches and the threads.
  @Test(arguments: RandomModels.architectures, [true, false])
  func exactGradientsDoNotDependOnMicroBatches(
    architecture: ModelConfiguration.Architecture, tied: Bool
  ) throws {
    let c = RandomModels.configuration(architecture, tied: tied)
    let model = RandomModels.model(c, seed: 8)
    var random = CounterRandom(seed: 14, path: [])
    let (batch, targets) = RandomModels.batch(
      lengths: [5, 33, 1, 18, 17, 2], vocabulary: c.vocabularySize, random: &random)
    let coefficients = RandomModels.coefficients(targets.count, random: &random)
    let dValues = batch.tokens.map { _ in Float(random.normal()) }

    func gradients(cuts: [Range<Int>], threads: Int) -> [UInt32] {
      let buffer = FloatBuffer(count: model.table.count)
      let pass = TrainingPass(
        model: model, gradients: buffer, matmul: .exact, pool: WorkerPool(threadCount: threads))
      for cut in cuts {
        let own = batch.sequences[cut].map(\.rows)
        let rows = own[0].lowerBound..<own[own.count - 1].upperBound
        let start = rows.lowerBound
        pass.forward(PackedTokens(own.map { Array(batch.tokens[$0]) }))
        let places = targets.indices.filter { rows.contains(targets[$0].row) }
        let chosen = places.map { place in
          var target = targets[place]
          target.row -= start
          return target
        }
        pass.scoreAndBackpropagate(chosen) { range, _, _ in range.map { coefficients[places[$0]] } }
        pass.backpropagateValues(rows: Array(0..<rows.count), dValues: Array(dValues[rows]))
        pass.backward()
      }
      pass.finishGradients()
      // Adding +0 makes both zeros the same.
      return buffer[0..<buffer.count].map { ($0 + 0).bitPattern }
    }
    let whole = gradients(cuts: [0..<6], threads: 1)
    #expect(Set(whole).count > 100)
    #expect(gradients(cuts: [0..<6], threads: 3) == whole)
    #expect(gradients(cuts: [0..<1, 1..<2, 2..<3, 3..<4, 4..<5, 5..<6], threads: 2) == whole)
    #expect(gradients(cuts: [0..<3, 3..<6], threads: 1) == whole)
  }
}
