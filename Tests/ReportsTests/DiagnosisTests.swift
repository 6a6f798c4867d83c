import Foundation
import Rollout
import Support
import Testing
@testable import Reports

/// What responses tell about learning, on episodes laid out by hand.
@Suite struct DiagnosisTests {
  private func episode(
    _ id: String, _ sample: Int, _ verdict: Verdict?, tokens: Int = 5, reward: Double? = nil,
    calls: [CallResult.Status] = [], finish: Episode.Finish = .stop
  ) -> Episode {
    var episode = Episode(
      id: id, sample: sample, problem: "p", gold: "1", tokens: [1] + (0..<tokens).map { Int32($0 + sample) },
      authors: [.init(author: .prompt, count: 1), .init(author: .model, count: tokens)],
      logProbs: [nil] + [Float?](repeating: -1, count: tokens))
    episode.calls = calls.map { Episode.Call(code: "", status: $0, detail: "", output: "2\n", ms: 1) }
    (episode.finish, episode.verdict, episode.reward) = (finish, verdict, reward.map { .init(total: $0) })
    episode.answer = verdict == .noAnswer ? nil : "1"
    return episode
  }

  private func diagnosis(_ episodes: [Episode]) -> Diagnosis {
    Diagnosis(episodes) { "text of \($0.id) \($0.sample)" }
  }

  /// A group of four with this many right.
  private func group(_ id: String, right: Int, of count: Int = 4) -> [Episode] {
    (0..<count).map { episode(id, $0, $0 < right ? .correct : .incorrect, reward: $0 < right ? 1 : 0) }
  }

  @Test func ratesAndPassesAreCounted() {
    let right = [0, 1, 2, 3, 4]
    let found = diagnosis(right.flatMap { group("p\($0)", right: $0) })
    #expect(found.problems == 5 && found.responses == 20)
    #expect(found.rates.never == 1 && found.rates.quarters == [1, 1, 1, 0] && found.rates.always == 1)
    #expect(found.teaching.map(\.id) == ["p1", "p2", "p3"] && found.teaching.map(\.correct) == [1, 2, 3])
    #expect(found.groups == 5 && found.withoutSignal == 2)
    // pass@1 = 10/20; pass@2 = (0 + 1/2 + 5/6 + 1 + 1) / 5; pass@4 = 4/5.
    #expect(found.passAtK.map(\.k) == [1, 2, 4])
    for (value, expected) in zip(found.passAtK.map(\.pass), [0.5, 10.0 / 15, 0.8]) {
      #expect(abs(value - expected) < 1e-12)
    }
  }

  @Test func everyOutcomeHasItsExample() {
    let episodes = [
      episode("a", 0, .correct, tokens: 7, reward: 1), episode("a", 1, .correct, tokens: 3, reward: 0.9, calls: [.ok]),
      episode("a", 2, .correct, tokens: 9, reward: 1),
      episode("b", 0, .incorrect, tokens: 4, reward: 0, calls: [.error]),
      episode("b", 1, .incorrect, tokens: 2, reward: 0), episode("b", 2, .noAnswer, tokens: 6, reward: 0),
      episode("b", 3, .noAnswer, tokens: 5, reward: -0.5, finish: .length), episode("c", 0, .ungradable),
      episode("c", 1, .timeout), episode("c", 2, .correct, calls: [.sandboxError]), episode("d", 0, nil),
    ]
    let found = diagnosis(episodes)
    #expect(found.problems == 3 && found.responses == 10)
    #expect(
      found.outcomes == [
        .accepted: 3, .wrong: 2, .noAnswer: 1, .cutOff: 1, .ungradable: 1, .timeout: 1, .sandboxError: 1,
      ])
    #expect(
      found.examples.map { "\($0.which) \($0.outcome.rawValue) \($0.id)\($0.sample) \($0.tokens)" } == [
        "shortest accepted a1 3", "longest accepted a2 9", "shortest wrong b1 2", "shortest no_answer b2 6",
        "shortest cut_off b3 5", "shortest ungradable c0 5", "shortest timeout c1 5", "shortest sandbox_error c2 5",
      ])
    #expect(found.examples[2].end == "text of b 1" && found.examples[2].reward == 0)
    #expect(found.rewards?.lowestAccepted == 0.9 && found.rewards?.highestRejected == 0)
    #expect(found.rewards?.lowest == -0.5 && found.rewards?.highest == 1)
    let calls = found.calls
    #expect(calls.responses == 3 && calls.calls == 3 && calls.failed == 2)
    #expect(calls.correctWith == 2 && calls.correctWithout == 2)
    // Nothing of c can be scored.
    #expect(found.groups == 2 && found.withoutSignal == 0 && found.rates.never == 1 && found.rates.always == 1)
    #expect(found.advice.count == 3, "\(found.advice)")
    #expect(found.advice[0].contains("gold answers that cannot be read: 1 (c)"))
    #expect(found.advice[1].contains("sandbox failed in 1") && found.advice[2].contains("2 of 3 calls"))
  }

  /// Each piece of advice where it holds, and only there.
  @Test func adviceNamesWhatStandsInTheWay() {
    func advice(_ episodes: [Episode]) -> String { diagnosis(episodes).advice.joined(separator: "\n") }
    #expect(advice(group("a", right: 2) + group("b", right: 1)) == "")
    #expect(advice(group("a", right: 0) + group("b", right: 0)).hasPrefix("no problem was solved"))
    #expect(advice(group("a", right: 4) + group("b", right: 4)).hasPrefix("every response is right"))
    #expect(advice(group("a", right: 4) + group("b", right: 1)).hasPrefix("1 of 2 groups have equal rewards"))
    let same = (0..<4).map { _ in episode("a", 0, .incorrect, reward: 0) }
    #expect(advice(same).contains("all responses to a problem are the same"))
    let open = (0..<4).map { episode("a", $0, $0 == 0 ? .noAnswer : .correct, reward: $0 == 0 ? 0 : 1) }
    #expect(advice(open).contains("1 of 4 responses end without an answer"))
    let cut = (0..<4).map { episode("a", $0, $0 == 0 ? .noAnswer : .correct, finish: $0 == 0 ? .length : .stop) }
    #expect(advice(cut).contains("1 of 4 responses were cut off"))
    let paid = [episode("a", 0, .correct, reward: 0.5), episode("a", 1, .incorrect, reward: 0.5)]
    #expect(advice(paid).contains("a response that is not right earns 0.5"))
    var able = group("a", right: 1)
    for place in able.indices { able[place].tools = .python }
    #expect(advice(able).contains("no response calls a tool"))
  }

  @Test func programsReadTheSameKeysAlways() throws {
    let data = Data(try JSONLines.line(diagnosis(group("a", right: 1))))
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(
      Set(object.keys) == [
        "problems", "responses", "pass_at_k", "success_rates", "groups", "without_signal", "teaching", "outcomes",
        "rewards", "calls", "examples", "advice",
      ])
    let outcomes = try #require(object["outcomes"] as? [String: Int])
    #expect(outcomes.count == Diagnosis.Outcome.allCases.count && outcomes["accepted"] == 1 && outcomes["timeout"] == 0)
    #expect(diagnosis([]).passAtK.isEmpty && diagnosis([]).advice.isEmpty)
  }
}
