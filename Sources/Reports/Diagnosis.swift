import PPO
import Rollout

/// What a model's responses tell about learning from their rewards: `train diagnose`.
public struct Diagnosis: Encodable, Sendable, Equatable {
  /// What became of a response.
  public enum Outcome: String, Codable, Sendable, CaseIterable {
    /// Right.
    case accepted
    case wrong
    /// It ended without an answer.
    case noAnswer = "no_answer"
    /// A limit came before an answer.
    case cutOff = "cut_off"
    /// The gold answer cannot be read, or the comparison took too long: nobody can be rewarded.
    case ungradable, timeout
    /// The sandbox failed, which says nothing about the model.
    case sandboxError = "sandbox_error"
  }

  /// pass@k over the problems with at least k responses.
  public struct PassAtK: Codable, Sendable, Equatable {
    /// k.
    public var k: Int
    /// The mean of the unbiased estimates.
    public var pass: Double
  }

  /// How often a problem was solved.
  public struct Rate: Codable, Sendable, Equatable {
    /// The problem's id.
    public var id: String
    /// Right responses.
    public var correct: Int
    /// Responses that can be scored.
    public var samples: Int
  }

  /// Problems by success rate.
  public struct Histogram: Codable, Sendable, Equatable {
    /// Rate 0.
    public var never = 0
    /// Above 0, up to each quarter; the last below 1.
    public var quarters = [0, 0, 0, 0]
    /// Rate 1.
    public var always = 0
  }

  /// The rewards of the responses that have one.
  public struct Rewards: Codable, Sendable, Equatable {
    /// Their mean and ends.
    public var mean, lowest, highest: Double
    /// The least that a right response earns; nil: none is right.
    public var lowestAccepted: Double?
    /// The most that any other earns; nil: all are right.
    public var highestRejected: Double?

    enum CodingKeys: String, CodingKey {
      case mean, lowest, highest
      case lowestAccepted = "lowest_accepted"
      case highestRejected = "highest_rejected"
    }
  }

  /// How the responses use tools.
  public struct Calls: Codable, Sendable, Equatable {
    /// Responses with a call.
    public var responses = 0
    /// Calls, and those that raised an error or printed nothing.
    public var calls = 0
    /// Of these, the failed ones.
    public var failed = 0
    /// Right responses with a call, and without one.
    public var correctWith = 0
    /// The same without a call.
    public var correctWithout = 0

    enum CodingKeys: String, CodingKey {
      case responses, calls, failed
      case correctWith = "correct_with"
      case correctWithout = "correct_without"
    }
  }

  /// A response to look at.
  public struct Example: Codable, Sendable, Equatable {
    /// What became of it.
    public var outcome: Outcome
    /// `shortest` or `longest` of its outcome.
    public var which: String
    /// The problem's id.
    public var id: String
    /// Which response.
    public var sample: Int
    /// Model and hint tokens.
    public var tokens: Int
    /// The answer that was read; nil: none.
    public var answer: String?
    /// The right answer.
    public var gold: String?
    /// What it is worth.
    public var reward: Double?
    /// How its text ends.
    public var end: String
  }

  /// How many problems and responses there are.
  public var problems, responses: Int
  /// pass@k for k = 1, 2, 4, ... and the fewest responses of a problem.
  public var passAtK: [PassAtK]
  /// Problems by success rate.
  public var rates: Histogram
  /// Groups of several responses, and those of them whose rewards are all equal.
  public var groups, withoutSignal: Int
  /// The problems that are solved sometimes, the seldom solved first.
  public var teaching: [Rate]
  /// How many responses each outcome has.
  public var outcomes: [Outcome: Int]
  /// nil: no response has a reward.
  public var rewards: Rewards?
  /// How tools are used.
  public var calls: Calls
  /// The shortest and the longest right response, and the shortest of each other outcome.
  public var examples: [Example]
  /// What stands in the way of learning, with remedies.
  public var advice: [String]

  enum CodingKeys: String, CodingKey {
    case problems, responses
    case passAtK = "pass_at_k"
    case rates = "success_rates"
    case groups
    case withoutSignal = "without_signal"
    case teaching, outcomes, rewards, calls, examples, advice
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(problems, forKey: .problems)
    try values.encode(responses, forKey: .responses)
    try values.encode(passAtK, forKey: .passAtK)
    try values.encode(rates, forKey: .rates)
    try values.encode(groups, forKey: .groups)
    try values.encode(withoutSignal, forKey: .withoutSignal)
    try values.encode(teaching, forKey: .teaching)
    var counts = values.nestedContainer(keyedBy: Outcome.self, forKey: .outcomes)
    for outcome in Outcome.allCases { try counts.encode(outcomes[outcome, default: 0], forKey: outcome) }
    try values.encode(rewards, forKey: .rewards)
    try values.encode(calls, forKey: .calls)
    try values.encode(examples, forKey: .examples)
    try values.encode(advice, forKey: .advice)
  }
}

extension Diagnosis.Outcome: CodingKey {}

