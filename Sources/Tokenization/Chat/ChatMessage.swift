import Support

/// One message of a conversation, with all the fields that its file gives it, in their order.
public struct ChatMessage: Sendable, Equatable {
  /// A JSON object.
  package let fields: JSONValue

  /// A message without any other field.
  public init(role: String, content: String) {
    fields = .object([("role", JSONValue(role)), ("content", JSONValue(content))])
  }

  /// - Parameter members: `role`, `content`, and what else a chat template may read. Nulls count as absent, but for
  ///   `content`: templates ask whether it is none (DeepSeek-R1 before a tool call).
  package init(members: [(key: String, value: JSONValue)]) {
    fields = .object(members.filter { if case .null = $0.value { $0.key == "content" } else { true } })
  }

  /// `system`, `user`, `assistant` or `tool`.
  public var role: String { fields["role"]?.asText ?? "" }
  /// The text; empty where there is none.
  public var content: String { fields["content"]?.asText ?? "" }

  package var members: [(key: String, value: JSONValue)] {
    if case .object(let members) = fields { members } else { [] }
  }

  /// The message without some of its fields.
  package func without(_ keys: Set<String>) -> ChatMessage {
    ChatMessage(members: members.filter { !keys.contains($0.key) })
  }
}

extension ChatMessage: Decodable {
  private enum CodingKeys: CodingKey { case role, content }

  /// Reads `role` and `content` alone.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      role: try values.decode(String.self, forKey: .role), content: try values.decode(String.self, forKey: .content))
  }
}
