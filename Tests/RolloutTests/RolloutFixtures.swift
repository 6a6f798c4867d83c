import Foundation
import Rollout
import Support
import Tensor
import Tokenization
import Transformer

/// A real tokenizer, random models, and a model that writes what it is told.
enum RolloutFixtures {
  static let stop: Int32 = 274  // <|im_end|>

  static func tokenizer() throws -> Tokenizer {
    let url = Bundle.module.bundleURL.appendingPathComponent("Fixtures/tokenizer-demo.json")
    return try Tokenizer(json: Data(contentsOf: url), path: "tokenizer-demo.json")
  }

  /// Random weights, large enough that no distribution is flat.
  static func randomModel(seed: UInt64, context: Int = 1024) -> LanguageModel {
    var configuration = ModelConfiguration(
      architecture: .qwen2, hiddenSize: 28, intermediateSize: 44, layerCount: 2,
      heads: .init(4, keyValue: 2, width: 10), vocabularySize: 275, contextLength: context)
    configuration.ropeTheta = 1000
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

  /// A model whose next token depends on the last one alone: `next[token]`, or any at random where there is none.
  static func chainModel(_ next: [Int32: Int32], context: Int = 512) throws -> LanguageModel {
    let C = 276
    var configuration = ModelConfiguration(
      architecture: .llama, hiddenSize: C, intermediateSize: 16, layerCount: 1,
      heads: .init(2, keyValue: 1, width: 8), vocabularySize: 275, contextLength: context, tiedHead: false)
    configuration.ropeTheta = 1000
    let model = LanguageModel(configuration: configuration)
    func fill(_ name: String, _ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
      if let parameter = model.table[name] { body(model.weights[parameter.range]) }
    }
    fill("model.embed_tokens.weight") { table in for token in 0..<275 { table[token * C + token] = 1 } }
    fill("model.norm.weight") { $0.update(repeating: 1) }
    fill("lm_head.weight") { table in for (from, to) in next { table[Int(to) * C + Int(from)] = 4 } }
    for name in ["input_layernorm", "post_attention_layernorm"] {
      fill("model.layers.0.\(name).weight") { $0.update(repeating: 1) }
    }
    return model
  }

  /// Writes ```` ```python\nnext(c)\n```\n ```` after every closing fence, and stops after any other line end.
  static func callingModel(context: Int = 512) throws -> LanguageModel {
    // In this vocabulary a byte's id is the byte; 262 is "```\n", 263 ")\n", 270 "```python\n".
    let script: [Int32] = [262, 270] + "next(c".utf8.map { Int32($0) } + [263, 262]
    var next = Dictionary(uniqueKeysWithValues: zip(script, script.dropFirst()))
    next[10] = stop
    return try chainModel(next, context: context)
  }

  static func requests(_ problems: Int, samples: Int, tokenizer: Tokenizer) -> [SampleRequest] {
    (0..<problems).flatMap { number in
      let text = "Question \(number): multiply " + String(repeating: "12 by 7, ", count: 1 + number * 9)
      let problem = Problem(id: "p\(number)", problem: text, gold: "84")
      let tokens = tokenizer.encode(text)
      return (0..<samples).map { SampleRequest(problem: problem, sample: $0, promptTokens: tokens) }
    }
  }
}

extension Episode {
  /// Without what the clock says.
  var timeless: Episode {
    var copy = self
    for index in copy.calls.indices { copy.calls[index].ms = 0 }
    return copy
  }
}