extension Episode {
  /// What became of it; nil: it was not judged.
  package var outcome: Diagnosis.Outcome? {
    guard let verdict else { return nil }
    if calls.contains(where: { $0.status == .sandboxError }) { return .sandboxError }
    return switch verdict {
    case .correct: .accepted
    case .ungradable: .ungradable
    case .timeout: .timeout
    case .noAnswer: finish == .length ? .cutOff : .noAnswer
    case .incorrect: answer == nil && finish == .length ? .cutOff : .wrong
    }
  }
}

extension Diagnosis {
  /// - Parameters:
  ///   - episodes: the judged ones count.
  ///   - text: the text of a response.
  public init(_ episodes: [Episode], text: (Episode) -> String) {
    let judged = episodes.compactMap { episode in episode.outcome.map { (episode, $0) } }
    var groups: [[(episode: Episode, outcome: Outcome)]] = []
    var place: [String: Int] = [:]
    for (episode, outcome) in judged {
      let group = place[episode.id] ?? groups.count
      if group == groups.count { groups.append([]) }
      place[episode.id] = group
      groups[group].append((episode, outcome))
    }
    let rates = groups.map { group in
      Rate(
        id: group[0].episode.id, correct: group.count { $0.episode.isScorable && $0.outcome == .accepted },
        samples: group.count { $0.episode.isScorable })
    }.filter { $0.samples > 0 }
    problems = groups.count
    responses = judged.count
    passAtK = Self.passAtK(rates)
    self.rates = Histogram(rates)
    let compared = groups.map { $0.map(\.episode).filter(\.isScorable) }.filter { $0.count > 1 }
    self.groups = compared.count
    withoutSignal = compared.count { group in
      Set(group.map { $0.reward?.total ?? ($0.verdict == .correct ? 1 : 0) }).count == 1
    }
    teaching = rates.filter { $0.correct > 0 && $0.correct < $0.samples }
      .enumerated().sorted { ($0.element.rate, $0.offset) < ($1.element.rate, $1.offset) }.map(\.element)
    outcomes = Dictionary(judged.map { ($0.1, 1) }, uniquingKeysWith: +)
    rewards = Rewards(judged.map(\.0))
    calls = Calls(judged.map(\.0))
    examples = Self.examples(judged, text)
    advice = []
    advice = advice(groups.map { $0.map(\.episode) })
  }

  private static func passAtK(_ rates: [Rate]) -> [PassAtK] {
    guard let most = rates.map(\.samples).min() else { return [] }
    let powers = (0..<30).map { 1 << $0 }.filter { $0 < most }
    return (powers + [most]).map { k in
      PassAtK(
        k: k,
        pass: rates.reduce(0) { $0 + PPO.passAtK(samples: $1.samples, correct: $1.correct, k: k) }
          / Double(rates.count))
    }
  }

  private static func examples(_ judged: [(Episode, Outcome)], _ text: (Episode) -> String) -> [Example] {
    Outcome.allCases.flatMap { outcome -> [Example] in
      let order = judged.filter { $0.1 == outcome }.map(\.0).enumerated().sorted {
        ($0.element.modelTokenCount, $0.offset) < ($1.element.modelTokenCount, $1.offset)
      }.map(\.element)
      let wanted = [("shortest", order.first), ("longest", outcome == .accepted && order.count > 1 ? order.last : nil)]
      return wanted.compactMap { which, episode in
        guard let episode else { return nil }
        return Example(
          outcome: outcome, which: which, id: episode.id, sample: episode.sample, tokens: episode.modelTokenCount,
          answer: episode.answer, gold: episode.gold, reward: episode.reward?.total,
          end: String(text(episode).suffix(240)))
      }
    }
  }
}

extension Diagnosis.Rate {
  /// correct / samples.
  public var rate: Double { Double(correct) / Double(samples) }
}

extension Diagnosis.Histogram {
  init(_ rates: [Diagnosis.Rate]) {
    for rate in rates {
      switch rate.correct {
      case 0: never += 1
      case rate.samples: always += 1
      // (0, 1/4], (1/4, 1/2], ... in whole numbers.
      case let correct: quarters[(4 * correct - 1) / rate.samples] += 1
      }
    }
  }
}

extension Diagnosis.Rewards {
  init?(_ episodes: [Episode]) {
    let given = episodes.compactMap { episode in episode.reward?.total.map { ($0, episode.verdict == .correct) } }
    guard let lowest = given.map(\.0).min(), let highest = given.map(\.0).max() else { return nil }
    self.init(
      mean: given.reduce(0) { $0 + $1.0 } / Double(given.count), lowest: lowest, highest: highest,
      lowestAccepted: given.filter(\.1).map(\.0).min(), highestRejected: given.filter { !$0.1 }.map(\.0).max())
  }
}

extension Diagnosis.Calls {
  init(_ episodes: [Episode]) {
    for episode in episodes {
      calls += episode.calls.count
      failed += episode.calls.count(where: \.failed)
      if !episode.calls.isEmpty { responses += 1 }
      guard episode.verdict == .correct else { continue }
      if episode.calls.isEmpty { correctWithout += 1 } else { correctWith += 1 }
    }
  }
}
