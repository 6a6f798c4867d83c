import Support
import Transformer

extension Episode.Run: Codable {
  public init(from decoder: any Decoder) throws {
    var pair = try decoder.unkeyedContainer()
    author = try pair.decode(Author.self)
    count = try pair.decode(Int.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var pair = encoder.unkeyedContainer()
    try pair.encode(author)
    try pair.encode(count)
  }
}

/// The object `sampling` of an episode's line: the distribution, flat, with the seed and the tool protocol.
private struct SamplingRecord: Codable {
  var distribution: SamplingSettings
  var seed: UInt64
  var tools: ToolFormats?

  private enum CodingKeys: CodingKey { case seed, tools }

  init?(_ episode: Episode) {
    guard let sampling = episode.sampling else { return nil }
    (distribution, seed, tools) = (sampling, episode.seed, episode.tools)
  }

  init(from decoder: any Decoder) throws {
    distribution = try SamplingSettings(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    seed = try values.decodeIfPresent(UInt64.self, forKey: .seed) ?? 0
    tools = try values.decodeIfPresent(ToolFormats.self, forKey: .tools)
  }

  func encode(to encoder: any Encoder) throws {
    try distribution.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(seed, forKey: .seed)
    try values.encodeIfPresent(tools, forKey: .tools)
  }
}

extension Episode.Call {
  enum CodingKeys: CodingKey { case code, tool, status, detail, output, ms }

  /// All but `code` and `status` may be absent.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    code = try values.decode(String.self, forKey: .code)
    tool = try values.decodeIfPresent(String.self, forKey: .tool)
    status = try values.decode(CallResult.Status.self, forKey: .status)
    detail = try values.decodeIfPresent(String.self, forKey: .detail) ?? status.rawValue
    output = try values.decodeIfPresent(String.self, forKey: .output) ?? ""
    ms = try values.decodeIfPresent(Double.self, forKey: .ms) ?? 0
  }
}

extension Episode: Codable, VerbatimNumbers {
  /// Keys whose numbers are read as text, digit by digit.
  public static let verbatimKeys: Set<String> = ["id", "gold", "answer"]

  enum CodingKeys: String, CodingKey, CaseIterable {
    case id, sample, problem, gold, tokens, authors
    case logProbs = "logprobs"
    case kept, sampling, hints, calls, finish, answer, verdict, reward
  }

  /// The keys of an episode's line.
  package static let fileKeys = CodingKeys.allCases.map(\.rawValue)

  /// Needs `id`, `tokens` and `authors`. Without log-probs all of them are nil. Unknown keys are ignored.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func text(_ key: CodingKeys) throws -> String? { try values.decodeIfPresent(String.self, forKey: key) }
    guard let id = try text(.id) else {
      throw DecodingError.keyNotFound(
        CodingKeys.id, .init(codingPath: decoder.codingPath, debugDescription: "no id"))
    }
    self.id = id
    sample = try values.decodeIfPresent(Int.self, forKey: .sample) ?? 0
    problem = try values.decodeIfPresent(String.self, forKey: .problem) ?? ""
    gold = try text(.gold)
    tokens = try values.decode([Int32].self, forKey: .tokens)
    authors = try values.decode([Run].self, forKey: .authors)
    logProbs =
      try values.decodeIfPresent([Float?].self, forKey: .logProbs) ?? [Float?](repeating: nil, count: tokens.count)
    kept = try values.decodeIfPresent([[Int32]?].self, forKey: .kept)
    if let record = try values.decodeIfPresent(SamplingRecord.self, forKey: .sampling) {
      (sampling, seed, tools) = (record.distribution, record.seed, record.tools)
    }
    hints = try values.decodeIfPresent([Hint].self, forKey: .hints) ?? []
    calls = try values.decodeIfPresent([Call].self, forKey: .calls) ?? []
    finish = try values.decodeIfPresent(Finish.self, forKey: .finish) ?? .stop
    answer = try text(.answer)
    verdict = try values.decodeIfPresent(Verdict.self, forKey: .verdict)
    reward = try values.decodeIfPresent(Reward.self, forKey: .reward)
    // `defect` names what does not fit.
    if let listed = kept, let spread = authors.spread(listed, tokens: tokens.count) { kept = spread }
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(id, forKey: .id)
    try values.encode(sample, forKey: .sample)
    try values.encode(problem, forKey: .problem)
    try values.encode(gold, forKey: .gold)
    try values.encode(tokens, forKey: .tokens)
    try values.encode(authors, forKey: .authors)
    try values.encode(logProbs, forKey: .logProbs)
    try values.encode(kept, forKey: .kept)
    try values.encode(SamplingRecord(self), forKey: .sampling)
    try values.encode(hints, forKey: .hints)
    try values.encode(calls, forKey: .calls)
    try values.encode(finish, forKey: .finish)
    try values.encode(answer, forKey: .answer)
    try values.encode(verdict, forKey: .verdict)
    try values.encode(reward, forKey: .reward)
  }
}

/// Files with one episode on each line.
public enum EpisodeFile {
  /// - Parameter needsLogProbs: whether the model's tokens must have theirs (not for supervised training).
  /// - Throws: `MartletError`: io; data with file, line and key for what is malformed or does not fit together.
  public static func read(_ path: String, needsLogProbs: Bool = true) throws -> [Episode] {
    var episodes: [Episode] = []
    try JSONLines.forEach(path, as: Episode.self) { episode, line in
      if let defect = episode.defect(logProbs: needsLogProbs) {
        throw MartletError(.data, "\(path):\(line): episode \(episode.id): \(defect)")
      }
      episodes.append(episode)
    }
    return episodes
  }

  /// - Throws: `MartletError` (io, or data for a number that is not finite).
  public static func write(_ episodes: [Episode], to path: String) throws {
    try JSONLines.write(episodes, to: path)
  }
}
