import Foundation
import Support
import Tensor
import Transformer

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
    config["eos_token_id"] = try stops()
    config["bos_token_id"] = try integer("tokenizer.ggml.bos_token_id")
    // The table itself says how many words there are.
    config["vocab_size"] = file.tensors["token_embd.weight"]?.shape.first
    do {
      return try JSONSerialization.data(withJSONObject: config)
    } catch {
      throw fail("general.architecture", "its configuration has no JSON form; copy the file again")
    }
  }

  /// Ids that end a text, a turn or a message.
  private func stops() throws -> [Int] {
    var stops: [Int] = []
    for name in ["eos", "eot", "eom"] {
      if let id = try integer("tokenizer.ggml.\(name)_token_id"), !stops.contains(id) { stops.append(id) }
    }
    return stops
  }

  /// Vocabulary, special tokens and chat template as a Hugging Face folder has them.
  func files() throws -> ModelFiles {
    var files = ModelFiles(tokenizer: try tokenizer())
    if case .text(let template)? = file.values["tokenizer.chat_template"] { files.chatTemplate = template }
    if files.tokenizer != nil { files.tokenizerConfig = try tokenizerConfig() }
    return files
  }

  private func tokenizerConfig() throws -> Data {
    var config = ModelFiles.plainTokenizerConfig
    config["add_bos_token"] = try addsBegin()
    let names = [
      "bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding", "sep_token": "seperator",
    ]  // the format spells it so
    for (name, key) in names { config[name] = try spelling("tokenizer.ggml.\(key)_token_id") }
    return try ModelFiles.json(config)
  }

  /// The text of the token that a key names.
  private func spelling(_ key: String) throws -> String? {
    guard let id = try integer(key), case .texts(let tokens)? = file.values["tokenizer.ggml.tokens"] else { return nil }
    guard tokens.indices.contains(id) else {
      throw fail(key, "\(id) is no token of \(tokens.count); copy the file again")
    }
    return tokens[id]
  }

  /// Whether a begin token stands before a text. Without the key, llama.cpp asks the kind of vocabulary (llama_vocab).
  private func addsBegin() throws -> Bool {
    guard try integer("tokenizer.ggml.bos_token_id") != nil else { return false }
    switch file.values["tokenizer.ggml.add_bos_token"] {
    case .bool(let adds)?: return adds
    case nil:
      if case .text(let kind)? = file.values["tokenizer.ggml.pre"] { return Self.forms[kind]?.addsBegin ?? false }
      return false
    default: throw fail("tokenizer.ggml.add_bos_token", "is neither true nor false; copy the file again")
    }
  }

  private func postProcessor() throws -> Any {
    guard try addsBegin(), let id = try integer("tokenizer.ggml.bos_token_id"),
      let begin = try spelling("tokenizer.ggml.bos_token_id")
    else { return NSNull() }
    func token(_ type: Int) -> [String: Any] { ["SpecialToken": ["id": begin, "type_id": type] as [String: Any]] }
    func text(_ name: String, _ type: Int) -> [String: Any] {
      ["Sequence": ["id": name, "type_id": type] as [String: Any]]
    }
    return [
      "type": "TemplateProcessing", "single": [token(0), text("A", 0)],
      "pair": [token(0), text("A", 0), token(1), text("B", 1)],
      "special_tokens": [begin: ["id": begin, "ids": [id], "tokens": [begin]] as [String: Any]],
    ] as [String: Any]
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
      "pre_tokenizer": ["type": "Sequence", "pretokenizers": [split, bytes]],
      "post_processor": try postProcessor(),
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
    var addsBegin = false
  }

  /// What `tokenizer.ggml.pre` stands for, of the families that are read here.
  private static let forms: [String: Form] = {
    let tail = #"|\s*[\r\n]+|\s+(?!\S)|\s+"#
    let words = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"#
    let others = #"| ?[^\s\p{L}\p{N}]+[\r\n]*"#
    let qwen = Form(regex: words + #"\p{N}"# + others + tail, composes: true, ignoresMerges: false)
    let llama = Form(
      regex: words + #"\p{N}{1,3}"# + others + tail, composes: false, ignoresMerges: true, addsBegin: true)
    // DeepSeek's distilled Qwen models keep the regular expression and leave the text as it is.
    let distilled = Form(regex: qwen.regex, composes: false, ignoresMerges: false)
    return ["qwen2": qwen, "deepseek-r1-qwen": distilled, "llama-bpe": llama, "llama3": llama]
  }()
}
