import Support
import Tensor
import Transformer

/// Random models of odd sizes, with weights large enough that attention and gates leave their linear range.
enum RandomModels {
  static let architectures = ModelConfiguration.Architecture.allCases

  static func configuration(
    _ architecture: ModelConfiguration.Architecture, tied: Bool = true, vocabulary: Int = 41
  ) -> ModelConfiguration {
    var configuration = ModelConfiguration(
      architecture: architecture, hiddenSize: 28, intermediateSize: 44, layerCount: 2,
      heads: .init(4, keyValue: 2, width: 10), vocabularySize: vocabulary, contextLength: 160, tiedHead: tied)
    configuration.ropeTheta = 1000
    configuration.valueHead = true
    return configuration
  }

  static func model(_ configuration: ModelConfiguration, seed: UInt64) -> LanguageModel {
    let model = LanguageModel(configuration: configuration)
    for parameter in model.table.parameters {
      var random = CounterRandom(seed: seed, path: [stableHash(parameter.name)])
      let isNorm = parameter.name.hasSuffix("norm.weight")
      let deviation = parameter.shape.count == 1 ? 0.3 : 1.2 / Double(parameter.shape[1]).squareRoot()
      for index in parameter.range {
        model.weights.pointer[index] = Float((isNorm ? 1 : 0) + deviation * random.normal())
      }
    }
    return model
  }

  static func tokens(_ count: Int, vocabulary: Int, random: inout CounterRandom) -> [Int32] {
    (0..<count).map { _ in Int32.random(in: 0..<Int32(vocabulary), using: &random) }
  }

  /// Sequences of the given lengths and a target for about every row, some of them filtered.
  static func batch(
    lengths: [Int], vocabulary: Int, random: inout CounterRandom
  ) -> (batch: PackedTokens, targets: [Target]) {
    let batch = PackedTokens(lengths.map { tokens($0, vocabulary: vocabulary, random: &random) })
    let targets = (0..<batch.tokens.count).filter { _ in Int.random(in: 0..<8, using: &random) > 0 }.map { row in
      let token = Int32.random(in: 0..<Int32(vocabulary), using: &random)
      var kept: [Int32]?
      if Int.random(in: 0..<3, using: &random) == 0 {
        let chosen = (0..<Int32(vocabulary)).filter { _ in Bool.random(using: &random) }
        kept = Set(chosen + [token]).sorted()
      }
      return Target(row: row, token: token, temperature: Float.random(in: 0.5..<1.5, using: &random), kept: kept)
    }
    return (batch, targets)
  }

  /// Some targets have only one of the two, and some, the first among them, none.
  static func coefficients(_ count: Int, random: inout CounterRandom) -> [TargetCoefficients] {
    (0..<count).map {
      let (logProb, entropy) = (Float(random.normal()), Float(random.normal()))
      return TargetCoefficients(logProb: $0 % 4 == 0 ? 0 : logProb, entropy: $0 % 6 == 0 ? 0 : entropy)
    }
  }
}
