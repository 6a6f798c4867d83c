import Checkpoint
import Foundation
import Rollout
import Support
import Tokenization
import Transformer

/// A model's chat format: how messages become text, what ends an assistant's turn, which tokens end a response.
/// Prompts, training examples and the sampler all use this type.
final class ChatForm {
  /// The tokens that the model writes at the end of an answer. They are found by rendering a conversation: the text
  /// after the assistant's words, up to the first added token. A format without such a token (plain text) ends with the
  /// model's own end of text.
  let endOfTurn: [Int32]
  /// Ids that end a response: the model's stop tokens, and the end of a turn.
  let stopTokens: Set<Int32>
  /// Whether the format itself writes the end of a turn.
  let writesEnd: Bool

  private enum Form {
    case own(String, ChatTemplateRenderer)
    case builtin(BuiltinTemplate)
  }
  private let form: Form
  private let variables: [(key: String, value: JSONValue)]
  private let date: String?

  /// Whether a prompt is the bare text, without a template.
  var isPlain: Bool { if case .builtin(.none) = form { true } else { false } }

  /// Whether a prompt tells the model which tools there are.
  var showsTools: Bool {
    get throws {
      guard case .own(let template, let renderer) = form else { return false }
      return try renderer.names(template: template).contains("tools")
    }
  }

  /// - Throws: `MartletError` (configuration) for settings that the template does not read.
  init(_ loaded: LoadedModel, settings: Configuration.Prompt, python: String?) throws {
    form =
      switch settings.template {
      case .auto:
        loaded.files.chatTemplate.map { .own($0, ChatTemplateRenderer(python: python)) } ?? .builtin(.none)
      case .chatml: .builtin(.chatml)
      case .deepseek: .builtin(.deepseek)
      case .none: .builtin(.none)
      }
    date = settings.date
    let given = settings.templateVariables.sorted { $0.key < $1.key }
    variables =
      loaded.specialTokens.spellings.filter { settings.templateVariables[$0.key] == nil }
      .sorted { $0.key < $1.key }.map { ($0.key, JSONValue($0.value)) } + given.map { ($0.key, $0.value.json) }
    try Self.refuseUnread(settings, form)
    let tail = try Self.textBehindAnAnswer(form, variables, date).map { loaded.tokenizer.encode($0) } ?? []
    let stops = loaded.model.configuration.stopTokens
    if let end = tail.firstIndex(where: loaded.tokenizer.isAdded) {
      (endOfTurn, writesEnd) = (Array(tail[...end]), true)
    } else {
      let own = loaded.specialTokens.end.flatMap(loaded.tokenizer.token)
      let end = if case .own = form { own ?? stops.first } else { stops.first ?? own }
      (endOfTurn, writesEnd) = (end.map { [$0] } ?? [], false)
    }
    stopTokens = Set(stops).union(endOfTurn.suffix(1))
  }

  func render(_ messages: [ChatMessage], tools: JSONValue? = nil, addGenerationPrompt: Bool) throws -> String {
    try Self.render(
      form,
      ChatTemplateInput(
        messages, tools: tools, addGenerationPrompt: addGenerationPrompt, variables: variables, date: date))
  }

  private static func render(_ form: Form, _ input: ChatTemplateInput) throws -> String {
    switch form {
    case .own(let template, let renderer): try renderer.render(template: template, input)
    case .builtin(let template): template.render(input.messages, addGenerationPrompt: input.addGenerationPrompt)
    }
  }

  /// What the format writes after an assistant's words; nil where it does not show them.
  private static func textBehindAnAnswer(
    _ form: Form, _ variables: [(key: String, value: JSONValue)], _ date: String?
  ) throws -> String? {
    let answer = "Answer4711"
    let messages = [ChatMessage(role: "user", content: "Question"), ChatMessage(role: "assistant", content: answer)]
    do {
      let text = try render(
        form, ChatTemplateInput(messages, addGenerationPrompt: false, variables: variables, date: date))
      return text.range(of: answer, options: .backwards).map { String(text[$0.upperBound...]) }
    } catch let error as MartletError where error.status == .data {
      return nil  // a template that knows no answers can still ask
    }
  }

  /// Variables or a date that the template does not read would silently change nothing.
  private static func refuseUnread(_ settings: Configuration.Prompt, _ form: Form) throws {
    let given = settings.templateVariables.keys.sorted().map { (key: "prompt.template_variables.\($0)", names: [$0]) }
    let date = settings.date == nil ? [] : [(key: "prompt.date", names: ["strftime_now", "date_string"])]
    guard let first = given.first ?? date.first else { return }
    guard case .own(let template, let renderer) = form else {
      throw MartletError(
        .configuration,
        "\(first.key): only a chat template that comes with the model reads it, and none is used here; remove it")
    }
    let known = try renderer.names(template: template)
    for (key, names) in given + date where known.isDisjoint(with: names) {
      let others = known.subtracting(reservedVariables).subtracting(["namespace"])
      let list = others.isEmpty ? "none" : others.sorted().joined(separator: ", ")
      throw MartletError(
        .configuration, "\(key): the model's chat template does not read it; of such names it reads \(list)")
    }
  }

  /// Variables that the program itself gives to a template.
  static let reservedVariables: Set<String> = [
    "messages", "tools", "documents", "add_generation_prompt", "strftime_now", "raise_exception",
  ]
}
