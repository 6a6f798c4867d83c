import Foundation
import Reports
import Rollout
import Support
import TestSupport
import Testing
import Tokenization

@testable import Training

/// The examples of docs/ are files that the program reads: each stands in a code block after `<!-- example: NAME -->`.
@Suite struct DocumentExampleTests {
  static let pages = ["configuration", "pipelines", "data", "episodes", "metrics"]

  private static func page(_ name: String) throws -> String {
    try String(contentsOfFile: TrainProgram.root + "/docs/\(name).md", encoding: .utf8)
  }

  /// The blocks of all pages, by name.
  private static func examples() throws -> [String: String] {
    var examples: [String: String] = [:]
    for page in pages {
      let lines = try self.page(page).split(separator: "\n", omittingEmptySubsequences: false)
      for (place, line) in lines.enumerated() where line.hasPrefix("<!-- example: ") {
        let name = String(line.dropFirst("<!-- example: ".count).dropLast(" -->".count))
        try #require(place + 1 < lines.count && lines[place + 1].hasPrefix("```"), "\(page): \(line)")
        let block = lines[(place + 2)...].prefix { $0 != "```" }
        let other = examples.updateValue(block.joined(separator: "\n") + "\n", forKey: name)
        try #require(other == nil, "\(page): \(name) stands twice")
      }
    }
    return examples
  }

  private static func example(_ name: String) throws -> String {
    try #require(try examples()[name], "no document has the example \(name)")
  }

  /// An object that is spread over several lines, as the one line that a file has.
  private static func line(_ name: String) throws -> String {
    try #require(JSONValue(json: try example(name)), "\(name) is no JSON").text + "\n"
  }

  /// The keys of the tables under a heading.
  private static func keys(_ page: String, under heading: String) throws -> [String] {
    let lines = try self.page(page).split(separator: "\n")
    let start = try #require(lines.firstIndex { $0 == heading }, "\(page): \(heading)")
    let section = lines[(start + 1)...].prefix { !$0.hasPrefix("#") }
    let marks = CharacterSet(charactersIn: " `")
    return section.filter { $0.hasPrefix("| `") }.flatMap { row in
      row.split(separator: "|")[0].split(separator: ",").map { $0.trimmingCharacters(in: marks) }
    }
  }

  /// The keys and values of a line; none: it is no object.
  private static func members(_ line: String) -> [(key: String, value: JSONValue)] {
    guard case .object(let members)? = JSONValue(json: line) else { return [] }
    return members
  }

  @Test func everyExampleIsRead() throws {
    let read = [
      "configuration", "pipeline", "ablation", "problems", "sft", "sft-response", "sft-segments", "edits", "episode",
      "metrics",
    ]
    #expect(try Set(Self.examples().keys) == Set(read))
  }

  @Test(arguments: ["configuration", "pipeline", "ablation"]) func files(name: String) throws {
    let program = try TrainProgram()
    let file = try program.write("\(name).yaml", Self.example(name))
    // The paths in the examples begin at the root of the package.
    let outcome = try program.end(program.start(["check", file], in: TrainProgram.root))
    #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
  }

  @Test func aConfigurationIsItsStages() throws {
    let folder = try ScratchFolder()
    try folder.write(Self.example("configuration"), "rl.yaml")
    let configuration = try Configuration.load(folder.path + "/rl.yaml", stage: .rl)
    #expect(configuration.stage == .rl && configuration.warnings(stage: .rl) == [])
    #expect(configuration.updateBatch == 64 && configuration.groups.refill == 2)
  }

  @Test func problems() throws {
    let folder = try ScratchFolder()
    try folder.write(Self.line("problems"), "p.jsonl")
    let problem = try #require(try Problem.readFile(folder.path + "/p.jsonl").first)
    #expect(problem.gold == "72534" && problem.id == "multiplication-942-77")
  }

  @Test(arguments: ["sft", "sft-response", "sft-segments"]) func trainingExamples(name: String) throws {
    let folder = try ScratchFolder()
    try folder.write(Self.line(name), "d.jsonl")
    let loaded = try ChatForms().model("qwen3")
    let examples = try TrainingExamples(
      builder: PromptBuilder(loaded, settings: Configuration.Prompt(), python: nil), tokenizer: loaded.tokenizer,
      vocabulary: loaded.model.configuration.vocabularySize, contextLength: 2048, authors: [.model, .hint]
    ).read([folder.path + "/d.jsonl"])
    #expect(examples.count == 1)
  }

  @Test func edits() throws {
    let folder = try ScratchFolder()
    try folder.write(Self.line("edits"), "e.jsonl")
    let edit = try #require(try JSONLines.read(folder.path + "/e.jsonl", as: HintStage.Edit.self).first)
    #expect(edit.token == 24)
  }

  /// The line is what the program writes: every key in its place, every digit.
  @Test func anEpisode() throws {
    let folder = try ScratchFolder()
    let line = try Self.line("episode")
    try folder.write(line, "e.jsonl")
    let episodes = try EpisodeFile.read(folder.path + "/e.jsonl")
    try EpisodeFile.write(episodes, to: folder.path + "/again.jsonl")
    #expect(JSONValue(json: try folder.read("again.jsonl")) == JSONValue(json: line))
    let json = try Data(contentsOf: URL(fileURLWithPath: TrainProgram.root + "/configs/demo/tokenizer.json"))
    let tokenizer = try Tokenizer(json: json, path: "tokenizer.json")
    #expect(episodes[0].readAnswer(tokenizer) == "72534")
    #expect(try Self.keys("episodes", under: "## Keys") == Self.members(line).map(\.key))
  }

  /// The line is one that the writer makes, the report draws it, and the page explains every key.
  @Test func aLineOfMetrics() throws {
    let line = try Self.line("metrics")
    let members = Self.members(line)
    var metrics = Metrics()
    for (key, value) in members {
      switch value {
      case .number(let number, _): metrics[key] = .double(number)
      case .string: metrics[key] = value.asText.map { .string($0) }
      default: metrics[key] = .null
      }
    }
    #expect(JSONValue(json: metrics.line) == JSONValue(json: line))
    let folder = try ScratchFolder()
    try folder.write(line, "metrics.jsonl")
    let report = try ReportWriter.write(run: folder.path)
    #expect(try String(contentsOfFile: report, encoding: .utf8).contains("grad_norm"))
    let headings = [
      "## Evaluation: `eval.json`, `summary.json`", "### All training stages", "### `rl` alone",
    ]
    let explained = Set(try headings.flatMap { try Self.keys("metrics", under: $0) })
    #expect(Set(members.map(\.key)).subtracting(explained) == [], "not explained")
  }
}
