import PPO
import Rollout

/// The section `reward`: what a response is worth.
public struct RewardSettings: Codable, Sendable, Equatable {
  /// Weight of a right answer.
  public var accuracy: Double
  /// Added when every executed block failed, by an error or without output (CoRT: -0.1).
  public var codePenalty: Double
  /// Whether an answer without any executed block gets the penalty too, as CoRT's code does by accident.
  public var withoutCode: Bool
  /// Added for a response that stopped and has a boxed answer.
  public var formatReward: Double
  /// Soft overlong punishment (DAPO, eq. 13): it grows over this many tokens before the limit, tool tokens included; 0:
  /// none.
  public var overlongBuffer: Int
  /// The size of the punishment at the limit.
  public var overlongFactor: Double
  /// A program whose number is added; empty: none.
  public var command: [String] = []
  /// Weight of that number.
  public var commandWeight = 1.0
  /// Seconds that the program may take for one response.
  public var commandTimeLimit = 30.0

  /// The defaults are the configuration's.
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

  /// The names of the keys in a configuration file.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case accuracy
    case codePenalty = "code_penalty"
    case withoutCode = "code_penalty_without_code"
    case formatReward = "format_reward"
    case overlongBuffer = "overlong_buffer"
    case overlongFactor = "overlong_factor"
    case command
    case commandWeight = "command_weight"
    case commandTimeLimit = "command_time_limit"
  }
}

extension RewardSettings {
  /// The weighted parts of the reward and their sum; all nil where the episode cannot be scored.
  /// - Parameters:
  ///   - maxTokens: the limit of a response, at which the overlong punishment is largest; at least `overlongBuffer`.
  ///   - reply: what `reward.command` says of the episode; nil: there is no such program.
  ///   - score: what `task.command` says of it, in place of 1 for a right answer; nil: it is not asked.
  public func reward(
    for episode: Episode, maxTokens: Int, reply: ProgramReward? = nil, score: TaskScore? = nil
  ) -> Episode.Reward {
    guard episode.isScorable else { return Episode.Reward() }
    var reward = Episode.Reward(accuracy: accuracy * (score?.score ?? (episode.verdict == .correct ? 1 : 0)))
    reward.code = codeReward(failures: episode.calls.map(\.failed), penalty: codePenalty, withoutCode: withoutCode)
    if formatReward != 0 { reward.format = episode.finish == .stop && episode.hasBoxedAnswer ? formatReward : 0 }
    if overlongBuffer > 0 {
      reward.length = overlongPenalty(
        length: episode.responseTokenCount, limit: maxTokens, buffer: overlongBuffer, factor: overlongFactor)
    }
    if let reply {
      reward.command = commandWeight * reply.reward
      reward.parts = reply.parts
    }
    if let parts = score?.parts {
      reward.parts = NamedNumbers(parts.values.merging(reward.parts?.values ?? [:]) { $1 })
    }
    let parts = [reward.accuracy, reward.code, reward.format, reward.length, reward.command]
    reward.total = parts.reduce(0) { $0 + ($1 ?? 0) }
    return reward
  }
}
