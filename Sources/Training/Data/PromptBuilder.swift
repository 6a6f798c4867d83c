import Checkpoint
import Foundation
import Rollout
import Support
import Tensor
import Tokenization
import Transformer

/// Turns problems and conversations into tokens: the instruction, the chat form, the model's own template.
final class PromptBuilder {
  let form: ChatForm
  private let loaded: LoadedModel
  private let settings: Configuration.Prompt
  private let stopTexts: [[UInt8]]
  /// What the template shows of the tools that a response may call; nil: there are none but Python.
  private let tools: JSONValue?

  /// - Throws: `MartletError` (configuration) for settings that the model's template does not read.
  init(_ loaded: LoadedModel, settings: Configuration.Prompt, python: String?, tools: ToolManifest? = nil) throws {
    self.loaded = loaded
    self.settings = settings
    self.tools = tools?.schemas
    form = try ChatForm(loaded, settings: settings, python: python)
    stopTexts = form.stopTokens.sorted().map(loaded.tokenizer.bytes)
  }

  /// The prompts of a configuration, with its tools.
  convenience init(_ loaded: LoadedModel, _ configuration: Configuration) throws {
    try self.init(
      loaded, settings: configuration.prompt, python: configuration.interpreter.python,
      tools: configuration.tools.map { try ToolManifest(path: $0) })
  }

  /// What ends a response.
  var endOfTurn: [Int32] { form.endOfTurn }

  /// Ids that end a response in this chat form.
  var stopTokens: Set<Int32> { form.stopTokens }

  /// The tokens of the prompt for `problem`, up to the response.
  func prompt(_ problem: Problem) throws -> [Int32] {
    let text =
      problem.prompt ?? (settings.instruction.isEmpty ? problem.problem : problem.problem + "\n" + settings.instruction)
    return try prompt([ChatMessage(role: "user", content: text)])
  }

  /// The tokens of a prompt whose text is given.
  func prompt(text: String) throws -> [Int32] { try prompt([ChatMessage(role: "user", content: text)]) }

  private func prompt(_ messages: [ChatMessage]) throws -> [Int32] {
    encodePrompt(Array(try form.render(withSystem(messages), tools: tools, addGenerationPrompt: true).utf8))
  }

  /// A conversation as training sequences: tokens and, for each, whether the model writes it. It is one sequence as
  /// long as the template leaves earlier turns as they were. Where the template rewrites them (it drops the reasoning
  /// of earlier answers), the next answer begins a new sequence: each answer is learnt in the context that it is
  /// sampled in.
  /// - Throws: `MartletError` (data) for what the template does not render.
  func sequences(_ conversation: Conversation) throws -> [(tokens: [Int32], trained: [Bool])] {
    let messages = withSystem(conversation.messages)
    let added = messages.count - conversation.messages.count
    try conversation.check(form, messages: messages, added: added)
    var found: [(tokens: [Int32], trained: [Bool])] = []
    var text: [UInt8]?
    for place in conversation.trained.map({ $0 + added }) {
      let turn = try form.turn(place, of: messages, tools: conversation.tools, stopTexts: stopTexts)
      var context: [Int32]
      if let text, turn.context.starts(with: text) {
        context = encode(turn.context[text.count...])
      } else {
        found.append(([], []))
        context = encodePrompt(turn.context)
      }
      let answer = encode(turn.answer[...]) + (turn.isEnded ? [] : form.endOfTurn)
      found[found.count - 1].tokens += context + answer
      found[found.count - 1].trained += context.map { _ in false } + answer.map { _ in true }
      text = turn.isEnded ? turn.context + turn.answer : nil
    }
    return found
  }

  /// The configured system message goes before conversations that have none.
  private func withSystem(_ messages: [ChatMessage]) -> [ChatMessage] {
    guard let system = settings.system, messages.first?.role != "system" else { return messages }
    return [ChatMessage(role: "system", content: system)] + messages
  }

  private func encode(_ text: ArraySlice<UInt8>) -> [Int32] {
    loaded.tokenizer.encode(String(decoding: text, as: UTF8.self))
  }

  /// A template writes its begin token itself. A plain text gets it here, with a line end as in the training examples.
  private func encodePrompt(_ text: [UInt8]) -> [Int32] {
    guard form.isPlain else { return encode(text[...]) }
    let plain = String(decoding: text, as: UTF8.self)
    let ends = plain.last?.isNewline == false
    return loaded.encodePlain(plain) + (ends ? loaded.tokenizer.encode("\n") : [])
  }
}
