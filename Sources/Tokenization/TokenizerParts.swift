import Support

/// What tokenizer.json says, checked and made ready for use.
struct TokenizerParts: Sendable {
  private(set) var vocabulary: TokenizerVocabulary
  private(set) var tokens = TokenBytes()
  private(set) var merges: MergeTable
  /// Byte -> id of the token for it alone, -1 where the vocabulary has none: the library drops such bytes.
  private(set) var byteIDs = [Int32](repeating: -1, count: 256)
  private(set) var ignoresMerges = false
  private(set) var normalizes = false
  private(set) var splitter = TokenizerSplitter()
  private(set) var addedTokens: [AddedToken] = []
  /// What the post-processor puts before a text; nil where the file's post-processor adds nothing of its own.
  private(set) var beginTokens: [Int32]?
  private(set) var rawMatcher = AddedTokenMatcher()
  private(set) var normalizedMatcher = AddedTokenMatcher()

  /// Ids from here on are refused: tables are as long as the largest id.
  static let maximumVocabulary = 1 << 22
  let path: String

  init(json: UnsafeBufferPointer<UInt8>, path: String) throws {
    self.path = path
    vocabulary = TokenizerVocabulary(capacity: json.count / 48)
    merges = MergeTable(capacity: json.count / 48)
    var fields: [String: JSONValue] = [:]
    var model: [String: JSONValue]?
    var scanner = JSONScanner(json, path: path)
    var key: [UInt8] = []
    try scanner.object(key: &key) { scanner, key in
      let name = String(decoding: key, as: UTF8.self)
      if name == "model" {
        guard model == nil else { throw scanner.failure("\"model\" stands there twice") }
        model = try readModel(&scanner)
      } else {
        fields[name] = try scanner.value(depth: 1)
      }
    }
    try scanner.expectEnd()
    guard let model else { throw failure("model", "is missing") }
    try check(model: model)
    try readNormalizer(fields["normalizer"] ?? .null, field: "normalizer")
    try readPreTokenizer(fields["pre_tokenizer"] ?? .null)
    try check(decoder: fields["decoder"] ?? .null)
    try readAddedTokens(fields["added_tokens"] ?? .null)
    beginTokens = try beginTokens(of: fields["post_processor"] ?? .null, field: "post_processor")
  }

  func failure(_ field: String, _ what: String, _ remedy: String = "fetch the file again") -> MartletError {
    MartletError(.data, "\(path): \(field): \(what); \(remedy)")
  }

  func unsupported(_ field: String, _ what: String) -> MartletError {
    failure(
      field, "\(what) is not supported",
      "use a model with a byte-level BPE tokenizer such as those of Qwen2, Qwen3, Llama 3, SmolLM or GPT-2")
  }

  // MARK: Model

  private mutating func readModel(_ scanner: inout JSONScanner) throws -> [String: JSONValue] {
    var fields: [String: JSONValue] = [:]
    var mergesStart: Int?
    var hasVocabulary = false
    var key: [UInt8] = []
    guard try scanner.peek() == UInt8(ascii: "{") else { throw failure("model", "is not an object") }
    try scanner.object(key: &key) { scanner, key in
      let name = String(decoding: key, as: UTF8.self)
      switch name {
      case "vocab":
        // Other kinds of model keep lists here; their type is named below.
        guard try scanner.peek() == UInt8(ascii: "{") else { return fields[name] = try scanner.value(depth: 2) }
        guard !hasVocabulary else { throw failure("model.vocab", "stands there twice") }
        hasVocabulary = true
        try readVocabulary(&scanner)
      case "merges":
        guard mergesStart == nil else { throw failure("model.merges", "stands there twice") }
        mergesStart = scanner.index
        guard try scanner.peek() == UInt8(ascii: "["), hasVocabulary else {
          return fields[name] = try scanner.value(depth: 2)
        }
        try readMerges(&scanner)
      default: fields[name] = try scanner.value(depth: 2)
      }
    }
    if let type = fields["type"] {
      guard case .string(let text) = type else { throw failure("model.type", "is \(type.kind), not a string") }
      let name = String(decoding: text, as: UTF8.self)
      guard name == "BPE" else { throw unsupported("model.type", "\"\(name)\"") }
    }
    guard hasVocabulary else {
      throw failure("model.vocab", fields["vocab"].map { "is \($0.kind), not an object" } ?? "is missing")
    }
    guard let mergesStart else { throw failure("model.merges", "is missing") }
    if let early = fields.removeValue(forKey: "merges") {
      guard case .array = early else { throw failure("model.merges", "is \(early.kind), not an array") }
      var again = JSONScanner(scanner.bytes, path: path, at: mergesStart)
      try readMerges(&again)
    }
    return fields
  }

