import Support
import Tensor
import Testing

@testable import Transformer

@Suite struct LowRankAdapterTests {
  private static let some: [Projection] = [.query, .value, .down]

  private func model(
    _ architecture: ModelConfiguration.Architecture, targets: [Projection], tied: Bool = true
  ) -> LanguageModel {
    var c = RandomModels.configuration(architecture, tied: tied)
    c.adapters = LowRankAdapters(rank: 3, alpha: 1.5, targets: targets)
    return RandomModels.model(c, seed: 21)
  }

  private struct Gradients {
    let buffer: FloatBuffer
    let table: ParameterTable
    let scores: TargetScores

    subscript(name: String) -> [Double]? {
      table[name].map { parameter in
        let start = parameter.range.lowerBound - table.trainable.lowerBound
        return buffer[start..<start + parameter.range.count].map(Double.init)
      }
    }
  }

  private func gradients(of model: LanguageModel, _ matmul: MatmulMode, cuts: [[Int]] = [[7, 18]]) -> Gradients {
    let buffer = FloatBuffer(count: model.table.trainable.count)
    let pass = TrainingPass(model: model, gradients: buffer, matmul: matmul, pool: WorkerPool(threadCount: 2))
    var random = CounterRandom(seed: 32, path: [])
    var scores = TargetScores()
    for lengths in cuts {
      let (batch, targets) = RandomModels.batch(
        lengths: lengths, vocabulary: model.configuration.vocabularySize, random: &random)
      let coefficients = RandomModels.coefficients(targets.count, random: &random)
      pass.forward(batch)
      scores = pass.scoreAndBackpropagate(targets) { range, _, _ in range.map { coefficients[$0] } }
      pass.backpropagateValues(rows: Array(batch.tokens.indices), dValues: batch.tokens.map { Float($0) * 0.01 })
      pass.backward()
    }
    pass.finishGradients()
    return Gradients(buffer: buffer, table: model.table, scores: scores)
  }

