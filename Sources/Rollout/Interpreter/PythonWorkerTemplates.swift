import Foundation
import Support
import Tokenization
import Transformer

/// What a chat template is rendered with, as in transformers' `apply_chat_template`.
package struct ChatTemplateInput: Sendable {
  /// The conversation, in order.
  package var messages: [ChatMessage]
  /// A list of JSON schemas; nil: none.
  package var tools: JSONValue?
  /// Whether the text ends where the assistant is to continue.
  package var addGenerationPrompt: Bool
  /// Variables of the template: `bos_token`, `eos_token`, ..., `enable_thinking`.
  package var variables: [(key: String, value: JSONValue)]
  /// The day that `strftime_now` and `date_string` give, as YYYY-MM-DD; nil: today.
  package var date: String?

  /// A conversation to be rendered.
  package init(
    _ messages: [ChatMessage], tools: JSONValue? = nil, addGenerationPrompt: Bool,
    variables: [(key: String, value: JSONValue)] = [], date: String? = nil
  ) {
    self.messages = messages
    self.tools = tools
    self.addGenerationPrompt = addGenerationPrompt
    self.variables = variables
    self.date = date
  }
}

/// Renders a model's own chat template in a killable, confined jinja2, as transformers' `apply_chat_template` does.
public final class ChatTemplateRenderer: Sendable {
  private let worker: PythonWorker
  private let limit: Double

  /// - Parameter limit: wall-clock seconds a template may take.
  public init(python: String? = nil, limit: Double = 10) {
    worker = PythonWorker(kind: .template, python: python)
    self.limit = limit
  }

  /// - Throws: `MartletError` (data) with the template's own error, or when it takes too long; (configuration) when
  ///   jinja2 is missing.
  package func render(template: String, _ input: ChatTemplateInput) throws -> String {
    struct Reply: Decodable { var text: String }
    return try call(
      Reply.self,
      [
        "template": template, "messages": JSONValue.array(input.messages.map(\.fields)).text,
        "tools": (input.tools ?? .null).text, "add_generation_prompt": input.addGenerationPrompt,
        "variables": JSONValue.object(input.variables).text, "date": input.date as Any? ?? NSNull(),
      ]
    ).text
  }

  /// The variables that a template reads and does not set itself, including transformers' own functions.
  package func names(template: String) throws -> Set<String> {
    struct Reply: Decodable { var names: Set<String> }
    return try call(Reply.self, ["template": template, "names": true]).names
  }

  private func call<Reply: Decodable>(_ type: Reply.Type, _ request: [String: Any]) throws -> Reply {
    do {
      return try JSONDecoder().decode(Reply.self, from: try worker.call(request, limit: limit))
    } catch let failure as PythonWorker.Failure {
      let what =
        switch failure {
        case .timeout: "took more than \(limit) s"
        case .memory: "used too much memory"
        case .crashed: "crashed its worker"
        case .raised(let text): "failed: \(text)"
        }
      throw MartletError(.data, "chat template: \(what); use --template chatml, deepseek or none instead")
    }
  }
}
