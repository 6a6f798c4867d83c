import Transformer

/// What a response is worth. The formulas are those of `PPO`'s reward shaping, which this module does not know.
public struct RewardSettings: Codable, Sendable, Equatable {
  /// Weight of a right answer.
  public var accuracy: Double
  /// Added when every executed block failed: an error, or no output (CoRT: -0.1).
  public var codePenalty: Double
  /// Whether an answer without any executed block is penalised too, as upstream does by accident.
  public var withoutCode: Bool
  /// Added for a response that stopped and has a boxed answer.
  public var formatReward: Double
  /// Soft overlong punishment (DAPO, eq. 13) over this many last tokens before the limit, tool tokens counted; 0: none.
  public var overlongBuffer: Int
  /// The punishment at the limit.
  public var overlongFactor: Double

  public init(
    accuracy: Double = 1, codePenalty: Double = -0.1, withoutCode: Bool = false, formatReward: Double = 0,
    overlongBuffer: Int = 0, overlongFactor: Double = 1
  ) {
    self.accuracy = accuracy
    self.codePenalty = codePenalty
    self.withoutCode = withoutCode
    self.formatReward = formatReward
    self.overlongBuffer = overlongBuffer
    self.overlongFactor = overlongFactor
  }

  public enum CodingKeys: String, CodingKey, CaseIterable {
    case accuracy
    case codePenalty = "code_penalty"
    case withoutCode = "code_penalty_without_code"
    case formatReward = "format_reward"
    case overlongBuffer = "overlong_buffer"
    case overlongFactor = "overlong_factor"
  }

  /// Absent keys have their defaults.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let normal = RewardSettings()
    accuracy = try values.decodeIfPresent(Double.self, forKey: .accuracy) ?? normal.accuracy
    codePenalty = try values.decodeIfPresent(Double.self, forKey: .codePenalty) ?? normal.codePenalty
    withoutCode = try values.decodeIfPresent(Bool.self, forKey: .withoutCode) ?? normal.withoutCode
    formatReward = try values.decodeIfPresent(Double.self, forKey: .formatReward) ?? normal.formatReward
    overlongBuffer = try values.decodeIfPresent(Int.self, forKey: .overlongBuffer) ?? normal.overlongBuffer
    overlongFactor = try values.decodeIfPresent(Double.self, forKey: .overlongFactor) ?? normal.overlongFactor
  }
}

extension Episode.Call {
  /// An error of any kind, or nothing printed.
  public var failed: Bool { status != .ok || output.allSatisfy(\.isWhitespace) }
}

extension Episode {
  /// Whether a reward would say something about the model: not where the grader or the sandbox failed.
  public var isScorable: Bool {
    switch verdict {
    case nil, .ungradable, .timeout: false
    case .correct, .incorrect, .noAnswer: !calls.contains { $0.status == .sandboxError }
    }
  }
}

/// The reward's parts, each with its weight, and their sum; all nil for what cannot be scored.
/// - Parameter maxTokens: the limit that the overlong punishment leads up to.
public func reward(for episode: Episode, settings: RewardSettings, maxTokens: Int) -> Episode.Reward {
  guard episode.isScorable else { return Episode.Reward() }
  var reward = Episode.Reward(accuracy: episode.verdict == .correct ? settings.accuracy : 0, code: 0)
  let penalised = episode.calls.isEmpty ? settings.withoutCode : episode.calls.allSatisfy(\.failed)
  if penalised { reward.code = settings.codePenalty }
  if settings.formatReward != 0 {
    reward.format = episode.finish == .stop && episode.answer != nil ? settings.formatReward : 0
  }
  if settings.overlongBuffer > 0 {
    let excess = Double(episode.responseTokenCount - (maxTokens - settings.overlongBuffer))
    reward.length = excess > 0 ? -min(excess / Double(settings.overlongBuffer), 1) * settings.overlongFactor : 0
  }
  let parts = [reward.accuracy, reward.code, reward.format, reward.length]
  reward.total = parts.reduce(0) { $0 + ($1 ?? 0) }
  return reward
}

/// The episodes with answer, verdict and reward, in their order. One without a gold answer gets neither of the latter.
/// - Parameters:
///   - maxTokens: as in `reward(for:settings:maxTokens:)`.
///   - tokenizer: reads the answers again from the tokens; nil: the answers that the episodes hold.
/// - Throws: `MartletError` (configuration) when math-verify is needed and cannot start.
public func grade(
  _ episodes: [Episode], grader: Grader, settings: RewardSettings, maxTokens: Int = .max, tokenizer: Tokenizer? = nil
) throws -> [Episode] {
  var graded = episodes
  if let tokenizer {
    for index in graded.indices { graded[index].answer = graded[index].readAnswer(tokenizer) }
  }
  let places = graded.indices.filter { graded[$0].gold != nil }
  let results = try grader.gradeMany(places.map { (answer: graded[$0].answer, gold: graded[$0].gold ?? "") })
  for index in graded.indices {
    graded[index].verdict = nil
    graded[index].reward = nil
  }
  for (place, result) in zip(places, results) {
    graded[place].verdict = result.verdict
    graded[place].reward = reward(for: graded[place], settings: settings, maxTokens: maxTokens)
  }
  return graded
}

extension Episode {
  /// The last boxed answer in what the model wrote; a tool's output does not count.
  public func readAnswer(_ tokenizer: Tokenizer) -> String? {
    let own = segments(tokenizer).filter { $0.author == .model || $0.author == .hint }
    return extractAnswer(own.map(\.text).joined())
  }
}