  /// PiSSA's start changes nothing but rounding, takes its part out of W, and trains what it took.
  @Test(arguments: RandomModels.architectures)
  func aPrincipalStartComputesTheSame(architecture: ModelConfiguration.Architecture) throws {
    let plain = RandomModels.model(RandomModels.configuration(architecture, tied: true), seed: 21)
    let adapters = LowRankAdapters(rank: 2, alpha: 3, targets: Self.some, start: .pissa)
    let adapted = try plain.adapted(adapters, seed: 1)
    let merged = adapted.merged()
    for parameter in plain.table.parameters {
      let pairs = zip(plain.weights[parameter.range], merged.weights[parameter.range])
      #expect(pairs.allSatisfy { abs($0 - $1) < 1e-5 }, "\(parameter.name)")
      let isTarget = ["q_proj.weight", "v_proj.weight", "down_proj.weight"].contains { parameter.name.hasSuffix($0) }
      let kept = zip(plain.weights[parameter.range], adapted.weights[parameter.range]).allSatisfy { $0 == $1 }
      #expect(kept != isTarget, "\(parameter.name)")
    }
    #expect(adapted.trainableWeights[0..<adapted.table.trainable.count].contains { $0 != 0 })
    #expect(throws: MartletError.self) {
      try plain.adapted(LowRankAdapters(rank: 4000, alpha: 1, targets: [.query], start: .pissa), seed: 1)
    }
  }

  /// For W + s B A the chain rule gives dB = s dW A^T and dA = s B^T dW; dW comes from the merged model's own backward
  /// pass.
  @Test(arguments: RandomModels.architectures, [MatmulMode.exact, .mixed])
  func gradientsFollowFromTheMergedModels(architecture: ModelConfiguration.Architecture, matmul: MatmulMode) throws {
    for targets in [Self.some, Projection.allCases] {
      let model = model(architecture, targets: targets, tied: targets.count == 3)
      let found = gradients(of: model, matmul)
      let whole = gradients(of: model.merged(), matmul)
      #expect(allFinite(found.scores.logProbs))
      #expect(found.scores.logProbs == whole.scores.logProbs)
      #expect(found.buffer.count == model.table.trainable.count && found.buffer.count < whole.buffer.count)
      let value = try #require(found["value_head.weight"])
      #expect(norm(value) > 0)
      #expect(value == whole["value_head.weight"])
      for layer in 0..<model.configuration.layerCount {
        for projection in targets {
          let (outputs, inputs) = projection.shape(model.configuration)
          let rank = 3
          func weights(_ factor: String) throws -> [Double] {
            let parameter = try #require(model.table[ParameterTable.adapterName(layer, projection, factor)])
            return model.weights[parameter.range].map(Double.init)
          }
          let (a, b) = (try weights("A"), try weights("B"))
          let dW = try #require(whole["model.layers.\(layer).\(projection.path).weight"])
          var dA = [Double](repeating: 0, count: rank * inputs)
          var dB = [Double](repeating: 0, count: outputs * rank)
          for o in 0..<outputs {
            for r in 0..<rank {
              for i in 0..<inputs {
                dA[r * inputs + i] += 0.5 * b[o * rank + r] * dW[o * inputs + i]
                dB[o * rank + r] += 0.5 * dW[o * inputs + i] * a[r * inputs + i]
              }
            }
          }
          for (factor, expected) in [("A", dA), ("B", dB)] {
            let name = ParameterTable.adapterName(layer, projection, factor)
            let gradient = try #require(found[name])
            #expect(gradient.count == expected.count && norm(expected) > 1e-3)
            #expect(norm(gradient).isFinite)
            #expect(norm(zip(gradient, expected).map { $0 - $1 }) < 1e-5 * norm(expected), "\(name)")
          }
        }
      }
    }
  }

  /// With `exact` the adapters' gradients are chains over the rows too.
  @Test func itDoesNotMatterHowABatchIsCut() {
    let model = model(.qwen3, targets: Self.some)
    var random = CounterRandom(seed: 5, path: [])
    let (batch, targets) = RandomModels.batch(lengths: [9, 4, 17], vocabulary: 41, random: &random)
    let coefficients = RandomModels.coefficients(targets.count, random: &random)
    func gradient(_ parts: [Range<Int>]) -> [Float] {
      let buffer = FloatBuffer(count: model.table.trainable.count)
      let pass = TrainingPass(model: model, gradients: buffer, matmul: .exact, pool: WorkerPool(threadCount: 2))
      for part in parts {
        let sequences = batch.sequences.map(\.rows)[part]
        let first = sequences[part.lowerBound].lowerBound
        let rows = first..<sequences[part.upperBound - 1].upperBound
        let places = targets.indices.filter { rows.contains(targets[$0].row) }
        pass.forward(PackedTokens(sequences.map { Array(batch.tokens[$0]) }))
        let own = places.map { index in
          var target = targets[index]
          target.row -= first
          return target
        }
        pass.scoreAndBackpropagate(own) { range, _, _ in range.map { coefficients[places[$0]] } }
        pass.backward()
      }
      pass.finishGradients()
      return Array(buffer[0..<buffer.count])
    }
    let whole = gradient([0..<3])
    #expect(allFinite(whole) && whole.contains { $0 != 0 })
    for cut in [[0..<1, 1..<2, 2..<3], [0..<2, 2..<3]] {
      let isEqual = gradient(cut) == whole
      #expect(isEqual, "\(cut)")
    }
  }

  @Test func itStartsWhereTheModelWas() throws {
    var c = RandomModels.configuration(.llama)
    c.valueHead = false
    let plain = RandomModels.model(c, seed: 2)
    let adapters = LowRankAdapters(rank: 4, alpha: 8, targets: Projection.allCases)
    let model = try plain.adapted(adapters, seed: 9)
    #expect(model.configuration.adapters == adapters)
    #expect(model.table.trainable.lowerBound == plain.table.count)
    let merged = model.merged()
    #expect(merged.table.parameters == plain.table.parameters)
    #expect(isEqual(merged.weights, plain.weights, 0..<plain.table.count))
    for parameter in model.table.trainableParameters {
      let values = model.weights[parameter.range].map(Double.init)
      guard parameter.name.hasSuffix("lora_A.weight") else {
        #expect(values.allSatisfy { $0 == 0 })
        continue
      }
      let width = parameter.shape[1]
      for one in 0..<4 {
        for other in 0...one {
          let product = (0..<width).reduce(0) { $0 + values[one * width + $1] * values[other * width + $1] }
          #expect(abs(product - (one == other ? 1.0 / 3 : 0)) < 1e-6)
        }
      }
    }
    // The reference of a run with adapters: what they were put beside, in the same memory.
    let base = model.base(valueHead: false)
    #expect(base.table.parameters == plain.table.parameters && base.weights.pointer == model.weights.pointer)
    #expect(isEqual(base.weights, plain.weights, 0..<plain.table.count))
    let again = try plain.adapted(adapters, seed: 9)
    #expect(isEqual(again.weights, model.weights, model.table.trainable))
    let other = try plain.adapted(adapters, seed: 10)
    #expect(!isEqual(other.weights, model.weights, model.table.trainable))
  }

  /// Without a second copy of the weights: the same bits, in the model's own memory.
  @Test func mergingAndAdaptingInPlaceGiveTheSame() throws {
    var c = RandomModels.configuration(.qwen2)
    c.adapters = LowRankAdapters(rank: 4, alpha: 8, targets: [.key, .down])
    let model = RandomModels.model(c, seed: 2)
    let merged = model.merged()
    #expect(!isEqual(merged.weights, model.weights, 0..<merged.table.count))
    let inPlace = model.mergedInPlace(pool: WorkerPool(threadCount: 2))
    #expect(inPlace.configuration == merged.configuration && inPlace.weights.pointer == model.weights.pointer)
    #expect(isEqual(inPlace.weights, merged.weights, 0..<merged.table.count))
    let adapters = LowRankAdapters(rank: 2, targets: [.query])
    let copied = try merged.adapted(adapters, seed: 3)
    let moved = try merged.adapted(adapters, seed: 3, takesWeights: true)
    #expect(isEqual(moved.weights, copied.weights, 0..<copied.table.count))
    #expect(merged.mergedInPlace() === merged)
  }

  private func isEqual(_ one: FloatBuffer, _ other: FloatBuffer, _ range: Range<Int>) -> Bool {
    one[range].elementsEqual(other[range])
  }

  @Test func impossibleSettingsAreRefused() {
    #expect(LowRankAdapters().problem == nil)
    #expect(LowRankAdapters(rank: -1).problem != nil)
    #expect(LowRankAdapters(rank: 2, alpha: 0).problem != nil)
    #expect(LowRankAdapters(rank: 2, alpha: .nan).problem != nil)
    #expect(LowRankAdapters(rank: 2, targets: []).problem != nil)
    #expect(LowRankAdapters(rank: 2, targets: [.up, .up]).problem != nil)
    var c = RandomModels.configuration(.qwen2)
    c.adapters = LowRankAdapters()
    #expect(c.problem?.key == "adapters")
  }
}
