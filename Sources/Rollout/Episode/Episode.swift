import Tokenization
import Transformer

/// One trajectory: what was asked, what was written and by whom, what ran, and what it was worth.
public struct Episode: Sendable, Equatable {
  /// Neighbouring tokens of one author.
  public struct Run: Sendable, Equatable {
    public var author: Author
    public var count: Int
    public init(author: Author, count: Int) {
      self.author = author
      self.count = count
    }
  }

  /// How the model's tokens were drawn.
  public struct Sampling: Codable, Sendable, Equatable {
    public var temperature: Float
    public var topP: Float
    public var topK: Int
    public var seed: UInt64
    /// The tool protocol; nil: the file does not say.
    public var tools: ToolFormats?
    public init(
      temperature: Float = 1, topP: Float = 1, topK: Int = 0, seed: UInt64 = 0, tools: ToolFormats? = nil
    ) {
      self.temperature = temperature
      self.topP = topP
      self.topK = topK
      self.seed = seed
      self.tools = tools
    }
  }

  /// A sentence put into the response; `token` is the place of its first token in `tokens`.
  public struct Hint: Codable, Sendable, Equatable {
    public var token: Int
    public var kind: BehaviourAnalysis.SpotKind
    public var text: String
    public var reason: String
    public init(token: Int, kind: BehaviourAnalysis.SpotKind, text: String, reason: String) {
      self.token = token
      self.kind = kind
      self.text = text
      self.reason = reason
    }
  }

  /// An executed block, or a tool's call. `detail` and the statuses are `CallResult`'s.
  public struct Call: Codable, Sendable, Equatable {
    /// Python, or the arguments of `tool` as a JSON object.
    public var code: String
    /// The tool of the manifest that was called; nil (not written): the interpreter.
    public var tool: String?
    public var status: CallResult.Status
    public var detail: String
    public var output: String
    /// Wall-clock milliseconds: the one field that differs between equal runs.
    public var ms: Double
    public init(
      code: String, tool: String? = nil, status: CallResult.Status, detail: String, output: String, ms: Double
    ) {
      self.code = code
      self.tool = tool
      self.status = status
      self.detail = detail
      self.output = output
      self.ms = ms
    }

    init(_ call: ToolCall, result: CallResult) {
      self.init(
        code: call.code, tool: call.tool, status: result.status, detail: result.detail, output: result.output,
        ms: result.ms)
    }
  }

  /// `stop`: the model wrote a stop token; `length`: a limit or the context was reached.
  public enum Finish: String, Codable, Sendable, CaseIterable { case stop, length }

  /// What the response is worth, each part with its weight; `total` is nil for what cannot be scored. Parts that are
  /// nil are not written.
  public struct Reward: Codable, Sendable, Equatable {
    public var accuracy: Double?
    public var code: Double?
    public var format: Double?
    public var length: Double?
    /// What `reward.command` says, with its weight.
    public var command: Double?
    /// What its reply names besides, as it stands there.
    public var parts: NamedNumbers?
    public var total: Double?
    public init(
      accuracy: Double? = nil, code: Double? = nil, format: Double? = nil, length: Double? = nil, total: Double? = nil
    ) {
      self.accuracy = accuracy
      self.code = code
      self.format = format
      self.length = length
      self.total = total
    }
  }

  /// The problem's id.
  public var id: String
  public var sample: Int
  public var problem: String
  public var gold: String?
  public var tokens: [Int32]
  /// Run-length coded over `tokens`.
  public var authors: [Run]
  /// One a token: a number exactly where the model wrote it.
  public var logProbs: [Float?]
  /// One a token: the ids (ascending) that top-k or top-p kept when it was drawn; nil where nothing was filtered.
  public var kept: [[Int32]?]?
  public var sampling: Sampling?
  public var hints: [Hint]
  public var calls: [Call]
  public var finish: Finish
  public var answer: String?
  public var verdict: Verdict?
  public var reward: Reward?

