import Reports
import Rollout
import Support

/// Rounds of hints at test time: each puts one hint into every response that has a place for one, and continues it.
///
/// Draws are keyed by problem, sample and position, so a response up to its hint is what the round before wrote, and
/// round 0 is a plain evaluation.
struct HintRounds {
  /// The responses after a round, and how many of them got a hint in it.
  struct Round {
    var episodes: [Episode]
    var hinted: Int
  }

  private let engine: RolloutEngine
  private let count: Int
  private let hints: TestTimeHints

  init(_ engine: RolloutEngine, _ configuration: Configuration) {
    self.engine = engine
    count = configuration.testHints.rounds
    var finder = HintFinder()
    finder.hesitation = configuration.testHints.hesitation
    finder.end = configuration.testHints.end
    finder.tools = configuration.sampling.tools
    hints = TestTimeHints(finder, maxCalls: configuration.sampling.maxCalls)
  }

  /// All rounds, the first of them `episodes` as they are.
  /// - Parameter sample: continues requests, in their order; it is given the round, from 1.
  func run(
    after episodes: [Episode], sample: (_ requests: [SampleRequest], _ round: Int) throws -> [Episode]
  ) rethrows -> [Round] {
    var rounds = [Round(episodes: episodes, hinted: 0)]
    for round in 0..<count {
      var next = rounds[round].episodes
      let requests = next.map(request)
      let places = requests.indices.filter { requests[$0] != nil }
      let continued = places.isEmpty ? [] : try sample(requests.compactMap(\.self), round + 1)
      for (place, episode) in zip(places, continued) { next[place] = episode }
      rounds.append(Round(episodes: next, hinted: places.count))
    }
    return rounds
  }

  private func request(_ episode: Episode) -> SampleRequest? {
    hints.prefix(
      of: episode, limit: engine.sampler.limit(promptCount: episode.promptCount, engine.settings(step: 0)),
      stopTokens: engine.builder.stopTokens, tokenizer: engine.loaded.tokenizer
    ).map { SampleRequest(continuing: episode, from: $0) }
  }
}
