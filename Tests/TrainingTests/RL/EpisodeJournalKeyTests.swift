import Rollout
import Testing
import Tokenization
@testable import Training

/// A journal's record counts for the trajectory that it was made for alone.
@Suite struct EpisodeJournalKeyTests {
  private func key(
    id: String = "p", gold: String = "7", sample: Int = 0, prompt: [Int32] = [1, 2],
    model: String = "m", means: String = "exact", _ change: (inout SamplerSettings) -> Void = { _ in }
  ) -> EpisodeJournal.Key {
    var settings = SamplerSettings()
    change(&settings)
    let problem = Problem(id: id, problem: "What is 3 + 4?", gold: gold)
    return EpisodeJournal.Key(
      SampleRequest(problem: problem, sample: sample, promptTokens: prompt), settings, model: model, means: means)
  }

  @Test func everythingThatATrajectoryDependsOnIsInItsKey() {
    let keys = [
      key(), key(id: "q"), key(gold: "8"), key(sample: 1), key(prompt: [1, 3]), key(prompt: [1]), key(model: "n"),
      key(means: "mixed"), key { $0.temperature = 0.5 }, key { $0.topP = 0.5 }, key { $0.topK = 4 },
      key { $0.seed = 9 },
      key { $0.step = 3 }, key { $0.maxTokens = 9 }, key { $0.maxCalls = 1 }, key { $0.tools = .code },
    ]
    #expect(Set(keys).count == keys.count)
    #expect(key() == key())
  }
}
