import Rollout
import Support
import Tokenization

/// The reply of `reward.command`.
public struct ProgramReward: Codable, Sendable, Equatable {
  /// The number that it gives the response.
  public var reward: Double
  /// What the reply names besides; nil: nothing.
  public var parts: NamedNumbers?

  /// A reply.
  public init(reward: Double, parts: NamedNumbers? = nil) {
    self.reward = reward
    self.parts = parts
  }
}

/// What the programs of a configuration say of an episode.
struct Judgement: Codable, Equatable {
  /// Of `grader.command` or of the task; nil: the built-in verdict stands.
  var verdict: Verdict?
  /// Of `task.command`; nil: the problem is not of the task, or the task does not score.
  var score: TaskScore?
  /// Of `reward.command`; nil: there is none, or the episode cannot be scored.
  var reward: ProgramReward?
}

extension Configuration {
  var rewardProgram: ProgramCommand? {
    guard !reward.command.isEmpty else { return nil }
    return ProgramCommand(key: "reward.command", words: reward.command, timeLimit: reward.commandTimeLimit)
  }

  var graderProgram: ProgramCommand? {
    guard !grader.command.isEmpty else { return nil }
    return ProgramCommand(key: "grader.command", words: grader.command, timeLimit: grader.timeLimit)
  }

  /// - Throws: `MartletError` (configuration) for a program that is not there, or a manifest that cannot be read.
  public func requirePrograms() throws {
    let manifest = try tools.map { try ToolManifest(path: $0) }
    let programs = [rewardProgram, graderProgram, taskCommand]
    for command in programs + (manifest?.tools.map(\.command) ?? []) {
      _ = try command?.resolved(python: interpreter.python)
    }
  }
}

extension Episode {
  var unjudged: Episode {
    var episode = self
    (episode.verdict, episode.reward) = (nil, nil)
    return episode
  }
}

/// Asks `task.command`, `grader.command` and `reward.command` about episodes. What they are asked and what they may
/// answer is described in docs/programs.md.
final class ProgramJudge {
  private let grader: ProgramWorker?
  private let reward: ProgramWorker?
  private let scorer: TaskScorer?
  private let tokenizer: Tokenizer

  /// Whether there is a program to ask.
  var isActive: Bool { grader != nil || reward != nil || scorer != nil }
  /// Whether programs give verdicts: votes are then counted by spelling.
  var grades: Bool { grader != nil || scorer != nil }
  /// Whether a program gives the verdict of this episode.
  func gives(verdictOf episode: Episode) -> Bool { grader != nil || scorer?.scores(episode.id) == true }

  init(_ configuration: Configuration, tokenizer: Tokenizer, scorer: TaskScorer? = nil) {
    self.scorer = scorer
    let python = configuration.interpreter.python
    grader = configuration.graderProgram.map { ProgramWorker($0, python: python) }
    reward = configuration.rewardProgram.map { ProgramWorker($0, python: python) }
    self.tokenizer = tokenizer
  }

  /// What the programs say of an episode that has its built-in verdict; nil: there are none.
  /// - Throws: `MartletError` (configuration) that names the program, the episode and what was wrong.
  func judgement(of episode: Episode) throws -> Judgement? {
    guard isActive else { return nil }
    var episode = episode
    var judgement = Judgement()
    if let score = try scorer?.score(episode, response: request(episode)) {
      judgement.score = score
      judgement.verdict = score.verdict
      episode.verdict = score.verdict
    }
    if let grader {
      judgement.verdict = try ask(grader, episode, Self.verdict)
      episode.verdict = judgement.verdict
    }
    if let reward, episode.isScorable { judgement.reward = try ask(reward, episode, Self.reward) }
    return judgement
  }

  private typealias Members = ProgramWorker.Members

  private func ask<Reply>(
    _ worker: ProgramWorker, _ episode: Episode, _ read: (Members) throws(UnreadableReply) -> Reply
  ) throws -> Reply {
    let command = worker.command
    func fault(_ what: String) -> MartletError {
      let limit = worker === grader ? "grader.time_limit" : "reward.command_time_limit"
      let remedy =
        what.hasPrefix("took more")
        ? "raise \(limit) and go on with --resume" : "mend the program and start a new run, or train branch this one"
      return MartletError(
        .configuration,
        "\(command.key): \(command.text): problem \(episode.id), sample \(episode.sample): \(what); \(remedy)")
    }
    return try worker.ask(request(episode), fault: fault, read: read)
  }

  /// An episode as the programs are given it.
  private func request(_ episode: Episode) -> JSONValue {
    func text(_ text: String?) -> JSONValue { text.map { JSONValue($0) } ?? .null }
    let segments = episode.segments(tokenizer).filter { $0.author != .prompt }
    let calls = episode.calls.map { call -> JSONValue in
      .object([
        ("code", text(call.code)), ("tool", text(call.tool)), ("status", text(call.status.rawValue)),
        ("output", text(call.output)),
      ])
    }
    return .object([
      ("id", text(episode.id)), ("sample", .whole(episode.sample)), ("problem", text(episode.problem)),
      ("gold", text(episode.gold)), ("answer", text(episode.answer)), ("verdict", text(episode.verdict?.rawValue)),
      ("response", text(segments.map(\.text).joined())),
      (
        "segments",
        .array(segments.map { .object([("author", text($0.author.rawValue)), ("text", text($0.text))]) })
      ),
      ("calls", .array(calls)), ("finish", text(episode.finish.rawValue)),
      ("tokens", .whole(episode.responseTokenCount)),
    ])
  }

  private static func verdict(_ reply: Members) throws(UnreadableReply) -> Verdict {
    guard reply.count == 1, reply[0].key == "correct" else {
      throw UnreadableReply("a grader answers {\"correct\": true}, false or null, and nothing else")
    }
    switch reply[0].value {
    case .bool(let correct): return correct ? .correct : .incorrect
    case .null: return .ungradable
    default: throw UnreadableReply("correct must be true, false, or null where it cannot be told")
    }
  }

  private static func reward(_ reply: Members) throws(UnreadableReply) -> ProgramReward {
    var found = ProgramReward(reward: .nan)
    for (key, value) in reply {
      switch (key, value) {
      case ("reward", .number(let number, _)): found.reward = number
      case ("parts", _): found.parts = try NamedNumbers(parts: value)
      case ("reward", _): throw UnreadableReply("reward must be a number")
      default: throw UnreadableReply("unknown key \(key); a reward answers {\"reward\": number, \"parts\": {...}}")
      }
    }
    guard found.reward.isFinite else { throw UnreadableReply("reward must be there, a finite number") }
    return found
  }
}
