import Foundation
import Rollout
import Testing
@testable import Reports

@testable import Training

/// What rejection fine-tuning keeps, and what the figures of an evaluation are, on episodes laid out by hand.
@Suite struct RejectionTests {
  private func episode(
    _ id: String, sample: Int = 0, tokens: [Int32], calls: [CallResult.Status] = [.ok], verdict: Verdict = .correct,
    finish: Episode.Finish = .stop
  ) -> Episode {
    var episode = Episode(
      id: id, sample: sample, problem: "p", gold: "1", tokens: [1] + tokens,
      authors: [.init(author: .prompt, count: 1), .init(author: .model, count: tokens.count)],
      logProbs: [nil] + tokens.map { _ in -1 })
    episode.calls = calls.map { Episode.Call(code: "import math", status: $0, detail: "", output: "2\n", ms: 1) }
    (episode.finish, episode.answer, episode.verdict) = (finish, "1", verdict)
    return episode
  }

  private let nothing: (Episode) -> BehaviourAnalysis = { _ in BehaviourAnalysis([]) }

  @Test func keepsTheRightTheWorkingAndTheShort() {
    let episodes = [
      episode("a", sample: 0, tokens: [5, 6, 7, 8]),
      episode("a", sample: 1, tokens: [5, 6]),
      episode("a", sample: 2, tokens: [5, 6]),  // the same again
      episode("a", sample: 3, tokens: [5, 6, 7]),
      episode("b", tokens: [9], verdict: .incorrect),
      episode("c", tokens: [9, 9], calls: [.ok, .error]),
      episode("d", tokens: [9, 8], calls: []),
      episode("e", tokens: [9, 7], finish: .length),
      episode("f", tokens: [9, 6], calls: [.ok, .ok]),
    ]
    var settings = Configuration.Rejection()
    settings.perProblem = 2
    let kept = RFTStage.selection(episodes, settings: settings, analysis: nothing)
    #expect(kept.map { "\($0.id)\($0.sample)" } == ["a1", "a3", "f0"])
    settings.filter = .correct
    let control = RFTStage.selection(episodes, settings: settings, analysis: nothing)
    #expect(control.map { "\($0.id)\($0.sample)" } == ["a1", "a3", "c0", "d0", "f0"])
    settings.maxTokens = 2
    settings.perProblem = 1
    #expect(RFTStage.selection(episodes, settings: settings, analysis: nothing).map(\.sample) == [1, 0, 0, 0])
  }

  @Test func theFiguresOfAnEvaluation() {
    let episodes = [
      episode("a", sample: 0, tokens: [5, 6, 7, 8]), episode("a", sample: 1, tokens: [5, 6], calls: []),
      episode("b", tokens: [9, 9, 9], calls: [.ok, .error], verdict: .timeout),
    ]
    let evaluation = Evaluation(episodes, labels: [[.calculation], [], [.calculation, .verification]])
    #expect(evaluation.value(.accuracy) == 2.0 / 3)
    #expect(evaluation.value(.tokens) == 3)
    #expect(evaluation.value(.codeRatio) == 2.0 / 3)
    #expect(evaluation.value(.calls) == 1)
    #expect(evaluation.value(.execOK) == 2.0 / 3)
    #expect(evaluation.value(.calcShare) == 2.0 / 3)
    #expect(evaluation.value(.verifyShare) == 1.0 / 3)
    #expect(evaluation.report()["accuracy_last_number"] == nil)
    let without = Evaluation([episodes[1]], labels: [[]])
    #expect(without.value(.calcShare) == nil)
    #expect(without.value(.execOK) == nil)
    #expect(evaluation.report()["libraries"] as? [String: Int] == ["math": 2])
    #expect(evaluation.report()["library_share"] as? [String: Double] == ["math": 2.0 / 3])
    #expect((evaluation.report()["library_share_high"] as? [String: Double])?["math"] == 1)
    #expect(evaluation.libraryLine?.hasPrefix("math 66.7 % [") == true, "\(evaluation.libraryLine ?? "")")
    #expect(without.libraryLine == nil)
  }

