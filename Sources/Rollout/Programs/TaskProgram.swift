import Support

/// A problem of a task's program: a line of a run's `task.jsonl`.
public struct TaskProblem: Codable, VerbatimNumbers, Sendable, Equatable {
  /// By which the program knows it.
  public var index: Int
  /// The question. `gold` is empty where the program named no answer.
  public var problem: Problem
  /// Whether the program scores the responses itself; else the answers are compared as usual.
  public var scored: Bool

  enum CodingKeys: CodingKey { case index, scored }

  /// As for a problem of a file.
  public static let verbatimKeys = Problem.verbatimKeys

  /// A problem of a task.
  public init(index: Int, problem: Problem, scored: Bool) {
    self.index = index
    self.problem = problem
    self.scored = scored
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    index = try values.decode(Int.self, forKey: .index)
    scored = try values.decode(Bool.self, forKey: .scored)
    problem = try Problem(from: decoder)
  }

  public func encode(to encoder: any Encoder) throws {
    try problem.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(index, forKey: .index)
    try values.encode(scored, forKey: .scored)
  }
}

/// What a task's program says of a response.
public struct TaskScore: Codable, Sendable, Equatable {
  /// How good it is; 1: right in all.
  public var score: Double
  /// Right or not; `ungradable` where the program cannot tell.
  public var verdict: Verdict
  /// What the reply names besides; nil: nothing.
  public var parts: NamedNumbers?

  /// A reply.
  public init(score: Double, verdict: Verdict, parts: NamedNumbers? = nil) {
    self.score = score
    self.verdict = verdict
    self.parts = parts
  }
}

/// A program of the user's that gives problems and may score the responses to them. What it is asked and what it may
/// answer is described in docs/programs.md.
public final class TaskProgram: Sendable {
  private let worker: ProgramWorker
  private let slowRemedy: String
  private let remedy: String

  /// - Parameters:
  ///   - python: as in `InterpreterSettings`.
  ///   - slowRemedy: what a user does about a request that took too long.
  ///   - remedy: what a user does about any other failure.
  public init(_ command: ProgramCommand, python: String? = nil, slowRemedy: String, remedy: String) {
    worker = ProgramWorker(command, python: python)
    self.slowRemedy = slowRemedy
    self.remedy = remedy
  }

  /// Asks for the problem with this index.
  /// - Throws: `MartletError` (configuration) that names the program, the problem and what was wrong.
  public func problem(_ index: Int) throws -> TaskProblem {
    try ask(.object([("op", JSONValue("problem")), ("index", .whole(index))]), "problem \(index)") {
      (reply) throws(UnreadableReply) in try Self.problem(index, reply)
    }
  }

  /// Asks for the score of a response.
  /// - Parameters:
  ///   - response: the episode, as `reward.command` is given it.
  ///   - what: names the response in errors.
  /// - Throws: as ``problem(_:)``.
  package func score(_ index: Int, response: JSONValue, what: String) throws -> TaskScore {
    guard case .object(let members) = response else { preconditionFailure("a response is an object") }
    return try ask(
      .object([("op", JSONValue("score")), ("index", .whole(index))] + members), what, Self.score)
  }

  /// That the program answered otherwise when it was asked again.
  package func inconsistency(_ what: String) -> MartletError {
    fault(what, "was answered in two ways; what is asked must decide the answer, so seed its draws by the index")
  }

  /// An error that names the program, what it was asked and why that is no answer.
  package func fault(_ what: String, _ reason: String) -> MartletError {
    let remedy = reason.hasPrefix("took more") ? slowRemedy : remedy
    return MartletError(.configuration, "\(worker.command.key): \(worker.command.text): \(what): \(reason); \(remedy)")
  }

  private typealias Members = ProgramWorker.Members

  private func ask<Reply>(
    _ request: JSONValue, _ what: String, _ read: (Members) throws(UnreadableReply) -> Reply
  ) throws -> Reply {
    try worker.ask(request, fault: { fault(what, $0) }, read: read)
  }

  private static func problem(_ index: Int, _ reply: Members) throws(UnreadableReply) -> TaskProblem {
    let known = ["id", "problem", "answer", "prompt", "source", "scored"]
    if let unknown = reply.first(where: { !known.contains($0.key) }) {
      throw UnreadableReply("unknown key \(unknown.key); a problem has \(known.joined(separator: ", "))")
    }
    let members = JSONValue.object(reply)
    func text(_ key: String) throws(UnreadableReply) -> String? {
      switch members[key] {
      case nil: return nil
      case .string(let bytes): return String(decoding: bytes, as: UTF8.self)
      case .number(_, let literal): return literal
      default: throw UnreadableReply("\(key) must be a text")
      }
    }
    guard let id = try text("id"), !id.isEmpty, let question = try text("problem") else {
      throw UnreadableReply("a problem has an id and a problem, which are texts")
    }
    var scored = false
    if let member = members["scored"] {
      guard case .bool(let value) = member else { throw UnreadableReply("scored must be true or false") }
      scored = value
    }
    let answer = try text("answer")
    guard scored || answer != nil else {
      throw UnreadableReply("a problem has an answer, unless the program scores the responses (scored: true)")
    }
    let problem = Problem(
      id: id, problem: question, gold: answer ?? "", prompt: try text("prompt"), source: try text("source"))
    return TaskProblem(index: index, problem: problem, scored: scored)
  }

  private static func score(_ reply: Members) throws(UnreadableReply) -> TaskScore {
    var score: Double?
    var verdict: Verdict?
    var parts: NamedNumbers?
    for (key, value) in reply {
      switch (key, value) {
      case ("score", .number(let number, _)) where number.isFinite: score = number
      case ("score", _): throw UnreadableReply("score must be a finite number")
      case ("correct", .bool(let correct)): verdict = correct ? .correct : .incorrect
      case ("correct", .null): verdict = .ungradable
      case ("correct", _):
        throw UnreadableReply("correct must be true, false, or null where it cannot be told")
      case ("parts", _): parts = try NamedNumbers(parts: value)
      default:
        throw UnreadableReply("unknown key \(key); a score answers {\"score\": number}, with correct and parts")
      }
    }
    guard let score else { throw UnreadableReply("score must be there, a finite number") }
    return TaskScore(score: score, verdict: verdict ?? (score >= 1 ? .correct : .incorrect), parts: parts)
  }
}

extension JSONValue {
  /// A whole number.
  package static func whole(_ number: Int) -> JSONValue { .number(Double(number), literal: "\(number)") }
}
