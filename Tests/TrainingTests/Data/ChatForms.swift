import Checkpoint
import Foundation
import Support
import TestSupport
import Testing
import Tokenization
import Transformer

@testable import Training

/// The models' forms of `tools/fixtures/chat_forms.py`, each as a Hugging Face folder without weights.
struct ChatForms {
  struct Case {
    let name: String
    let messages: JSONValue
    let tools: JSONValue?
    let variables: [String: PlainValue]
    /// What transformers renders: the whole, and the prompt of each answer.
    let text: String
    let prompts: [String]
    let firstPromptIDs: [Int32]
  }

  private let forms: JSONValue

  init() throws {
    let url = try #require(
      Bundle.module.url(forResource: "chat-forms", withExtension: "json", subdirectory: "Fixtures"))
    let bytes = [UInt8](try Data(contentsOf: url))
    forms = try #require(
      try bytes.withUnsafeBufferPointer {
        var scanner = JSONScanner($0, path: url.path)
        return try scanner.value()
      }["forms"])
  }

  func form(_ name: String) throws -> JSONValue { try #require(forms[name]) }

  func cases(_ name: String) throws -> [Case] {
    guard case .array(let cases)? = try form(name)["cases"] else { return [] }
    return try cases.map { item in
      let variables = try #require(item["variables"]).text
      return Case(
        name: try #require(item["name"]?.asText), messages: try #require(item["messages"]), tools: item["tools"],
        variables: try JSONDecoder().decode([String: PlainValue].self, from: Data(variables.utf8)),
        text: try #require(item["text"]?.asText),
        prompts: try JSONDecoder().decode([String].self, from: Data(try #require(item["prompts"]).text.utf8)),
        firstPromptIDs: try JSONDecoder().decode(
          [Int32].self, from: Data(try #require(item["first_prompt_ids"]).text.utf8)))
    }
  }

  /// The form's model. `change` may edit its files by name before they are read.
  func model(_ name: String, _ change: (inout [String: String]) -> Void = { _ in }) throws -> LoadedModel {
    let form = try form(name)
    let folder = try ScratchFolder()
    let tokenizer = try #require(form["tokenizer"]).text
    let count = try Tokenizer(json: Data(tokenizer.utf8), path: name).vocabularyCount
    let architecture = try #require(form["architecture"]?.asText)
    var files = [
      "tokenizer.json": tokenizer, "tokenizer_config.json": try #require(form["tokenizer_config"]).text,
      "config.json": """
      {"model_type": "\(architecture)", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, \
      "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": \(count), \
      "max_position_embeddings": 2048, "eos_token_id": \(try #require(form["eos_token_id"]).text)}
      """,
    ]
    change(&files)
    for (name, text) in files { try folder.write(text, name) }
    let (shape, stored) = try HuggingFaceFolder.readHeader(folder.path)
    return try LoadedModel(
      stored: StoredModel(model: LanguageModel(configuration: shape), files: stored), path: folder.path)
  }

  func builder(
    _ name: String, _ change: (inout Configuration.Prompt) -> Void = { _ in }
  ) throws -> (LoadedModel, PromptBuilder) {
    let loaded = try model(name)
    var prompt = Configuration.Prompt()
    change(&prompt)
    return (loaded, try PromptBuilder(loaded, settings: prompt, python: nil))
  }
}
