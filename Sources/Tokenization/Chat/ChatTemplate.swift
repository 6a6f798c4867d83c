/// Chat forms known without a model's own template.
public enum BuiltinTemplate: String, Codable, Sendable, CaseIterable {
  /// `<|im_start|>role\n...<|im_end|>\n`, as Qwen2 and Qwen3; no system message is made up.
  case chatml
  /// DeepSeek-R1 and its distilled models: the system text bare at the start, `<｜User｜>`, `<｜Assistant｜>`.
  case deepseek
  /// The contents alone, nothing between them.
  case none

  /// The conversation as the text a model reads. It begins with the form's begin token, so encode it without another.
  /// - Parameter addGenerationPrompt: ends the text where the assistant's answer begins (with `deepseek`, inside
  ///   `<think>`).
  public func render(_ messages: [ChatMessage], addGenerationPrompt: Bool) -> String {
    switch self {
    case .none: messages.map(\.content).joined()
    case .chatml: Self.renderChatML(messages, addGenerationPrompt)
    case .deepseek: Self.renderDeepSeek(messages, addGenerationPrompt)
    }
  }

  private static func renderChatML(_ messages: [ChatMessage], _ addGenerationPrompt: Bool) -> String {
    var text = ""
    for (place, message) in messages.enumerated() {
      guard message.role == "tool" else {
        text += "<|im_start|>\(message.role)\n\(message.content)<|im_end|>\n"
        continue
      }
      // Neighbouring tool messages share one user turn.
      if place == 0 || messages[place - 1].role != "tool" { text += "<|im_start|>user" }
      text += "\n<tool_response>\n\(message.content)\n</tool_response>"
      if place + 1 == messages.count || messages[place + 1].role != "tool" { text += "<|im_end|>\n" }
    }
    return addGenerationPrompt ? text + "<|im_start|>assistant\n" : text
  }

  private static func renderDeepSeek(_ messages: [ChatMessage], _ addGenerationPrompt: Bool) -> String {
    var text = "<｜begin▁of▁sentence｜>" + (messages.last { $0.role == "system" }?.content ?? "")
    var (toolTurn, hadTool) = (false, false)
    for message in messages {
      switch message.role {
      case "user":
        toolTurn = false
        text += "<｜User｜>" + message.content
      case "assistant":
        text += toolTurn ? "<｜tool▁outputs▁end｜>" : "<｜Assistant｜>"
        text += (toolTurn ? message.content : answer(message.content)) + "<｜end▁of▁sentence｜>"
        toolTurn = false
      case "tool":
        // The official form opens the outputs once a conversation.
        text += hadTool ? "\n" : "<｜tool▁outputs▁begin｜>"
        text += "<｜tool▁output▁begin｜>" + message.content + "<｜tool▁output▁end｜>"
        (toolTurn, hadTool) = (true, true)
      default: break
      }
    }
    if toolTurn { text += "<｜tool▁outputs▁end｜>" }
    return addGenerationPrompt && !toolTurn ? text + "<｜Assistant｜><think>\n" : text
  }

  /// An assistant's content without its reasoning, which the official form drops.
  private static func answer(_ content: String) -> String {
    let close = Array("</think>".utf8)
    let bytes = Array(content.utf8)
    guard let last = bytes.indices.last(where: { bytes[$0...].starts(with: close) }) else { return content }
    return String(decoding: bytes[(last + close.count)...], as: UTF8.self)
  }
}
