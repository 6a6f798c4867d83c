import Foundation
import Tensor

/// Renders a model's own chat template in a killable, confined jinja2, as transformers' `apply_chat_template` does.
public final class ChatTemplateRenderer: Sendable {
  private let worker: PythonWorker
  private let limit: Double

  /// - Parameter limit: wall-clock seconds a template may take.
  public init(python: String? = nil, limit: Double = 10) {
    worker = PythonWorker(kind: .template, python: python)
    self.limit = limit
  }

  /// - Parameters:
  ///   - messages: role and content of each message, in order.
  ///   - tokens: what the template may name: `bos_token`, `eos_token`, `pad_token`, `unk_token`, ...
  /// - Throws: `MartletError` (data) with the template's own error, or when it takes too long; (configuration) when
  ///   jinja2 is missing.
  public func render(
    template: String, messages: [(role: String, content: String)], addGenerationPrompt: Bool,
    tokens: [String: String] = [:]
  ) throws -> String {
    struct Reply: Decodable { var text: String }
    // Pairs, not objects: a template that prints a message shows its keys in transformers' order.
    let request: [String: Any] = [
      "template": template, "messages": messages.map { [$0.role, $0.content] },
      "add_generation_prompt": addGenerationPrompt, "variables": tokens,
    ]
    do {
      return try JSONDecoder().decode(Reply.self, from: try worker.call(request, limit: limit)).text
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
