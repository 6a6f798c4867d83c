import Support

/// What tokenizer.json's post-processor puts before a text.
extension TokenizerParts {
  /// - Returns: nil for a post-processor that adds no tokens (none, ByteLevel).
  func beginTokens(of value: JSONValue, field: String) throws -> [Int32]? {
    if case .null = value { return nil }
    switch try string(value, "type", in: field) {
    case "ByteLevel": return nil
    case "TemplateProcessing": return try template(value, field)
    case "BertProcessing", "RobertaProcessing":
      guard case .array(let pair)? = value["cls"], let id = pair.last else {
        throw failure("\(field).cls", "is not a pair of a token and its id")
      }
      return [try tokenID(id, "\(field).cls")]
    case "Sequence":
      var begin: [Int32]?
      for (place, element) in try elements(value, "processors", in: field).enumerated() {
        // The one behind puts its tokens before those of the one ahead.
        guard let own = try beginTokens(of: element, field: "\(field).processors[\(place)]") else { continue }
        begin = own + (begin ?? [])
      }
      return begin
    default: throw unsupported("\(field).type", "\"\(try string(value, "type", in: field))\"")
    }
  }

  /// The special tokens that `single` has before the text.
  private func template(_ value: JSONValue, _ field: String) throws -> [Int32] {
    var begin: [Int32] = []
    for (place, piece) in try elements(value, "single", in: field).enumerated() {
      let here = "\(field).single[\(place)]"
      if piece["Sequence"] != nil { break }
      guard let token = piece["SpecialToken"] else {
        throw failure(here, "is neither a SpecialToken nor a Sequence")
      }
      let name = try string(token, "id", in: here)
      guard let entry = value["special_tokens"]?[name] else {
        throw failure("\(field).special_tokens", "has no \"\(name)\", which \(here) names")
      }
      begin += try elements(entry, "ids", in: "\(field).special_tokens").map {
        try tokenID($0, "\(field).special_tokens[\"\(name)\"].ids")
      }
    }
    return begin
  }

  private func tokenID(_ value: JSONValue, _ field: String) throws -> Int32 {
    guard case .number(let number, _) = value, let id = Int32(exactly: number), tokens.contains(id) else {
      throw failure(field, "\(value.text) is not the id of a token")
    }
    return id
  }
}