  public init(
    id: String, sample: Int = 0, problem: String = "", gold: String? = nil, tokens: [Int32], authors: [Run],
    logProbs: [Float?], kept: [[Int32]?]? = nil, sampling: Sampling? = nil, hints: [Hint] = [], calls: [Call] = [],
    finish: Finish = .stop, answer: String? = nil, verdict: Verdict? = nil, reward: Reward? = nil
  ) {
    self.id = id
    self.sample = sample
    self.problem = problem
    self.gold = gold
    self.tokens = tokens
    self.authors = authors
    self.logProbs = logProbs
    self.kept = kept
    self.sampling = sampling
    self.hints = hints
    self.calls = calls
    self.finish = finish
    self.answer = answer
    self.verdict = verdict
    self.reward = reward
  }
}

extension Episode {
  /// Tokens of the prompt: the leading ones.
  public var promptCount: Int { authors.prefix { $0.author == .prompt }.reduce(0) { $0 + $1.count } }

  /// The author of every token.
  public var authorsByToken: [Author] { authors.flatMap { repeatElement($0.author, count: max(0, $0.count)) } }

  /// Who wrote the token at `index`.
  public func author(at index: Int) -> Author {
    var end = 0
    for run in authors {
      end += run.count
      if index < end { return run.author }
    }
    preconditionFailure("token \(index) of \(end)")
  }

  private func count(_ wanted: Set<Author>) -> Int {
    authors.reduce(0) { $0 + (wanted.contains($1.author) ? $1.count : 0) }
  }

  /// Model and hint tokens.
  public var modelTokenCount: Int { count([.model, .hint]) }
  /// Model, hint and tool tokens: CoRT's count.
  public var responseTokenCount: Int { count([.model, .hint, .tool]) }

  /// What is wrong with the numbers, with the key; nil: nothing.
  public var defect: String? { defect(logProbs: true) }

  /// - Parameter logProbs: whether the model's tokens need theirs (not for supervised training).
  func defect(logProbs needed: Bool) -> String? {
    let N = tokens.count
    if N == 0 { return "tokens: there are none" }
    if let place = tokens.firstIndex(where: { $0 < 0 }) { return "tokens[\(place)]: \(tokens[place]) is negative" }
    if let place = authors.firstIndex(where: { $0.count < 0 || $0.count > N }) {
      return "authors[\(place)]: a run of \(authors[place].count) tokens"
    }
    let counted = authors.reduce(0) { $0 + $1.count }
    if counted != N { return "authors: \(counted) tokens, but `tokens` has \(N)" }
    if logProbs.count != N { return "logprobs: \(logProbs.count) entries, but `tokens` has \(N)" }
    let authors = authorsByToken
    for place in 0..<N {
      if authors[place] != .model, logProbs[place] != nil {
        return "logprobs[\(place)]: a number where the \(authors[place].rawValue) wrote the token"
      }
      if needed, authors[place] == .model, logProbs[place] == nil {
        return "logprobs[\(place)]: null where the model wrote the token"
      }
    }
    guard let kept else { return nil }
    if kept.count != N { return "kept: \(kept.count) entries, but `tokens` has \(N)" }
    for place in 0..<N {
      guard let ids = kept[place] else { continue }
      if authors[place] != .model { return "kept[\(place)]: not a token of the model" }
      if !ids.contains(tokens[place]) { return "kept[\(place)]: without the token itself, \(tokens[place])" }
      if zip(ids, ids.dropFirst()).contains(where: { $0 >= $1 }) || ids[0] < 0 {
        return "kept[\(place)]: ids must ascend"
      }
    }
    return nil
  }

  /// The text of each run.
  public func segments(_ tokenizer: Tokenizer) -> [TraceSegment] {
    var start = 0
    return authors.map { run in
      defer { start += run.count }
      return TraceSegment(author: run.author, text: tokenizer.decode(Array(tokens[start..<start + run.count])))
    }
  }

  /// What analysis looks at of each call.
  public var traceCalls: [TraceCall] { calls.map { TraceCall(output: $0.output, succeeded: $0.status == .ok) } }
}

extension Array<Episode.Run> {
  /// Adds `count` tokens of `author` at the end.
  mutating func extend(_ author: Author, by count: Int = 1) {
    guard count > 0 else { return }
    if last?.author == author {
      self[self.count - 1].count += count
    } else {
      append(Episode.Run(author: author, count: count))
    }
  }
}
