import Foundation
import Support
import Tensor

extension ModelConfiguration {
  /// Reads a Hugging Face `config.json` of transformers 4 or 5.
  ///
  /// - Parameters:
  ///   - huggingFaceConfig: the bytes of `config.json`.
  ///   - generationConfig: the bytes of `generation_config.json`; only its stop ids are used, beside those of the
  ///     configuration.
  ///   - path: the path of `config.json`, for messages.
  /// - Throws: `MartletError` with status `data` for a broken file, `configuration` for a model that is not
  ///   supported.
  public init(huggingFaceConfig: Data, generationConfig: Data?, path: String) throws {
    let json = try ConfigurationJSON(huggingFaceConfig, path: path)
    let architecture = try Self.architecture(json)
    try Self.refuseVariants(json, architecture: architecture)

    let hiddenSize = try json.requiredInteger("hidden_size")
    let headCount = try json.requiredInteger("num_attention_heads")
    var headWidth = try json.integer("head_dim")
    if headWidth == nil {
      if architecture == .qwen3 {
        headWidth = 128  // the default of transformers' Qwen3Config
      } else if headCount < 1 || hiddenSize % headCount != 0 {
        throw json.fail(
          "num_attention_heads", "\(headCount) does not divide hidden_size \(hiddenSize), and head_dim is not given")
      }
    }
    var stops = try json.tokens("eos_token_id")
    if let generationConfig {
      let folder = (path as NSString).deletingLastPathComponent
      let generation = try ConfigurationJSON(
        generationConfig, path: (folder as NSString).appendingPathComponent("generation_config.json"))
      for token in try generation.tokens("eos_token_id") where !stops.contains(token) { stops.append(token) }
    }
    let rope = try Self.rope(json)
    self.init(
      architecture: architecture, hiddenSize: hiddenSize,
      intermediateSize: try json.requiredInteger("intermediate_size"),
      layerCount: try json.requiredInteger("num_hidden_layers"),
      heads: Heads(headCount, keyValue: try json.integer("num_key_value_heads"), width: headWidth),
      vocabularySize: try json.requiredInteger("vocab_size"),
      contextLength: try json.requiredInteger("max_position_embeddings"),
      tiedHead: try json.bool("tie_word_embeddings") ?? false)
    rmsNormEpsilon = Float(try json.number("rms_norm_eps") ?? 1e-6)
    (ropeTheta, ropeScaling) = rope
    stopTokens = stops
    beginToken = try json.tokens("bos_token_id").first
    if let problem {
      throw json.fail(Self.huggingFaceKeys[problem.key] ?? problem.key, problem.message)
    }
  }

  /// Our coded keys by the names that `config.json` uses.
  private static let huggingFaceKeys = [
    "layer_count": "num_hidden_layers", "head_count": "num_attention_heads",
    "key_value_head_count": "num_key_value_heads", "head_width": "head_dim", "vocabulary_size": "vocab_size",
    "context_length": "max_position_embeddings", "rms_norm_epsilon": "rms_norm_eps", "stop_tokens": "eos_token_id",
  ]

  private static func architecture(_ json: ConfigurationJSON) throws -> Architecture {
    let known = "known are qwen2 (Qwen2, Qwen2.5), qwen3 and llama"
    var name = try json.text("model_type")
    var key = "model_type"
    if name == nil, case .text(let first)? = try json.list("architectures")?.first {
      key = "architectures"
      name = first.hasSuffix("ForCausalLM") ? String(first.dropLast("ForCausalLM".count)).lowercased() : first
    }
    guard let name else { throw json.fail("model_type", "is missing; \(known)") }
    guard let architecture = Architecture(rawValue: name) else {
      throw json.fail(
        key, "\"\(name)\" is an unknown architecture; \(known), so convert the model or choose another",
        status: .configuration)
    }
    return architecture
  }

  /// Refuses what would change the numbers without a trace in the weights.
  private static func refuseVariants(_ json: ConfigurationJSON, architecture: Architecture) throws {
    for key in ["hidden_act", "hidden_activation"] {
      if let activation = try json.text(key), activation != "silu", activation != "swish" {
        throw json.fail(key, "\"\(activation)\" is not supported; only silu is", status: .configuration)
      }
    }
    if architecture != .qwen2, try json.bool("attention_bias") == true {
      throw json.fail(
        "attention_bias", "true is not supported for \(architecture.rawValue); only models without it are",
        status: .configuration)
    }
    if try json.bool("mlp_bias") == true {
      throw json.fail("mlp_bias", "true is not supported; only models without it are", status: .configuration)
    }
    if json["quantization_config"] != nil {
      throw json.fail(
        "quantization_config", "quantized weights are not supported; import the unquantized model",
        status: .configuration)
    }
    let layers = try json.integer("num_hidden_layers") ?? 0
    var sliding = false
    if let types = try json.list("layer_types") {
      for type in types where type != .text("full_attention") {
        guard type == .text("sliding_attention") else {
          throw json.fail(
            "layer_types", "\(type.shown) is not supported; only full_attention is", status: .configuration)
        }
        sliding = true
      }
    } else if try json.bool("use_sliding_window") == true, json["sliding_window"] != nil {
      // Layers below max_window_layers attend to everything; 28 is the default of Qwen2Config.
      sliding = try json.integer("max_window_layers") ?? 28 < layers
    }
    if sliding {
      throw json.fail(
        "use_sliding_window",
        "sliding-window attention is not supported; set it to false if your contexts are shorter "
          + "than sliding_window", status: .configuration)
    }
  }

  private static func rope(_ json: ConfigurationJSON) throws -> (theta: Double, scaling: RotaryScaling?) {
    // transformers 5 keeps both in `rope_parameters`; transformers 4 had `rope_theta` beside `rope_scaling`, and where
    // a file has both tables, transformers 5 takes the latter whole (convert_rope_params_to_dict).
    let scaling = try json.object("rope_scaling").flatMap { $0.values.isEmpty ? nil : $0 }
    let table = try scaling ?? json.object("rope_parameters")
    let theta = try table?.number("rope_theta") ?? json.number("rope_theta") ?? 10_000
    guard let table else { return (theta, nil) }
    return (theta, try rotaryScaling(table, contextLength: try json.integer("max_position_embeddings")))
  }
}
