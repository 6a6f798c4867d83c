import Foundation
import Rollout
import Support
import TensorBase
import Testing

/// Numbers of JSON lines that are read as text.
@Suite struct VerbatimNumberTests {
  static let numbers = [
    "123456789012345678901234567890", "9223372036854775808", "0.00001", "1e-5", "0.5", "-7", "1.50", "2E+30", "0",
    "-0.0", "12345678901234567890.12345678901234567890",
  ]

  private static func file<T>(_ text: String, _ body: (String) throws -> T) throws -> T {
    let path = NSTemporaryDirectory() + "verbatim-\(UUID().uuidString).jsonl"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
  }

  @Test(arguments: numbers) func problemsKeepEveryDigit(_ number: String) throws {
    for key in ["gt_answer", "answer"] {
      let text = #"{"id": 7, "problem": "p \"gt_answer\": 5", "\#(key)" : \#(number)}"#
      let problem = try #require(try Self.file(text) { try Problem.readFile($0) }.first)
      #expect(problem.gold == number)
      #expect(problem.id == "7")
      #expect(problem.problem == #"p "gt_answer": 5"#)
    }
  }

  @Test(arguments: numbers) func episodesKeepEveryDigit(_ number: String) throws {
    let text = #"{"id": "a", "gold": \#(number), "answer":\#(number), "tokens": [1, 2], "authors": [["prompt", 2]]}"#
    let episode = try #require(try Self.file(text) { try EpisodeFile.read($0) }.first)
    #expect(episode.gold == number)
    #expect(episode.answer == number)
    let line = String(decoding: try JSONLines.line(episode), as: UTF8.self)
    #expect(try Self.file(line) { try EpisodeFile.read($0) } == [episode])
  }

  @Test func whatIsNoNumberIsLeftAlone() throws {
    for wrong in ["01", "1.", "true", "[5]", "{\"answer\": 5}", "NaN", "--1", ""] {
      #expect(throws: MartletError.self, "\(wrong)") {
        try Self.file(#"{"problem": "p", "answer": \#(wrong)}"#) { try Problem.readFile($0) }
      }
    }
  }
}
