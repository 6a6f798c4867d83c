import Testing

@testable import Rollout

@Suite struct GradingTests {
  @Test func gradingFillsIn() throws {
    let tokenizer = try RolloutFixtures.tokenizer()
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
    let graded = try grade(
      [
        written("So \\boxed{1/2}.", tool: "\\boxed{3}", gold: "0.5"), written("no", tool: "\\boxed{3}", gold: "3"),
        written("\\boxed{4}", gold: "3"), written("\\boxed{4}", gold: nil),
      ], grader: Grader(), tokenizer: tokenizer)
    #expect(graded.map(\.answer) == ["1/2", nil, "4", "4"])
    #expect(graded.map(\.verdict) == [.correct, .noAnswer, .incorrect, nil])
  }
}
