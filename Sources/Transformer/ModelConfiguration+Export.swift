import Foundation

extension ModelConfiguration {
  /// The configuration as a `config.json` that transformers 4 and 5 load.
  ///
  /// Rotary settings are written as transformers 4 has them (`rope_theta` beside `rope_scaling`), which 5 reads too.
  /// - Parameter dtype: the type of the exported weights, such as `float32` or `bfloat16`.
  public func huggingFaceConfig(dtype: String = "float32") -> Data {
    let className = ["qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM"]
    var lines: [String: String] = [
      "architectures": "[\"\(className[architecture.rawValue]!)\"]",
      "model_type": "\"\(architecture.rawValue)\"",
      "hidden_act": "\"silu\"",
      "hidden_size": "\(hiddenSize)",
      "intermediate_size": "\(intermediateSize)",
      "num_hidden_layers": "\(layerCount)",
      "num_attention_heads": "\(headCount)",
      "num_key_value_heads": "\(keyValueHeadCount)",
      "head_dim": "\(headWidth)",
      "vocab_size": "\(vocabularySize)",
      "max_position_embeddings": "\(contextLength)",
      "rms_norm_eps": "\(rmsNormEpsilon)",
      "rope_theta": "\(ropeTheta)",
      "rope_scaling": ropeScaling.map { Self.json($0) } ?? "null",
      "tie_word_embeddings": "\(tiedHead)",
      "attention_dropout": "0.0",
      "initializer_range": "0.02",
      "use_cache": "true",
      "torch_dtype": "\"\(dtype)\"",
      "bos_token_id": beginToken.map { "\($0)" } ?? "null",
      "eos_token_id": stopTokens.count == 1
        ? "\(stopTokens[0])"
        : (stopTokens.isEmpty ? "null" : "[\(stopTokens.map(String.init).joined(separator: ", "))]"),
    ]
    switch architecture {
    case .qwen2: lines["use_sliding_window"] = "false"
    case .qwen3:
      lines["attention_bias"] = "false"
      lines["use_sliding_window"] = "false"
    case .llama:
      lines["attention_bias"] = "false"
      lines["mlp_bias"] = "false"
    }
    let body = lines.sorted { $0.key < $1.key }.map { "  \"\($0.key)\": \($0.value)" }.joined(separator: ",\n")
    return Data("{\n\(body)\n}\n".utf8)
  }
}