  private mutating func readVocabulary(_ scanner: inout JSONScanner) throws {
    var key: [UInt8] = []
    var decoded: [UInt8] = []
    try scanner.object(key: &key) { scanner, key in
      func name() -> String { "model.vocab[\"\(String(decoding: key.prefix(60), as: UTF8.self))\"]" }
      guard let number = try scanner.wholeNumber(below: Self.maximumVocabulary) else {
        let value = try scanner.value(depth: 3)
        if case .number(let number, _) = value {
          throw failure(name(), "the id \(number) is not a whole number below \(Self.maximumVocabulary)")
        }
        throw failure(name(), "the id is \(value.kind), not a number")
      }
      let id = Int32(number)
      let isByteLevel = key.withUnsafeBufferPointer { ByteAlphabet.decode($0, into: &decoded) }
      guard !tokens.contains(id) else { throw failure(name(), "the id \(id) belongs to another token too") }
      guard vocabulary.insert(key, decoded: isByteLevel ? decoded : nil, id: id) else {
        throw failure(name(), "stands there twice")
      }
      tokens.insert(isByteLevel ? decoded : key, id)
      if isByteLevel, decoded.count == 1 { byteIDs[Int(decoded[0])] = id }
    }
  }

  private mutating func readMerges(_ scanner: inout JSONScanner) throws {
    var left: [UInt8] = []
    var right: [UInt8] = []
    try scanner.array { scanner, rank in
      var field: String { "model.merges[\(rank)]" }
      switch try scanner.peek() {
      case UInt8(ascii: "\""):
        try scanner.string(into: &left)
        guard let cut = left.firstIndex(of: 0x20), left[(cut + 1)...].firstIndex(of: 0x20) == nil else {
          throw failure(field, "\"\(String(decoding: left.prefix(60), as: UTF8.self))\" is not two tokens and a space")
        }
        right.removeAll(keepingCapacity: true)
        right.append(contentsOf: left[(cut + 1)...])
        left.removeSubrange(cut...)
      case UInt8(ascii: "["):
        var count = 0
        try scanner.array { scanner, place in
          guard try scanner.peek() == UInt8(ascii: "\""), place < 2 else {
            throw failure(field, "is not a pair of strings")
          }
          if place == 0 { try scanner.string(into: &left) } else { try scanner.string(into: &right) }
          count += 1
        }
        guard count == 2 else { throw failure(field, "is not a pair of strings") }
      default: throw failure(field, "is \(try scanner.value(depth: 3).kind), not a string or a pair of strings")
      }
      let leftID = try mergeID(left, rank)
      let rightID = try mergeID(right, rank)
      left.append(contentsOf: right)
      merges.insert(leftID, rightID, rank: rank, id: try mergeID(left, rank))
    }
  }

  private func mergeID(_ spelling: [UInt8], _ rank: Int) throws -> Int32 {
    guard let id = spelling.withUnsafeBufferPointer({ vocabulary.find(spelling: $0) }) else {
      let text = String(decoding: spelling.prefix(60), as: UTF8.self)
      throw failure("model.merges[\(rank)]", "the token \"\(text)\" is not in model.vocab")
    }
    return id
  }

  private mutating func check(model: [String: JSONValue]) throws {
    let model = JSONValue.object(model.map { ($0.key, $0.value) })
    if let dropout = model["dropout"] {
      guard case .number(0, _) = dropout else { throw unsupported("model.dropout", "dropout while encoding") }
    }
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
      guard let affix = model[name] else { continue }
      guard case .string(let text) = affix else {
        throw failure("model.\(name)", "is \(affix.kind), not a string or null")
      }
      guard text.isEmpty else { throw unsupported("model.\(name)", "a non-empty affix") }
    }
    if try boolean(model, "byte_fallback", in: "model", default: false) {
      throw unsupported("model.byte_fallback", "byte fallback (SentencePiece's)")
    }
    if model["unk_token"] != nil, let missing = byteIDs.firstIndex(where: { $0 < 0 }) {
      throw unsupported("model.unk_token", "an unknown token beside a vocabulary without the byte \(missing)")
    }
    ignoresMerges = try boolean(model, "ignore_merges", in: "model", default: false)
  }

  func boolean(_ object: JSONValue, _ name: String, in field: String, default value: Bool) throws -> Bool {
    guard let found = object[name] else { return value }
    guard case .bool(let flag) = found else { throw failure("\(field).\(name)", "is \(found.kind), not a boolean") }
    return flag
  }

  func string(_ object: JSONValue, _ name: String, in field: String) throws -> String {
    guard let found = object[name] else { throw failure("\(field).\(name)", "is missing") }
    guard case .string(let text) = found else { throw failure("\(field).\(name)", "is \(found.kind), not a string") }
    return String(decoding: text, as: UTF8.self)
  }
}

/// What the other file's readers set.
extension TokenizerParts {
  mutating func setNormalizes() { normalizes = true }

  mutating func setStages(_ stages: [TokenizerSplitter.Stage]) { splitter.stages = stages }

  mutating func insert(_ bytes: [UInt8], _ id: Int32) { tokens.insert(bytes, id) }

  /// Special tokens go first, as in the library, where one pattern is that of two tokens.
  mutating func register(_ matched: [(token: AddedToken, content: [UInt8])]) {
    addedTokens = matched.map(\.token)
    for (token, content) in matched.filter(\.token.special) + matched.filter({ !$0.token.special }) {
      if token.normalized {
        normalizedMatcher.insert(token, pattern: normalForm(content))
      } else {
        rawMatcher.insert(token, pattern: content)
      }
    }
  }

  func normalForm(_ content: [UInt8]) -> [UInt8] {
    guard normalizes else { return content }
    return content.withUnsafeBufferPointer { CanonicalComposition.shared.normalized($0) } ?? content
  }
}
