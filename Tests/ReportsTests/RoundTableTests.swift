import Foundation
import Rollout
import Testing

@testable import Reports

/// Accuracy and tokens against rounds of hints.
@Suite struct RoundTableTests {
  /// Two problems, `right` of them solved, with so many model tokens and a tool's three.
  private func evaluation(right: Int, tokens: Int) -> Evaluation {
    let episodes = (0..<2).map { number in
      var episode = Episode(
        id: "p\(number)", gold: "1", tokens: [Int32](repeating: 1, count: 4 + tokens),
        authors: [
          .init(author: .prompt, count: 1), .init(author: .model, count: tokens), .init(author: .tool, count: 3),
        ],
        logProbs: [Float?](repeating: nil, count: 4 + tokens))
      episode.verdict = number < right ? .correct : .incorrect
      return episode
    }
    return Evaluation(episodes, labels: [[], []])
  }

  @Test func roundsAreComparedWithTheFirst() throws {
    let table = RoundTable([
      (evaluation(right: 0, tokens: 10), 0), (evaluation(right: 1, tokens: 14), 2),
      (evaluation(right: 2, tokens: 20), 1),
    ])
    let report = table.report
    #expect(report.map { $0["round"] as? Int } == [0, 1, 2] && report.map { $0["hinted"] as? Int } == [0, 2, 1])
    #expect(report.map { $0["accuracy"] as? Double } == [0, 0.5, 1])
    #expect(report.map { $0["gain"] as? Double } == [0, 0.5, 1])
    #expect(report.map { $0["tokens"] as? Double } == [10, 14, 20])
    #expect(report.map { $0["response_tokens"] as? Double } == [13, 17, 23])
    // Paired: with both problems right after being wrong, every draw gains all.
    #expect(report[2]["gain_low"] as? Double == 1 && report[2]["gain_high"] as? Double == 1)
    #expect(report[1]["gain_low"] as? Double == 0 && report[1]["gain_high"] as? Double == 1)
    let read = try JSONDecoder().decode(RoundTable.self, from: JSONSerialization.data(withJSONObject: report))
    #expect(read.text == table.text && read.html == table.html && read.picture == table.picture)
    #expect(table.text.contains("+50.0 [+0.0, +100.0]"))
    #expect(table.html.contains("<path d=\"M") && table.picture.contains("round 2"))
  }
}
