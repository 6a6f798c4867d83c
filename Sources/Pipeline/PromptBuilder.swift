import Checkpoint
import Foundation
import Rollout
import Tensor
import Transformer

/// Turns problems and conversations into tokens: the instruction, the chat form, the model's own template.
final class PromptBuilder {
  private let loaded: LoadedModel
  private let settings: Configuration.Prompt
  private let renderer: ChatTemplateRenderer?
  private let ownTemplate: String?
  private let variables: [String: String]

  init(_ loaded: LoadedModel, settings: Configuration.Prompt, python: String?) {
    self.loaded = loaded
    self.settings = settings
    ownTemplate = settings.template == .auto ? loaded.files.chatTemplate : nil
    renderer = ownTemplate == nil ? nil : ChatTemplateRenderer(python: python)
    variables = Self.specialTokens(loaded.files.tokenizerConfig)
  }

  /// The tokens of `problem`'s prompt, up to where the response begins.
  func prompt(_ problem: Problem) throws -> [Int32] {
    let text =
      problem.prompt ?? (settings.instruction.isEmpty ? problem.problem : problem.problem + "\n" + settings.instruction)
    var messages = [ChatMessage(role: "user", content: text)]
    if let system = settings.system { messages.insert(ChatMessage(role: "system", content: system), at: 0) }
    return try encode(messages, addGenerationPrompt: true)
  }

  /// A prompt and its response as tokens, for training; the response ends with the stop token.
  func example(prompt: String, response: String) throws -> (prompt: [Int32], response: [Int32]) {
    let head = try self.prompt(Problem(id: "", problem: prompt, gold: "", prompt: prompt))
    return (head, loaded.tokenizer.encode(response) + endOfTurn)
  }

  /// Tokens and, for each, whether an assistant wrote it. The conversation is rendered once for each of its assistant turns,
  /// so that a template that changes earlier turns shows.
  func conversation(_ messages: [ChatMessage]) throws -> (tokens: [Int32], trained: [Bool]) {
    var tokens: [Int32] = []
    var trained: [Bool] = []
    for (place, message) in messages.enumerated() where message.role == "assistant" {
      let before = try encode(Array(messages[..<place]), addGenerationPrompt: true)
      let after = loaded.tokenizer.encode(message.content) + endOfTurn
      guard before.count >= tokens.count, Array(before.prefix(tokens.count)) == tokens || tokens.isEmpty else {
        throw MartletError(
          .data, "the chat template rewrites earlier turns, so this conversation cannot be trained on; split it")
      }
      trained += [Bool](repeating: false, count: before.count - tokens.count) + after.map { _ in true }
      tokens = before + after
    }
    return (tokens, trained)
  }

  /// What ends a response: the first stop id.
  var endOfTurn: [Int32] {
    if settings.template == .deepseek || settings.template == .chatml,
      let text = builtin.endOfTurn, let id = loaded.tokenizer.token(text)
    {
      return [id]
    }
    if settings.template == .auto, ownTemplate?.contains("<|im_end|>") == true,
      let id = loaded.tokenizer.token("<|im_end|>")
    {
      return [id]
    }
    return loaded.model.configuration.stopTokens.first.map { [$0] } ?? []
  }

  /// Ids that end a response in this chat form.
  var stopTokens: Set<Int32> { loaded.stopTokens.union(endOfTurn) }

  private var builtin: BuiltinTemplate {
    switch settings.template {
    case .auto, .none: .none
    case .chatml: .chatml
    case .deepseek: .deepseek
    }
  }

  private func encode(_ messages: [ChatMessage], addGenerationPrompt: Bool) throws -> [Int32] {
    let text: String
    if let ownTemplate, let renderer {
      text = try renderer.render(
        template: ownTemplate, messages: messages.map { ($0.role, $0.content) },
        addGenerationPrompt: addGenerationPrompt, tokens: variables)
    } else {
      text = builtin.render(messages, addGenerationPrompt: addGenerationPrompt)
    }
    var tokens = loaded.tokenizer.encode(text)
    // A plain prompt ends its line, as the training examples' do.
    if ownTemplate == nil, builtin == .none, addGenerationPrompt, messages.last?.content.last?.isNewline == false {
      tokens += loaded.tokenizer.encode("\n")
    }
    return tokens
  }

  /// The special tokens' spellings that a template may name.
  private static func specialTokens(_ configuration: Data?) -> [String: String] {
    guard let configuration,
      let fields = try? JSONSerialization.jsonObject(with: configuration) as? [String: Any]
    else { return [:] }
    var found: [String: String] = [:]
    for name in ["bos_token", "eos_token", "pad_token", "unk_token"] {
      if let text = fields[name] as? String { found[name] = text }
      if let token = fields[name] as? [String: Any], let text = token["content"] as? String { found[name] = text }
    }
    return found
  }
}
