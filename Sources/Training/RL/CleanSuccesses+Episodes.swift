import PPO
import Rollout

extension CleanSuccesses {
  /// The episodes to learn from, in their order. Those of one id are a group.
  func kept(_ episodes: [Episode]) -> [Episode] {
    let groups = Dictionary(grouping: episodes.indices) { episodes[$0].id }
    let places = groups.values.flatMap { group in
      kept(
        correct: group.map { episodes[$0].isScorable ? episodes[$0].verdict == .correct : nil },
        failures: group.map { episodes[$0].calls.count(where: \.failed) }
      ).map { group[$0] }
    }
    return places.sorted().map { episodes[$0] }
  }
}

extension Configuration {
  /// How many responses to each prompt a step of `rl` samples; `samples_per_prompt` of them are learnt from.
  var sampledPerPrompt: Int { samplesPerPrompt * (groups.cleanSuccesses ? 2 : 1) }
  /// The choice of the responses to learn from; nil: all.
  var cleanSuccesses: CleanSuccesses? { groups.cleanSuccesses ? CleanSuccesses(count: samplesPerPrompt) : nil }
}
