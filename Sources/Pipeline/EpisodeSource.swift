import Checkpoint
import Foundation
import PPO
import Rollout
import Tensor

/// A step's episodes: which problems, how many samples, the journal of finished ones, dynamic sampling.
final class EpisodeSource {
  private let engine: RolloutEngine
  private let problems: [Problem]
  private let configuration: Configuration
  private let order: DataOrder
  private let journal: Journal
  /// Finished episodes of the step under way, from a run that was ended.
  private var journaled: [String: Episode] = [:]
  private var lastProblems: [Problem] = []

  /// A journal record: an episode and the step it belongs to.
  private struct Record: Codable {
    var step: Int
    var episode: Episode
  }

  init(_ engine: RolloutEngine, problems: [Problem], folder: RunFolder, configuration: Configuration) throws {
    self.engine = engine
    self.problems = problems
    self.configuration = configuration
    order = DataOrder(count: problems.count, seed: configuration.seed)
    try? FileManager.default.createDirectory(atPath: folder.file("journal"), withIntermediateDirectories: true)
    journal = try Journal(path: folder.file("journal/episodes.log"))
    for bytes in journal.records {
      guard let record = try? JSONDecoder().decode(Record.self, from: bytes) else { continue }
      journaled[Self.key(step: record.step, record.episode.id, record.episode.sample)] = record.episode
    }
  }

  /// Optimizer steps of a rollout step when no group is dropped.
  var updatesPerStep: Int {
    let responses = configuration.promptsPerStep * configuration.samplesPerPrompt
    return (responses + configuration.updateBatch - 1) / configuration.updateBatch
  }

  /// All judged episodes of a step, and those to learn from. With dynamic sampling, groups without a signal are replaced by
  /// groups of the next prompts in order until there are enough or the budget is spent.
  func episodes(step: Int) throws -> (all: [Episode], kept: [Episode]) {
    let wanted = configuration.promptsPerStep
    let span = wanted * max(1, configuration.groups.refill)
    var all: [Episode] = []
    var kept: [Episode] = []
    var groups = 0
    var taken = 0
    lastProblems = []
    while groups < wanted, taken < span {
      let chosen = order.items(from: step * span + taken, count: min(wanted - groups, span - taken)).map {
        problems[$0]
      }
      taken += chosen.count
      lastProblems += chosen
      let sampled = try sample(distinct(chosen), step: step)
      all += sampled
      for start in stride(from: 0, to: sampled.count, by: configuration.samplesPerPrompt) {
        let group = sampled[start..<start + configuration.samplesPerPrompt]
        let hasSignal = groupHasSignal(group.map { $0.reward?.accuracy ?? .nan })
        guard configuration.groups.refill == 0 || hasSignal else { continue }
        kept += group
        groups += 1
      }
      if configuration.groups.refill == 0 { break }
    }
    return (all, kept)
  }

  /// The reward of the greedy answer to each problem of the step (ReMax).
  func greedyRewards(step: Int) throws -> [String: Double] {
    var rewards: [String: Double] = [:]
    let requests = try engine.requests(distinct(lastProblems), samples: 0..<1)
    var settings = engine.settings(step: step)
    settings.sampling.temperature = 0
    let episodes = try engine.judged(engine.sampler.run(requests, settings: settings))
    for episode in episodes { rewards[episode.id] = episode.reward?.total ?? .nan }
    return rewards
  }

  /// To be called when a checkpoint was written: what came before it is in there.
  func forget() throws {
    try journal.reset()
    journaled = [:]
  }

  func close() { journal.close() }

  /// A problem that comes twice in a step (a small file) is another one for the draws.
  private func distinct(_ chosen: [Problem]) -> [Problem] {
    var times: [String: Int] = [:]
    return chosen.map { problem in
      var problem = problem
      times[problem.id, default: 0] += 1
      if let count = times[problem.id], count > 1 { problem.id += "#\(count)" }
      return problem
    }
  }

  private func sample(_ chosen: [Problem], step: Int) throws -> [Episode] {
    let requests = try engine.requests(chosen, samples: 0..<configuration.samplesPerPrompt)
    var episodes = requests.map { journaled[Self.key(step: step, $0.problem.id, $0.sample)] }
    let open = requests.indices.filter { episodes[$0] == nil }
    var failure: (any Error)?
    let fresh = try engine.run(open.map { requests[$0] }, step: step, what: "step \(step + 1)") {
      [journal] _, episode in
      do {
        try journal.append(JSONEncoder().encode(Record(step: step, episode: episode)))
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
    try journal.sync()
    for (place, index) in open.enumerated() { episodes[index] = fresh[place] }
    return try engine.judged(episodes.compactMap(\.self))
  }

  private static func key(step: Int, _ id: String, _ sample: Int) -> String { "\(step)/\(sample)/\(id)" }
}
