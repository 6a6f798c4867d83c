import Tokenization
import Transformer

/// One trajectory: the question, the tokens and who wrote them, the calls, and the reward.
public struct Episode: Sendable, Equatable {
  /// Neighbouring tokens of one author.
  public struct Run: Sendable, Equatable {
    /// Who wrote them.
    public var author: Author
    /// How many tokens.
    public var count: Int
    /// A run of `count` tokens.
    public init(author: Author, count: Int) {
      self.author = author
      self.count = count
    }
  }

  /// A sentence that was put into the response.
  public struct Hint: Codable, Sendable, Equatable {
    /// Index of the hint's first token in `tokens`.
    public var token: Int
    /// What the hint is against.
    public var kind: BehaviourAnalysis.SpotKind
    /// The sentence, and what opens a call.
    public var text: String
    /// Why it is put there, in words.
    public var reason: String
    /// A hint at `token`.
    public init(token: Int, kind: BehaviourAnalysis.SpotKind, text: String, reason: String) {
      self.token = token
      self.kind = kind
      self.text = text
      self.reason = reason
    }
  }

  /// An executed block, or a tool's call. `detail` and the statuses are `CallResult`'s.
  public struct Call: Codable, Sendable, Equatable {
    /// The code that was executed, or the arguments of `tool` as a JSON object.
    public var code: String
    /// The tool of the manifest that was called; nil (not written): the interpreter.
    public var tool: String?
    /// How it ended.
    public var status: CallResult.Status
    /// The finer verdict, as in `CallResult`.
    public var detail: String
    /// What the model saw of it.
    public var output: String
    /// Wall-clock milliseconds: the one field that differs between equal runs.
    public var ms: Double
    /// A call with what it came to.
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
    /// For a right answer.
    public var accuracy: Double?
    /// For calls that all failed; see `reward.code_penalty`.
    public var code: Double?
    /// For an answer in the asked form.
    public var format: Double?
    /// For length: 0 or negative.
    public var length: Double?
    /// What `reward.command` says, with its weight.
    public var command: Double?
    /// What its reply names besides, as it stands there.
    public var parts: NamedNumbers?
    /// The sum of the parts; nil: the episode cannot be scored.
    public var total: Double?
    /// Parts that are nil were not asked for.
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
  /// Which response to the problem, from 0.
  public var sample: Int
  /// The question.
  public var problem: String
  /// The right answer; nil: unknown.
  public var gold: String?
  /// Prompt and response, in order.
  public var tokens: [Int32]
  /// Run-length coded over `tokens`.
  public var authors: [Run]
  /// One for each token: a number where the model wrote it, else nil.
  public var logProbs: [Float?]
  /// One for each token: the ids, ascending, that top-k or top-p kept when it was drawn; nil where nothing was
  /// filtered.
  public var kept: [[Int32]?]?
  /// The distribution that the model's tokens were drawn from; nil: the file does not say.
  public var sampling: SamplingSettings?
  /// The run's seed; written only beside `sampling`, like `tools`.
  public var seed: UInt64 = 0
  /// The tool protocol; nil: the file does not say.
  public var tools: ToolFormats?
  /// Hints that were put into the response.
  public var hints: [Hint] = []
  /// Executed blocks, in order.
  public var calls: [Call] = []
  /// Why the response ended.
  public var finish = Finish.stop
  /// The last boxed answer; nil: there is none.
  public var answer: String?
  /// The grader's verdict; nil: not graded.
  public var verdict: Verdict?
  /// What the response is worth; nil: not rewarded.
  public var reward: Reward?

  /// An episode with its tokens; everything else can be set afterwards.
  public init(
    id: String, sample: Int = 0, problem: String = "", gold: String? = nil, tokens: [Int32], authors: [Run],
    logProbs: [Float?], kept: [[Int32]?]? = nil
  ) {
    self.id = id
    self.sample = sample
    self.problem = problem
    self.gold = gold
    self.tokens = tokens
    self.authors = authors
    self.logProbs = logProbs
    self.kept = kept
  }
}

extension Episode {
  /// How many tokens the prompt has; they come first.
  public var promptCount: Int { authors.prefix { $0.author == .prompt }.reduce(0) { $0 + $1.count } }

  /// The author of every token.
  public var authorsByToken: [Author] { authors.byToken }

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

  /// What is wrong with the arrays, as "key: why"; nil: nothing.
  public var defect: String? { defect(logProbs: true) }

  /// - Parameter logProbs: whether the model's tokens need theirs (not for supervised training).
  package func defect(logProbs needed: Bool) -> String? {
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

  /// The calls, as far as behaviour analysis looks at them.
  public var traceCalls: [TraceCall] { calls.map { TraceCall(output: $0.output, succeeded: $0.status == .ok) } }
}

extension Array<Episode.Run> {
  /// The author of every token.
  package var byToken: [Author] { flatMap { repeatElement($0.author, count: Swift.max(0, $0.count)) } }

  /// `kept` with one entry for each token. Other programs' files may have one for each token of the model alone.
  /// - Returns: nil when it fits neither.
  package func spread(_ kept: [[Int32]?], tokens: Int) -> [[Int32]?]? {
    if kept.count == tokens { return kept }
    guard allSatisfy({ (0...tokens).contains($0.count) }) else { return nil }
    let authors = byToken
    guard authors.count == tokens, kept.count == authors.count(where: { $0 == .model }) else { return nil }
    var next = kept.makeIterator()
    return authors.map { $0 == .model ? next.next() ?? nil : nil }
  }

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
