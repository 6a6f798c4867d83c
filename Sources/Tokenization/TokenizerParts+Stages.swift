import Support

/// Normaliser, pre-tokenizer, decoder and added tokens of tokenizer.json.
extension TokenizerParts {
  mutating func readNormalizer(_ value: JSONValue, field: String) throws {
    if case .null = value { return }
    let type = try string(value, "type", in: field)
    switch type {
    case "NFC": setNormalizes()
    case "Sequence":
      for (place, element) in try elements(value, "normalizers", in: field).enumerated() {
        try readNormalizer(element, field: "\(field).normalizers[\(place)]")
      }
    default: throw unsupported("\(field).type", "\"\(type)\"")
    }
  }

  mutating func readPreTokenizer(_ value: JSONValue) throws {
    var stages: [TokenizerSplitter.Stage] = []
    var hasByteLevel = false
    func read(_ value: JSONValue, _ field: String) throws {
      let type = try string(value, "type", in: field)
      guard !hasByteLevel else { throw unsupported("\(field).type", "\"\(type)\" behind ByteLevel") }
      switch type {
      case "Sequence":
        for (place, element) in try elements(value, "pretokenizers", in: field).enumerated() {
          try read(element, "\(field).pretokenizers[\(place)]")
        }
      case "Split": stages.append(.pattern(try splitPattern(value, field)))
      case "Digits":
        stages.append(.digits(individual: try boolean(value, "individual_digits", in: field, default: false)))
      case "ByteLevel":
        hasByteLevel = true
        if try boolean(value, "add_prefix_space", in: field, default: true) { stages.append(.prefixSpace) }
        if try boolean(value, "use_regex", in: field, default: true) { stages.append(.pattern(.gpt2)) }
      default: throw unsupported("\(field).type", "\"\(type)\"")
      }
    }
    if case .null = value {} else { try read(value, "pre_tokenizer") }
    guard hasByteLevel else { throw unsupported("pre_tokenizer", "a pre-tokenizer without ByteLevel") }
    setStages(stages)
  }

  private func splitPattern(_ value: JSONValue, _ field: String) throws -> TokenizerPattern {
    guard let pattern = value["pattern"], pattern["Regex"] != nil else {
      throw unsupported("\(field).pattern", "a pattern that is no Regex")
    }
    let regex = try string(pattern, "Regex", in: "\(field).pattern")
    guard let known = TokenizerPattern(regex: regex) else {
      throw unsupported("\(field).pattern.Regex", "the pattern \(regex.prefix(300))")
    }
    // The known patterns leave nothing between their matches, so that keeping the matches alone is the same.
    let behavior = try string(value, "behavior", in: field)
    let inverted = try boolean(value, "invert", in: field, default: false)
    guard behavior == "Isolated" || behavior == "Removed" && inverted else {
      throw unsupported("\(field).behavior", "\"\(behavior)\"\(inverted ? ", inverted," : "")")
    }
    return known
  }

  func check(decoder value: JSONValue, field: String = "decoder") throws {
    if case .null = value { throw unsupported(field, "a missing decoder") }
    let type = try string(value, "type", in: field)
    if type == "Sequence" {
      let decoders = try elements(value, "decoders", in: field)
      guard decoders.count == 1 else { throw unsupported("\(field).decoders", "a sequence of \(decoders.count)") }
      return try check(decoder: decoders[0], field: "\(field).decoders[0]")
    }
    guard type == "ByteLevel" else { throw unsupported("\(field).type", "\"\(type)\"") }
  }

  /// The library numbers added tokens itself: by the vocabulary, else from its end on. Files that say otherwise mean
  /// other ids than the library uses, so they are refused.
  mutating func readAddedTokens(_ value: JSONValue) throws {
    if case .null = value { return }
    guard case .array(let entries) = value else {
      throw failure("added_tokens", "is \(value.kind), not an array")
    }
    var matched: [(token: AddedToken, content: [UInt8])] = []
    var next = Int32(vocabulary.count)
    var decoded: [UInt8] = []
    var seen: [[UInt8]: AddedToken] = [:]  // by bytes: equal strings may be spelt differently
    for (place, entry) in entries.enumerated() {
      let field = "added_tokens[\(place)]"
      guard case .object = entry else { throw failure(field, "is \(entry.kind), not an object") }
      let content = Array(try string(entry, "content", in: field).utf8)
      guard case .number(let number, _)? = entry["id"], number >= 0, number < Double(Self.maximumVocabulary),
        let id = Int32(exactly: number)
      else { throw failure("\(field).id", "is not a whole number below \(Self.maximumVocabulary)") }
      let special = try boolean(entry, "special", in: field, default: false)
      let token = AddedToken(
        content: String(decoding: content, as: UTF8.self), id: id, special: special,
        normalized: try boolean(entry, "normalized", in: field, default: !special),
        stripsLeft: try boolean(entry, "lstrip", in: field, default: false),
        stripsRight: try boolean(entry, "rstrip", in: field, default: false),
        singleWord: try boolean(entry, "single_word", in: field, default: false))
      if content.isEmpty || seen[content] == token { continue }
      guard seen.updateValue(token, forKey: content) == nil else {
        throw failure("\(field).content", "\"\(token.content)\" stands there twice")
      }
      let known = content.withUnsafeBufferPointer { vocabulary.find(spelling: $0) }
      guard id == known ?? next else {
        throw failure(
          "\(field).id", "\"\(token.content)\" has \(id), but the tokenizers library gives it \(known ?? next)",
          "number the added tokens without gaps behind the vocabulary")
      }
      if known == nil {
        guard !tokens.contains(id) else { throw failure("\(field).id", "\(id) belongs to another token too") }
        next += 1
        // The library decodes a normalised token to its normalised content.
        let pattern = token.normalized ? normalForm(content) : content
        let isByteLevel = pattern.withUnsafeBufferPointer { ByteAlphabet.decode($0, into: &decoded) }
        insert(isByteLevel ? decoded : pattern, id)
      }
      matched.append((token, content))
    }
    register(matched)
  }

  func elements(_ object: JSONValue, _ name: String, in field: String) throws -> [JSONValue] {
    guard let found = object[name] else { throw failure("\(field).\(name)", "is missing") }
    guard case .array(let elements) = found else {
      throw failure("\(field).\(name)", "is \(found.kind), not an array")
    }
    return elements
  }
}
