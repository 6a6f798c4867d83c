import Foundation
import Tensor
import Transformer

/// A model as llama.cpp keeps it: one GGUF file with weights, configuration and vocabulary.
public enum GGUFModel {
  /// Whether a path is one of these.
  public static func isNamed(_ path: String) -> Bool { path.hasSuffix(".gguf") }

  /// Reads a file of F32, F16, BF16 and Q8_0 tensors; Q8_0 becomes scale times byte, in fp32.
  /// - Parameters:
  ///   - progress: called with the share of the weights read, in (0, 1].
  ///   - check: is given the model's files before any weight is read, and may throw.
  /// - Throws: `MartletError` with tensor or key and remedy: `io` when the file cannot be read, `configuration` for a
  ///   model that is not supported, else `data`.
  public static func read(
    _ path: String, valueHead: Bool = false, progress: (Double) -> Void = { _ in },
    check: (ModelFiles) throws -> Void = { _ in }
  ) throws -> StoredModel {
    let file = try GGUFFile(path)
    var (configuration, files) = try header(file)
    try check(files)
    try configuration.refuseBeyond(bytes: file.file.byteCount, bytesPerNumber: 34.0 / 32, path: path)
    let table = ParameterTable(configuration)
    let tensors = try table.parameters.map { try tensor($0, in: file) }
    let known = Set(tensors.map(\.name))
    if let other = file.tensors.keys.filter({ !known.contains($0) }).min() {
      throw MartletError(
        .configuration,
        "\(path): \(other): is not part of a \(configuration.architecture.rawValue) model here; import the Hugging Face "
          + "folder it was made from")
    }
    configuration.valueHead = valueHead
    let model = LanguageModel(configuration: configuration)
    var done = 0
    for (parameter, tensor) in zip(table.parameters, tensors) {
      let target = model.weights.pointer + parameter.range.lowerBound
      try file.read(tensor, into: target)
      if configuration.architecture == .llama { unpermute(parameter, target, configuration) }
      done += parameter.range.count
      progress(Double(done) / Double(table.count))
    }
    return StoredModel(model: model, files: files)
  }

  /// Reads the configuration and the vocabulary, not the weights.
  public static func readHeader(_ path: String) throws -> (configuration: ModelConfiguration, files: ModelFiles) {
    try header(try GGUFFile(path))
  }

  private static func header(_ file: GGUFFile) throws -> (configuration: ModelConfiguration, files: ModelFiles) {
    let metadata = GGUFMetadata(file)
    let configuration = try ModelConfiguration(
      huggingFaceConfig: metadata.huggingFaceConfig(), generationConfig: nil, path: file.file.path)
    var files = ModelFiles(tokenizer: try metadata.tokenizer())
    if case .text(let template)? = file.values["tokenizer.chat_template"] { files.chatTemplate = template }
    return (configuration, files)
  }

  private static func tensor(_ parameter: Parameter, in file: GGUFFile) throws -> GGUFFile.Tensor {
    let name = name(parameter.name)
    guard let tensor = file.tensors[name] else {
      throw MartletError(.data, "\(file.file.path): \(name): is missing; the file is not whole, copy it again")
    }
    guard tensor.shape == parameter.shape else {
      throw MartletError(
        .data,
        "\(file.file.path): \(name): has shape \(tensor.shape) where the file's own keys ask for \(parameter.shape); "
          + "copy the file again")
    }
    return tensor
  }

  /// The format's name of a parameter.
  private static func name(_ parameter: String) -> String {
    let whole = [
      "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
      "lm_head.weight": "output.weight",
    ]
    if let name = whole[parameter] { return name }
    let parts = parameter.split(separator: ".").map(String.init)  // model.layers.N.<module>[.<module>].weight
    let modules = [
      "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
      "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
      "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
      "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    ]
    let module = parts.dropFirst(3).dropLast().joined(separator: ".")
    return "blk.\(parts[2]).\(modules[module] ?? module).\(parts[parts.count - 1])"
  }

  /// llama.cpp stores a Llama's query and key rows with the halves of each head interleaved; here they follow each other.
  private static func unpermute(
    _ parameter: Parameter, _ rows: UnsafeMutablePointer<Float>, _ c: ModelConfiguration
  ) {
    guard parameter.name.hasSuffix("q_proj.weight") || parameter.name.hasSuffix("k_proj.weight") else { return }
    let (width, inputs) = (c.headWidth, parameter.shape[1])
    let head = UnsafeMutablePointer<Float>.allocate(capacity: width * inputs)
    defer { head.deallocate() }
    for first in stride(from: 0, to: parameter.shape[0], by: width) {
      head.update(from: rows + first * inputs, count: width * inputs)
      for row in 0..<width {
        let half = row / (width / 2)
        (rows + (first + row) * inputs).update(from: head + (row % (width / 2) * 2 + half) * inputs, count: inputs)
      }
    }
  }
}

/// A GGUF file's key-value pairs as the files of a Hugging Face folder, which their own readers check.
struct GGUFMetadata {
  let file: GGUFFile

  init(_ file: GGUFFile) { self.file = file }

  func fail(_ key: String, _ message: String, _ status: MartletError.Status = .data) -> MartletError {
    MartletError(status, "\(file.file.path): \(key): \(message)")
  }

  private var architecture: String {
    if case .text(let name)? = file.values["general.architecture"] { name } else { "" }
  }

  private func integer(_ key: String) throws -> Int? {
    switch file.values[key] {
    case nil: nil
    case .integer(let value): value
    default: throw fail(key, "is not an integer; copy the file again")
    }
  }

