import Foundation
import Tokenization
import Transformer

extension ModelFiles {
  /// What every tokenizer_config.json of ours begins with.
  static var plainTokenizerConfig: [String: Any] {
    ["tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false]
  }

  static func json(_ fields: [String: Any]) throws -> Data {
    try JSONSerialization.data(
      withJSONObject: fields, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]) + Data("\n".utf8)
  }

  /// The files of an export: those the model came with, and what transformers needs besides.
  ///
  /// A model without tokenizer_config.json gets one that names its special tokens, one without generation_config.json
  /// one with its stop ids. transformers 5 builds the tokenizer of a qwen2 or qwen3 model from vocabulary and merges
  /// alone: where that gives other ids, the configuration asks for the file as it is.
  func exported(_ configuration: ModelConfiguration) throws -> ModelFiles {
    var files = self
    // The tokenizer's own file has the template already.
    if let template = chatTemplate, let config = tokenizerConfig,
      (try? HuggingFaceFolder.embeddedTemplate(config, path: "")) == template
    {
      files.chatTemplate = nil
    }
    if generationConfig == nil {
      let stops = configuration.stopTokens.map(Int.init)
      var generation: [String: Any] = ["eos_token_id": stops.count == 1 ? stops[0] : stops]
      if stops.isEmpty { generation = [:] }
      if let begin = configuration.beginToken { generation["bos_token_id"] = Int(begin) }
      files.generationConfig = try Self.json(generation)
    }
    // Of a kind that is not read here, the tokenizer goes out as it came.
    guard let json = tokenizer, let tokenizer = try? Tokenizer(json: json, path: Self.tokenizerName) else {
      return files
    }
    if tokenizerConfig == nil {
      var special = try SpecialTokens(self, path: "the model")
      special.fill(begin: configuration.beginToken, end: configuration.stopTokens.first, tokenizer: tokenizer)
      files.tokenizerConfig = try Self.json(Self.plainTokenizerConfig.merging(special.spellings) { $1 })
    }
    if configuration.architecture != .llama, !tokenizer.isQwen2Form { try files.askForOwnTokenizer() }
    return files
  }

  /// The module that tokenizer_config.json names; what it holds is transformers' own class.
  static let tokenizerModuleName = "tokenization_file.py"
  static let tokenizerModule = """
    # transformers builds the tokenizer of this kind of model from vocabulary and merges alone, unless told otherwise.
    # The entry auto_map in tokenizer_config.json tells it to take tokenizer.json as it is, with or without remote code.
    from transformers import PreTrainedTokenizerFast


    class TokenizerFromFile(PreTrainedTokenizerFast):
        pass

    """

  /// Whether ``exported(_:)`` wrote an `auto_map` that names the module.
  var asksForOwnTokenizer: Bool {
    tokenizerConfig.map { String(decoding: $0, as: UTF8.self).contains("tokenization_file.TokenizerFromFile") } ?? false
  }

  private mutating func askForOwnTokenizer() throws {
    guard let data = tokenizerConfig, var config = try JSONSerialization.jsonObject(with: data) as? [String: Any],
      config["auto_map"] == nil
    else { return }
    config.merge(Self.plainTokenizerConfig) { $1 }
    config["auto_map"] = ["AutoTokenizer": [NSNull(), "tokenization_file.TokenizerFromFile"] as [Any]]
    tokenizerConfig = try Self.json(config)
  }
}
