import Rollout
import Support
import Tensor
import Tokenization
import Transformer

/// The conversation of a data line: `messages` and `tools`, with all that a chat template may read.
struct Conversation {
  var messages: [ChatMessage]
  /// A list of JSON schemas.
  var tools: JSONValue?
  /// Indices of the assistant's messages that are learnt: those whose `weight` is not 0.
  var trained: [Int]

  init(prompt: String, response: String) {
    messages = [ChatMessage(role: "user", content: prompt), ChatMessage(role: "assistant", content: response)]
    trained = [1]
  }

  private static let roles = ["system", "developer", "user", "assistant", "tool", "ipython"]
  /// Keys that a message may have. Others are refused: we could not tell whether the template reads them.
  private static let keys = [
    "role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content", "reasoning", "thinking", "weight",
  ]

  /// Reads the values of `messages` and `tools`.
  /// - Throws: `MartletError` (data) naming message and field.
  init(messages value: JSONValue, tools: JSONValue?) throws {
    guard case .array(let entries) = value, !entries.isEmpty else {
      throw MartletError(.data, "messages: is not a list of {\"role\", \"content\"}")
    }
    messages = []
    trained = []
    for (place, entry) in entries.enumerated() {
      let (message, weight) = try Self.message(entry, "messages[\(place)]")
      messages.append(message)
      if message.role == "assistant", weight { trained.append(place) }
    }
    try checkLinks()
    self.tools = tools
    if let tools {
      guard case .array(let schemas) = tools, schemas.allSatisfy({ if case .object = $0 { true } else { false } })
      else { throw MartletError(.data, "tools: is not a list of JSON schemas") }
    }
  }

  private static func message(_ entry: JSONValue, _ place: String) throws -> (ChatMessage, weight: Bool) {
    guard case .object(let members) = entry else {
      throw MartletError(.data, "\(place): is \(entry.kind), not an object with role and content")
    }
    for key in members.map(\.key) where !keys.contains(key) {
      if entry[key] == nil { continue }
      throw MartletError(.data, "\(place).\(unknownKey(key, among: keys))")
    }
    let message = ChatMessage(members: members.filter { $0.key != "weight" })
    guard let role = entry["role"]?.asText, roles.contains(role) else {
      throw MartletError(.data, "\(place).role: must be one of \(roles.joined(separator: ", "))")
    }
    if let content = entry["content"], content.asText == nil {
      throw MartletError(.data, "\(place).content: is \(content.kind); only text is supported")
    }
    guard entry["content"] != nil || entry["tool_calls"] != nil || entry["reasoning_content"] != nil else {
      throw MartletError(.data, "\(place).content: is missing")
    }
    guard let weight = entry["weight"] else { return (message, true) }
    guard role == "assistant" else {
      throw MartletError(.data, "\(place).weight: only an assistant's messages are learnt; remove it")
    }
    switch weight {
    case .number(0, _): return (message, false)
    case .number(1, _): return (message, true)
    default: throw MartletError(.data, "\(place).weight: is \(weight.text); it must be 0 (not learnt) or 1")
    }
  }

  /// A tool's message answers an earlier call: its id must be that call's, its name a called function's.
  private func checkLinks() throws {
    var ids: Set<String> = []
    var names: Set<String> = []
    for (place, message) in messages.enumerated() {
      if case .array(let calls)? = message.fields["tool_calls"] {
        for call in calls {
          if let id = call["id"]?.asText { ids.insert(id) }
          if let name = (call["function"] ?? call)["name"]?.asText { names.insert(name) }
        }
      }
      if let id = message.fields["tool_call_id"] {
        guard let id = id.asText, ids.contains(id) else {
          throw MartletError(.data, "messages[\(place)].tool_call_id: \(id.text) is not the id of an earlier tool call")
        }
      }
      if message.role == "tool", let name = message.fields["name"], !names.isEmpty {
        guard let name = name.asText, names.contains(name) else {
          throw MartletError(.data, "messages[\(place)].name: \(name.text) is not a function that was called before")
        }
      }
    }
  }

  /// Refuses fields that the template leaves out: each must change the rendering of the conversation up to it.
  /// - Throws: `MartletError` (data).
  /// - Parameters:
  ///   - messages: the messages to render.
  ///   - added: how many of them come before the line's own.
  func check(_ form: ChatForm, messages: [ChatMessage], added: Int) throws {
    func isDropped(_ keys: Set<String>, _ place: Int) -> Bool {
      let upTo = Array(messages[...place])
      let without = upTo.dropLast() + [upTo[place].without(keys)]
      let text = try? form.render(upTo, tools: tools, addGenerationPrompt: false)
      return text == (try? form.render(Array(without), tools: tools, addGenerationPrompt: false))
    }
    for (place, message) in messages.enumerated().dropFirst(added) {
      for (key, value) in message.members where !["role", "content", "tool_call_id"].contains(key) {
        if value.isNothing { continue }
        if message.role == "tool", key == "name" { continue }  // its link is checked
        let aliases: Set = ["reasoning_content", "reasoning", "thinking"]
        if isDropped(aliases.contains(key) ? aliases : [key], place) {
          throw MartletError(.data, "messages[\(place - added)].\(key): \(Self.notRendered)")
        }
      }
    }
    if let tools, !tools.isNothing {
      let text = try form.render(messages, tools: tools, addGenerationPrompt: false)
      if text == (try? form.render(messages, addGenerationPrompt: false)) {
        throw MartletError(.data, "tools: \(Self.notRendered)")
      }
    }
    try checkContents(form, messages: messages, added: added)
  }

  private static let notRendered =
    "the chat template does not show it, so it would be lost; remove it, or use a model whose template has it"

  /// Questions and tool results must be in the text; the model's earlier reasoning need not be.
  private func checkContents(_ form: ChatForm, messages: [ChatMessage], added: Int) throws {
    guard let last = trained.last else { return }
    let asked = Array(messages[..<(last + added)])
    let text = try form.render(asked, tools: tools, addGenerationPrompt: true)
    for (place, message) in asked.enumerated() where message.role != "assistant" {
      let words = message.content.utf8.map { $0 }.trimmingWhitespace
      if words.isEmpty || Array(text.utf8).firstRange(of: words) != nil { continue }
      var changed = asked
      changed[place] = ChatMessage(
        members: message.members.map { $0.key == "content" ? ("content", JSONValue("Changed4711")) : $0 })
      if text == (try? form.render(changed, tools: tools, addGenerationPrompt: true)) {
        throw MartletError(.data, "messages[\(place - added)] (\(message.role)): \(Self.notRendered)")
      }
    }
  }
}

extension JSONValue {
  /// Whether the value is an empty text or list, as tables write for a missing one: nothing is lost with it.
  fileprivate var isNothing: Bool {
    switch self {
    case .string(let bytes): bytes.isEmpty
    case .array(let elements): elements.isEmpty
    default: false
    }
  }
}