  @Test func aMendedResponseFailedFirstRanLaterAndIsRight() {
    let episodes = [
      episode("mended", tokens: [5], calls: [.error, .ok]), episode("late", tokens: [5], calls: [.ok, .error]),
      episode("wrong", tokens: [5], calls: [.error, .ok], verdict: .incorrect),
      episode("given up", tokens: [5], calls: [.error]), episode("at once", tokens: [5], calls: [.ok]),
      episode("by hand", tokens: [5], calls: []),
      episode("twice", tokens: [5], calls: [.ok, .error, .timeout, .ok]),
    ]
    #expect(episodes.map(\.isMended) == [true, false, false, false, false, false, true])
    let evaluation = Evaluation(episodes, labels: episodes.map { _ in [] })
    #expect(evaluation.value(.failed) == 5.0 / 7)
    #expect(evaluation.value(.mended) == 2.0 / 5)
    #expect(Evaluation([episodes[4]], labels: [[]]).value(.mended) == nil)
  }

  @Test func votesGoByValueAndTheLastNumberIsReportedBeside() throws {
    var episodes = (0..<5).map { episode($0 < 5 ? "a" : "b", sample: $0, tokens: [5], verdict: .incorrect) }
    let answers = ["1/2", "0.5", "\\frac12", "2", "2.0"]
    for place in episodes.indices {
      episodes[place].answer = answers[place]
      episodes[place].gold = "2"
    }
    for place in 3..<5 { episodes[place].verdict = .correct }
    let labels = [[BehaviourAnalysis.BlockLabel]](repeating: [], count: 5)
    func majority(_ looks: [Evaluation.SecondLook]?) -> Double? {
      Evaluation(episodes, labels: labels, looks: looks).report()["maj_at_k"] as? Double
    }
    // By spelling each answer stands alone: two of five are right. By value three wrong ones are one class.
    #expect(majority(nil) == 2.0 / 5)
    let keys = try Grader(limit: 20).voteKeys(answers)
    let looks = keys.enumerated().map { Evaluation.SecondLook(vote: $1, lastNumberIsRight: $0 == 4) }
    #expect(majority(looks) == 0)
    let report = Evaluation(episodes, labels: labels, looks: looks).report()
    #expect(report["accuracy_last_number"] as? Double == 0.2)
    #expect(report["accuracy_last_number_low"] as? Double == 0.2)
    #expect(report["accuracy"] as? Double == 0.4)
  }

  @Test func theSecondLookReadsTheModelsOwnWords() throws {
    let tokenizer = try LoadedModel.load(TrainProgram.root + "/configs/demo/base.h5", valueHead: false).tokenizer
    func written(_ text: String, tool: String = "", gold: String?) -> Episode {
      let model = tokenizer.encode(text)
      let output = tokenizer.encode(tool)
      return Episode(
        id: "a", gold: gold, tokens: [65] + model + output,
        authors: [
          .init(author: .prompt, count: 1), .init(author: .model, count: model.count),
          .init(author: .tool, count: output.count),
        ], logProbs: [])
    }
    let grader = Grader(limit: 20)
    let episodes = try grade(
      [
        written("it is 1/2, surely", gold: "0.5"), written("so \\boxed{0.5}", gold: "\\frac12"),
        written("it is 4", tool: "5", gold: "5"), written("nothing", gold: "5"), written("\\boxed{6} or 5", gold: "5"),
      ], grader: grader, tokenizer: tokenizer)
    let looks = try Evaluation.secondLooks(episodes, grader: grader, tokenizer: tokenizer)
    #expect(looks.map(\.lastNumberIsRight) == [true, true, false, false, true])
    #expect(looks.map(\.vote) == [nil, "right", nil, nil, "6/1"])
    #expect(episodes.map(\.verdict) == [.noAnswer, .correct, .noAnswer, .noAnswer, .incorrect])
  }
}
