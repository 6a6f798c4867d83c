import Rollout
import Testing

@testable import Training

/// Which hinted responses are kept, by the mode and by what became of the hint.
@Suite struct HintMakerTests {
  private func episode(_ pieces: [(Author, String)], calls: Int, tokens: Int = 20) -> (Episode, BehaviourAnalysis) {
    let call = Episode.Call(code: "4", status: .ok, detail: "ok", output: "4\n", ms: 1)
    var episode = Episode(
      id: "a", tokens: [Int32](repeating: 1, count: tokens), authors: [.init(author: .model, count: tokens)],
      logProbs: [Float?](repeating: -1, count: tokens))
    episode.calls = [Episode.Call](repeating: call, count: calls)
    episode.verdict = .correct
    let segments = pieces.map { TraceSegment(author: $0.0, text: $0.1) }
    return (episode, BehaviourAnalysis(segments, calls: episode.traceCalls))
  }

  private let block = "```python\n4\n```\n"
  private let output = "```output\n4\n```\n"

  @Test(arguments: Configuration.Hint.Mode.allCases) func theLongestExample(mode: Configuration.Hint.Mode) {
    let (episode, analysis) = episode([(.hint, "Use code.\n"), (.model, block), (.tool, output)], calls: 1)
    var settings = Configuration.Hint()
    settings.mode = mode
    for (limit, reasons) in [(0, []), (20, []), (19, ["20 tokens, more than 19"])] {
      settings.maxTokens = limit
      #expect(HintMaker.reasons(against: episode, analysis, settings) == reasons)
    }
  }

  @Test(arguments: Configuration.Hint.Mode.allCases) func aHintWhoseCallNeverRan(mode: Configuration.Hint.Mode) {
    var settings = Configuration.Hint()
    settings.mode = mode
    let idle = "a call that the hint opened never ran"
    let cases: [([(Author, String)], Int, [String])] = [
      ([(.model, block), (.tool, output), (.hint, "So.\n```python\n"), (.model, "5")], 1, [idle]),
      ([(.model, block), (.tool, output), (.hint, "So.\n```python\n"), (.model, "5\n```\nIt is 5.")], 1, [idle]),
      ([(.model, "So"), (.hint, ".\n```python\n"), (.model, "4\n```\n"), (.tool, output)], 1, []),
      // The model's own unfinished call is no hint's.
      ([(.hint, "Use code."), (.model, "\n" + block), (.tool, output), (.model, block)], 1, []),
    ]
    for (pieces, calls, reasons) in cases {
      let (episode, analysis) = episode(pieces, calls: calls)
      #expect(HintMaker.reasons(against: episode, analysis, settings) == reasons, "\(pieces)")
    }
  }
}
