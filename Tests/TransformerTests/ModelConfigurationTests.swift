import Foundation
import Support
import Tensor
import Testing
import Transformer

@Suite struct ModelConfigurationTests {
  static let qwen = """
    {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "hidden_size": 896,
     "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 4, "num_attention_heads": 14,
     "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
     "sliding_window": 32768, "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936,
     "bos_token_id": 151643, "eos_token_id": 151645}
    """

  private func read(_ text: String, generation: String? = nil) throws -> ModelConfiguration {
    try ModelConfiguration(
      huggingFaceConfig: Data(text.utf8), generationConfig: generation.map { Data($0.utf8) },
      path: "models/qwen/config.json")
  }

  /// transformers 5 takes `rope_scaling` whole where both tables are there (convert_rope_params_to_dict).
  @Test(
    arguments: [
      (
        #"{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}"#,
        #"{"rope_type": "default", "rope_theta": 5.0}"#, .yarn, 1e6
      ),
      (
        #"{"type": "linear", "factor": 2.0, "rope_theta": 7.0}"#, #"{"rope_type": "yarn", "factor": 4.0}"#, .linear, 7
      ),
      ("{}", #"{"rope_type": "linear", "factor": 2.0, "rope_theta": 5.0}"#, .linear, 5),
      ("null", #"{"rope_type": "default", "rope_theta": 5.0}"#, nil, 5),
      (#"{"rope_type": "default"}"#, #"{"rope_type": "linear", "factor": 2.0}"#, nil, 1e6),
    ] as [(String, String, RotaryScaling.Kind?, Double)])
  func ofTwoRopeTablesTheOlderCounts(
    scaling: String, parameters: String, kind: RotaryScaling.Kind?, theta: Double
  ) throws {
    let text = Self.qwen.replacingOccurrences(
      of: "\"rope_theta\"",
      with: "\"rope_scaling\": \(scaling), \"rope_parameters\": \(parameters), \"rope_theta\"")
    let c = try ModelConfiguration(huggingFaceConfig: Data(text.utf8), generationConfig: nil, path: "config.json")
    #expect(c.ropeScaling?.kind == kind && c.ropeTheta == theta)
  }

  @Test func aPublishedConfigurationIsRead() throws {
    let c = try read(Self.qwen, generation: "{\"eos_token_id\": [151645, 151643], \"temperature\": 0.7}")
    #expect(c.architecture == .qwen2)
    #expect(c.attentionBias)
    #expect(!c.queryKeyNorm)
    #expect(c.headWidth == 64)
    #expect(c.ropeTheta == 1e6)
    #expect(c.rmsNormEpsilon == 1e-6)
    #expect(c.stopTokens == [151645, 151643])
    #expect(c.beginToken == 151643)
    #expect(c.tiedHead)
    #expect(ModelScale(c).parameterCount == 494_032_768)
  }

  @Test func rotarySettingsOfBothGenerationsAreRead() throws {
    let scaling =
      "{\"rope_type\": \"llama3\", \"factor\": 32.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
      + "\"original_max_position_embeddings\": 8192}"
    let old = try read(
      Self.qwen.replacingOccurrences(of: "\"rope_theta\"", with: "\"rope_scaling\": \(scaling), \"rope_theta\""))
    let new = try read(
      Self.qwen.replacingOccurrences(
        of: "\"rope_theta\": 1000000.0",
        with: "\"rope_parameters\": \(scaling.dropLast()), \"rope_theta\": 1000000.0}"))
    #expect(old == new)
    #expect(old.ropeTheta == 1e6)
    var expected = RotaryScaling(kind: .llama3, factor: 32, originalContextLength: 8192)
    expected.lowFrequencyFactor = 1
    expected.highFrequencyFactor = 4
    #expect(old.ropeScaling == expected)
  }

  @Test(arguments: [
    ("\"qwen2\"", "\"mamba\"", "model_type", MartletError.Status.configuration),
    ("\"silu\"", "\"gelu\"", "hidden_act", .configuration),
    (
      "\"use_sliding_window\": false", "\"use_sliding_window\": true", "sliding",
      .configuration
    ),
    (
      "\"rope_theta\"", "\"rope_scaling\": {\"rope_type\": \"longrope\", \"factor\": 2}, \"x\"", "rope_type",
      .configuration
    ),
    ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "num_key_value_heads", .data),
    ("\"num_attention_heads\": 14", "\"num_attention_heads\": 15", "num_attention_heads", .data),
    ("\"hidden_size\": 896", "\"hidden_size\": \"896\"", "hidden_size", .data),
    ("\"vocab_size\": 151936", "\"vocab\": 151936", "vocab_size", .data),
    ("\"eos_token_id\": 151645", "\"eos_token_id\": \"end\"", "eos_token_id", .data),
    ("\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": 0", "rms_norm_eps", .data),
    ("{", "[", "not valid JSON", .data),
  ])
  func whatIsNotSupportedIsNamed(_ old: String, _ new: String, key: String, status: MartletError.Status) {
    let error = #expect(throws: MartletError.self) {
      try read(Self.qwen.replacingOccurrences(of: old, with: new))
    }
    #expect(error?.status == status)
    #expect(error?.message.contains(key) == true)
    #expect(error?.message.hasPrefix("models/qwen/config.json") == true)
  }

  @Test(arguments: RandomModels.architectures, [true, false])
  func exportAndImportGiveTheSame(_ architecture: ModelConfiguration.Architecture, tied: Bool) throws {
    var c = RandomModels.configuration(architecture, tied: tied)
    c.valueHead = false
    c.stopTokens = [3, 9]
    c.beginToken = 1
    c.ropeScaling = RotaryScaling(kind: .yarn, factor: 4, originalContextLength: 40)
    c.ropeScaling?.betaFast = 16
    let back = try ModelConfiguration(huggingFaceConfig: c.huggingFaceConfig(), generationConfig: nil, path: "x")
    #expect(back == c)
    let coded = try JSONDecoder().decode(ModelConfiguration.self, from: JSONEncoder().encode(c))
    #expect(coded == c)
  }

  @Test func aBriefDescriptionIsEnough() throws {
    let text = """
      {"architecture": "llama", "hidden_size": 32, "intermediate_size": 64, "layer_count": 2, "head_count": 4,
       "vocabulary_size": 50}
      """
    let c = try JSONDecoder().decode(ModelConfiguration.self, from: Data(text.utf8))
    #expect(c.headWidth == 8)
    #expect(c.keyValueHeadCount == 4)
    #expect(c.tiedHead)
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(
        ModelConfiguration.self, from: Data(text.replacingOccurrences(of: "32", with: "33").utf8))
    }
  }

  @Test func randomWeightsAreKeyedByName() throws {
    let c = RandomModels.configuration(.qwen2)
    let model = LanguageModel(configuration: c)
    model.initialize(seed: 4)
    func values(_ model: LanguageModel, _ name: String) throws -> [Float] {
      Array(model.weights[try #require(model.table[name]).range])
    }
    func deviation(_ name: String) throws -> Double {
      let x = try values(model, name).map(Double.init)
      return norm(x) / Double(x.count).squareRoot()
    }
    #expect(abs(try deviation("model.embed_tokens.weight") / 0.02 - 1) < 0.1)
    #expect(abs(try deviation("model.layers.1.mlp.down_proj.weight") / 0.01 - 1) < 0.1)
    #expect(try values(model, "model.norm.weight") == Array(repeating: 1, count: 28))
    #expect(try deviation("model.layers.0.self_attn.k_proj.bias") == 0)
    #expect(try deviation("value_head.weight") == 0)

    // Another model with a layer of the same name starts from the same numbers there, another seed does not.
    var deeper = c
    deeper.vocabularySize = 99
    let other = LanguageModel(configuration: deeper)
    other.initialize(seed: 4)
    let name = "model.layers.0.self_attn.q_proj.weight"
    #expect(try values(other, name) == values(model, name))
    other.initialize(seed: 5)
    #expect(try values(other, name) != values(model, name))
  }

  @Test func parametersLieOnLinesOfTheirOwn() {
    for architecture in RandomModels.architectures {
      let table = ParameterTable(RandomModels.configuration(architecture, tied: false))
      var end = 0
      for parameter in table.parameters {
        #expect(parameter.range.lowerBound % 16 == 0)
        #expect(parameter.range.lowerBound >= end)
        #expect(parameter.range.count == parameter.shape.reduce(1, *))
        end = parameter.range.upperBound
      }
      #expect(table.count >= end)
      #expect(table.parameters.last?.name == "value_head.weight")
    }
  }
}
