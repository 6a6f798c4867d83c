import Foundation
import PPO
import Rollout

/// Samples the episodes of a step: which problems, how many samples of each, and dynamic sampling.
final class EpisodeSource {
  private let engine: RolloutEngine
  private let problems: [Problem]
  private let configuration: Configuration
  private let order: ProblemOrder
  let journal: EpisodeJournal
  /// The problems of the last step, with distinct ids.
  private var lastProblems: [Problem] = []
  /// Where the next step begins in the endless order, and how many places of the last one were passed over.
  private(set) var nextPlace = 0
  private(set) var passedOver = 0
  /// The ids of the last step's problems in the data, by their distinct ids.
  private var dataIDs: [String: String] = [:]

  init(
    _ engine: RolloutEngine, problems: [Problem], order: ProblemOrder, journal: EpisodeJournal,
    configuration: Configuration
  ) {
    self.engine = engine
    self.problems = problems
    self.journal = journal
    self.configuration = configuration
    self.order = order
  }

  /// How many optimizer steps a rollout step has when no group is dropped.
  static func updates(_ configuration: Configuration) -> Int {
    let responses = configuration.promptsPerStep * configuration.samplesPerPrompt
    return (responses + configuration.updateBatch - 1) / configuration.updateBatch
  }

  /// How many problems a step may take. As many places of the endless order belong to it at least, whether it needs
  /// them or not.
  var span: Int { configuration.promptsPerStep * max(1, configuration.groups.refill) }

  /// All judged episodes of a step, and those to learn from. With dynamic sampling, groups without a signal are
  /// replaced by groups of the next problems, until there are enough or the budget is spent.
  /// - Parameters:
  ///   - place: the step's first place in the endless order of problems.
  ///   - rates: success rates by problem, for the band and the knapsack's budgets.
  func episodes(step: Int, from place: Int, rates: [String: Double]) throws -> (all: [Episode], kept: [Episode]) {
    let wanted = configuration.promptsPerStep
    var all: [Episode] = []
    var kept: [Episode] = []
    var groups = 0
    var taken = 0
    lastProblems = []
    dataIDs = [:]
    var draw = ProblemDraw(
      problems, order: order, band: configuration.groups.band, seed: configuration.seed, rates: rates, place: place)
    // A problem that comes twice in a step (a small file) gets another id, which keys other draws.
    var ids = DistinctIds(separator: "#")
    while groups < wanted, taken < span {
      let chosen = draw.next(min(wanted - groups, span - taken)).map { problem in
        let named = ids.distinct(problem)
        dataIDs[named.id] = problem.id
        return named
      }
      taken += chosen.count
      lastProblems += chosen
      for group in try sample(chosen, step: step, rates: rates) {
        all += group
        // The verdicts tell, since the reward may give a right answer any weight, or none.
        let hasSignal = groupHasSignal(group.map { $0.isScorable ? ($0.verdict == .correct ? 1 : 0) : .nan })
        guard configuration.groups.refill == 0 || hasSignal else { continue }
        kept += configuration.cleanSuccesses?.kept(group) ?? group
        groups += 1
      }
      if configuration.groups.refill == 0 { break }
    }
    nextPlace = max(place + span, draw.place)
    passedOver = draw.passedOver
    return (all, kept)
  }

  /// The reward of the greedy answer to each problem of the step (ReMax); NaN: it could not be scored.
  func greedyRewards(_ step: Int) throws -> [String: Double] {
    var rewards: [String: Double] = [:]
    let requests = try engine.requests(lastProblems, samples: 0..<1)
    var settings = engine.settings(step: step)
    settings.temperature = 0
    let episodes = try engine.judged(engine.sampler.run(requests, settings: settings))
    for episode in episodes { rewards[episode.id] = episode.reward?.total ?? .nan }
    return rewards
  }

  /// The share of right answers by problem id, without episodes that cannot be scored.
  static func successRates(_ episodes: [Episode]) -> [String: Double] {
    Dictionary(grouping: episodes.filter(\.isScorable), by: \.id).mapValues { group in
      Double(group.count { $0.verdict == .correct }) / Double(group.count)
    }
  }

  /// `rates` with those that the last step's episodes show. With a band they stand under the ids of the data, though a
  /// problem that came twice in the step had another id.
  func measured(_ episodes: [Episode], _ rates: [String: Double]) -> [String: Double] {
    var episodes = episodes
    if configuration.groups.hasBand {
      for index in episodes.indices { episodes[index].id = dataIDs[episodes[index].id] ?? episodes[index].id }
    }
    return rates.merging(Self.successRates(episodes)) { $1 }
  }

  /// How many samples each problem gets: the same for all, or by the knapsack.
  private func budgets(_ chosen: [Problem], _ rates: [String: Double]) -> [Int] {
    let count = configuration.sampledPerPrompt
    guard configuration.groups.knapsack else { return chosen.map { _ in count } }
    return KnapsackBudget(maximum: configuration.groups.knapsackMaximum).allocate(
      chosen.map { rates[$0.id] }, samplesPerPrompt: count)
  }

  /// Samples a group of episodes for each problem.
  private func sample(_ chosen: [Problem], step: Int, rates: [String: Double]) throws -> [[Episode]] {
    let budgets = budgets(chosen, rates)
    let requests = try zip(chosen, budgets).flatMap { try engine.requests([$0], samples: 0..<$1) }
    var rest = try journal.run(requests, step: step, what: "sampling", engine: engine)[...]
    return budgets.map { count in
      defer { rest = rest.dropFirst(count) }
      return Array(rest.prefix(count))
    }
  }
}
