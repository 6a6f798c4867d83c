import Foundation
import Rollout
import Support
import Testing

@testable import Training

@Suite struct RewardTests {
  private func call(_ status: CallResult.Status, _ output: String) -> Episode.Call {
    Episode.Call(code: "", status: status, detail: "", output: output, ms: 1)
  }

  private func episode(_ verdict: Verdict?, _ calls: [Episode.Call] = [], tokens: Int = 10) -> Episode {
    var episode = Episode(
      id: "a", gold: "1", tokens: [Int32](repeating: 1, count: tokens + 1),
      authors: [
        .init(author: .prompt, count: 1), .init(author: .model, count: tokens - 4), .init(author: .tool, count: 4),
      ],
      logProbs: [])
    (episode.calls, episode.answer, episode.verdict) = (calls, "1", verdict)
    return episode
  }

  private func total(_ episode: Episode, _ settings: RewardSettings = RewardSettings()) -> Double? {
    settings.reward(for: episode, maxTokens: 20).total
  }

  @Test func codeTerm() {
    #expect(total(episode(.correct)) == 1)
    #expect(total(episode(.noAnswer)) == 0)
    #expect(total(episode(.correct, [call(.error, "x"), call(.ok, "2\n")])) == 1)
    #expect(total(episode(.correct, [call(.error, "x"), call(.ok, " \n")])) == 0.9)
    #expect(total(episode(.incorrect, [call(.timeout, "x")])) == -0.1)
    var strict = RewardSettings()
    strict.withoutCode = true
    #expect(total(episode(.correct), strict) == 0.9)
    #expect(total(episode(.correct, [call(.ok, "2")]), strict) == 1)
  }

  @Test func whatCannotBeScoredHasNoTotal() {
    for verdict in [nil, Verdict.ungradable, .timeout] { #expect(total(episode(verdict)) == nil) }
    #expect(total(episode(.correct, [call(.ok, "1"), call(.sandboxError, "")])) == nil)
  }

  @Test func lengthAndFormat() {
    let settings = RewardSettings(formatReward: 0.25, overlongBuffer: 10, overlongFactor: 0.5)
    #expect(total(episode(.correct, tokens: 10), settings) == 1.25)
    #expect(total(episode(.correct, tokens: 15), settings) == 1)
    #expect(total(episode(.correct, tokens: 20), settings) == 0.75)
    #expect(total(episode(.correct, tokens: 40), settings) == 0.75)
    var open = episode(.incorrect)
    for (answer, format) in [("\\boxed{5", 0.0), ("\\fbox{5", 0), ("5", 0.25)] {
      open.answer = answer  // a box that never closed has no form
      #expect(settings.reward(for: open, maxTokens: 20).format == format)
    }
    var cut = episode(.correct)
    cut.finish = .length
    #expect(
      settings.reward(for: cut, maxTokens: 20) == .init(accuracy: 1, code: 0, format: 0, length: 0, total: 1)
    )
  }

  @Test func settingsHaveDefaults() throws {
    let tree = ConfigurationTree.map([("reward", .map([("code_penalty", .number(-0.5))]))])
    #expect(try Configuration(tree: tree, path: "a test").reward == RewardSettings(codePenalty: -0.5))
  }
}
