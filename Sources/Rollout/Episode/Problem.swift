import Support

/// A question with its gold answer: the form of the CoRT authors' test files.
public struct Problem: Codable, VerbatimNumbers, Sendable, Equatable {
  /// Names the problem in episodes and keys its random draws; from a hash of the prompt where the file has none.
  public var id: String
  /// The question.
  public var problem: String
  /// The right answer.
  public var gold: String
  /// What the model is asked; `nil`: `problem` and the configured instruction.
  public var prompt: String?
  /// Where the problem comes from.
  public var source: String?

  enum CodingKeys: String, CodingKey {
    case id, problem, prompt, source, answer
    case gold = "gt_answer"
  }

  /// Keys whose numbers are read as text: an answer stays as the file spells it.
  public static let verbatimKeys: Set<String> = ["id", "gt_answer", "answer", "prompt", "source"]

  /// A problem that is in no file.
  public init(id: String, problem: String, gold: String, prompt: String? = nil, source: String? = nil) {
    self.id = id
    self.problem = problem
    self.gold = gold
    self.prompt = prompt
    self.source = source
  }

  /// Reads `gt_answer`, or `answer` where that is absent; both must agree. A missing `id` is empty.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func text(_ key: CodingKeys) throws -> String? { try values.decodeIfPresent(String.self, forKey: key) }
    id = try text(.id) ?? ""
    problem = try values.decode(String.self, forKey: .problem)
    guard let gold = try text(.gold) ?? text(.answer) else {
      throw DecodingError.keyNotFound(
        CodingKeys.gold, .init(codingPath: decoder.codingPath, debugDescription: "no gold answer"))
    }
    if let answer = try text(.answer), answer != gold {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath + [CodingKeys.answer],
          debugDescription: "is \"\(answer)\", but gt_answer is \"\(gold)\"; keep one of them"))
    }
    self.gold = gold
    prompt = try text(.prompt)
    source = try text(.source)
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(id, forKey: .id)
    try values.encode(problem, forKey: .problem)
    try values.encode(gold, forKey: .gold)
    try values.encodeIfPresent(prompt, forKey: .prompt)
    try values.encodeIfPresent(source, forKey: .source)
  }
}