  private func number(_ key: String) throws -> Double? {
    switch file.values[key] {
    case nil: nil
    case .number(let value): value
    case .integer(let value): Double(value)
    default: throw fail(key, "is not a number; copy the file again")
    }
  }

  /// The file's configuration as `config.json`.
  func huggingFaceConfig() throws -> Data {
    guard !architecture.isEmpty else { throw fail("general.architecture", "is missing; copy the file again") }
    func own(_ key: String) -> String { "\(architecture).\(key)" }
    if case .text(let kind)? = file.values[own("rope.scaling.type")], kind != "none" {
      throw fail(
        own("rope.scaling.type"), "\"\(kind)\" is not read from GGUF; import the Hugging Face folder it was made from",
        .configuration)
    }
    let tied = file.tensors["output.weight"] == nil
    var config: [String: Any] = ["model_type": architecture, "tie_word_embeddings": tied]
    let integers = [
      "hidden_size": "embedding_length", "intermediate_size": "feed_forward_length", "num_hidden_layers": "block_count",
      "num_attention_heads": "attention.head_count", "num_key_value_heads": "attention.head_count_kv",
      "head_dim": "attention.key_length", "max_position_embeddings": "context_length",
    ]
    for (name, key) in integers {
      if let value = try integer(own(key)) { config[name] = value }
    }
    if config["head_dim"] == nil, let size = config["hidden_size"] as? Int,
      let heads = config["num_attention_heads"] as? Int,
      heads > 0, size % heads == 0
    {
      config["head_dim"] = size / heads
    }
    config["rms_norm_eps"] = try number(own("attention.layer_norm_rms_epsilon"))
    config["rope_theta"] = try number(own("rope.freq_base"))
    config["eos_token_id"] = try integer("tokenizer.ggml.eos_token_id")
    config["bos_token_id"] = try integer("tokenizer.ggml.bos_token_id")
    // The table itself says how many words there are.
    config["vocab_size"] = file.tensors["token_embd.weight"]?.shape.first
    do {
      return try JSONSerialization.data(withJSONObject: config)
    } catch {
      throw fail("general.architecture", "its configuration has no JSON form; copy the file again")
    }
  }

  /// The file's vocabulary as `tokenizer.json`; nil where it is of a kind that is not read here.
  func tokenizer() throws -> Data? {
    guard case .text("gpt2")? = file.values["tokenizer.ggml.model"],
      case .text(let kind)? = file.values["tokenizer.ggml.pre"], let form = Self.forms[kind],
      case .texts(let tokens)? = file.values["tokenizer.ggml.tokens"],
      case .texts(let merges)? = file.values["tokenizer.ggml.merges"]
    else { return nil }
    var types: [Int] = []
    if case .integers(let given)? = file.values["tokenizer.ggml.token_type"] { types = given }
    guard types.isEmpty || types.count == tokens.count else {
      throw fail(
        "tokenizer.ggml.token_type", "has \(types.count) entries for \(tokens.count) tokens; copy the file again")
    }
    // 3: control, 4: defined by the user; 5: an unused place. https://github.com/ggml-org/llama.cpp (llama_token_type)
    var vocabulary: [String: Int] = [:]
    var added: [[String: Any]] = []
    for (id, token) in tokens.enumerated() {
      switch types.isEmpty ? 1 : types[id] {
      case 3, 4:
        added.append([
          "id": id, "content": token, "special": types[id] == 3, "single_word": false, "lstrip": false, "rstrip": false,
          "normalized": false,
        ])
      case 5: continue
      default:
        guard vocabulary.updateValue(id, forKey: token) == nil else {
          throw fail("tokenizer.ggml.tokens", "\(token) is there twice; copy the file again")
        }
      }
    }
    let split: [String: Any] = [
      "type": "Split", "pattern": ["Regex": form.regex], "behavior": "Isolated", "invert": false,
    ]
    let bytes: [String: Any] = [
      "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false,
    ]
    let json: [String: Any] = [
      "version": "1.0", "truncation": NSNull(), "padding": NSNull(), "added_tokens": added,
      "normalizer": form.composes ? ["type": "NFC"] : NSNull() as Any,
      "pre_tokenizer": ["type": "Sequence", "pretokenizers": [split, bytes]], "post_processor": NSNull(),
      "decoder": bytes,
      "model": [
        "type": "BPE", "dropout": NSNull(), "unk_token": NSNull(), "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": form.ignoresMerges, "vocab": vocabulary,
        "merges": merges,
      ] as [String: Any],
    ]
    return try JSONSerialization.data(withJSONObject: json, options: [.sortedKeys, .withoutEscapingSlashes])
  }

  private struct Form {
    let regex: String
    let composes: Bool
    let ignoresMerges: Bool
  }

  /// What `tokenizer.ggml.pre` stands for, of the families that are read here.
  private static let forms: [String: Form] = {
    let tail = #"|\s*[\r\n]+|\s+(?!\S)|\s+"#
    let words = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"#
    let others = #"| ?[^\s\p{L}\p{N}]+[\r\n]*"#
    let qwen = Form(regex: words + #"\p{N}"# + others + tail, composes: true, ignoresMerges: false)
    let llama = Form(regex: words + #"\p{N}{1,3}"# + others + tail, composes: false, ignoresMerges: true)
    // DeepSeek's distilled Qwen models keep the regular expression and leave the text as it is.
    let distilled = Form(regex: qwen.regex, composes: false, ignoresMerges: false)
    return ["qwen2": qwen, "deepseek-r1-qwen": distilled, "llama-bpe": llama, "llama3": llama]
  }()
}
