/// A question with its gold answer: the form of the CoRT authors' test files.
public struct Problem: Codable, Sendable, Equatable {
  /// Names the problem in episodes and keys its random draws; from a hash of the prompt where the file has none.
  public var id: String
  public var problem: String
  public var gold: String
  /// What the model is asked; `nil`: `problem` and the configured instruction.
  public var prompt: String?
  public var source: String?

  enum CodingKeys: String, CodingKey {
    case id, problem, prompt, source
    case gold = "gt_answer"
  }

  public init(id: String, problem: String, gold: String, prompt: String? = nil, source: String? = nil) {
    self.id = id
    self.problem = problem
    self.gold = gold
    self.prompt = prompt
    self.source = source
  }

  /// Reads `gt_answer`, or `answer` where that is absent, as text or as a number; `id` may be absent and is then empty.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func text(_ key: CodingKeys) throws -> String? {
      guard values.contains(key) else { return nil }
      if let text = try? values.decode(String.self, forKey: key) { return text }
      if let number = try? values.decode(Int.self, forKey: key) { return String(number) }
      if let number = try? values.decode(Double.self, forKey: key) { return String(number) }
      return try values.decodeIfPresent(String.self, forKey: key)
    }
    id = try text(.id) ?? ""
    problem = try values.decode(String.self, forKey: .problem)
    struct Answer: CodingKey {
      var stringValue = "answer"
      var intValue: Int? { nil }
      init() {}
      init?(stringValue: String) { nil }
      init?(intValue: Int) { nil }
    }
    var gold = try text(.gold)
    if gold == nil, let others = try? decoder.container(keyedBy: Answer.self) {
      gold = try? others.decode(String.self, forKey: Answer())
      if gold == nil { gold = (try? others.decode(Int.self, forKey: Answer())).map(String.init) }
    }
    guard let gold else {
      throw DecodingError.keyNotFound(
        CodingKeys.gold, .init(codingPath: decoder.codingPath, debugDescription: "no gold answer"))
    }
    self.gold = gold
    prompt = try text(.prompt)
    source = try text(.source)
  }
}
