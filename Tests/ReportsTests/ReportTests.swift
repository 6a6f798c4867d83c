import Checkpoint
import Foundation
import Rollout
import Support
import TestSupport
import Testing
import Transformer
@testable import Reports

@Suite struct ReportTests {
  /// A tokenizer for tests: an id is a Unicode scalar.
  private static func text(_ ids: [Int32]) -> String {
    String(String.UnicodeScalarView(ids.compactMap { Unicode.Scalar(UInt32($0)) }))
  }

  private static func episode(
    _ id: String, _ pieces: [(Author, String)], verdict: Verdict, hints: [Episode.Hint] = [], calls: [Episode.Call] = []
  ) -> Episode {
    var tokens: [Int32] = []
    var authors: [Episode.Run] = []
    var logProbs: [Float?] = []
    for (author, text) in pieces {
      let ids = text.unicodeScalars.map { Int32($0.value) }
      tokens += ids
      authors.append(Episode.Run(author: author, count: ids.count))
      logProbs += ids.map { _ in author == .model ? -0.5 : nil }
    }
    var episode = Episode(
      id: id, problem: "What is 2 + 2?", gold: "4", tokens: tokens, authors: authors, logProbs: logProbs)
    (episode.hints, episode.calls, episode.answer, episode.verdict) = (hints, calls, "4", verdict)
    return episode
  }

  private static func run(in folder: ScratchFolder) throws {
    let lines = (1...5).map {
      "{\"step\": \($0), \"loss\": \(1.0 / Double($0)), \"entropy\": null, \"state_hash\": \"x\"}\n"
    }
    try folder.write(lines.joined() + "{\"step\": 6, \"lo", "base/metrics.jsonl")
    try folder.write(
      String(decoding: try JSONEncoder().encode(SummaryTests.example), as: UTF8.self), "summary.json")
    try folder.write("{\"accuracy\": 0.5, \"tokens\": 7, \"calls\": null, \"problems\": 12}", "hint-rl/eval.json")
    try FileManager.default.createDirectory(
      atPath: folder.path + "/hint-rl/episodes", withIntermediateDirectories: true)
    let attack = Self.episode(
      "evil<b>",
      [
        (.prompt, "What is 2 + 2?"), (.model, "<script>alert(1)</script> & \"so\"\n"),
        (.hint, "Use code.\n```python\n"),
        (.model, "print(2 + 2)\n```\n"), (.tool, "```output\n4\n```\n"), (.model, "\\boxed{4}"),
      ], verdict: .correct,
      hints: [Episode.Hint(token: 1, kind: .delayed, text: "Use code.", reason: "equations")],
      calls: [Episode.Call(code: "print(2 + 2)\n", status: .ok, detail: "ok", output: "4\n", ms: 1)])
    let wrong = Self.episode("plain", [(.prompt, "Q"), (.model, "no idea")], verdict: .incorrect)
    try JSONLines.write([wrong], to: folder.path + "/hint-rl/episodes/step-00000001.jsonl")
    try JSONLines.write([attack, wrong], to: folder.path + "/hint-rl/episodes/step-00000002.jsonl")
  }

  @Test func whatAModelWroteIsOnlyText() throws {
    let folder = try ScratchFolder()
    try Self.run(in: folder)
    let path = try ReportWriter.write(run: folder.path, decode: Self.text)
    #expect(path == folder.path + "/report.html")
    let page = try folder.read("report.html")
    #expect(!page.contains("<script"))
    #expect(!page.contains("evil<b>") && page.contains("evil&lt;b&gt;"))
    #expect(
      page.contains("<span class=\"model\">&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;so&quot;\n</span>"))
    #expect(!page.contains("http"), "a page that needs nothing from outside")
  }

  @Test func everyAuthorHasAColour() throws {
    let folder = try ScratchFolder()
    try Self.run(in: folder)
    let page = try String(contentsOfFile: ReportWriter.write(run: folder.path, decode: Self.text), encoding: .utf8)
    #expect(page.contains("<span class=\"prompt\">What is 2 + 2?</span>"))
    // The hint opens the block, the model goes on inside of it and closes it.
    #expect(page.contains("<span class=\"hint\">Use code.\n</span><span class=\"hint\">```</span>"))
    #expect(page.contains("<span class=\"code\">print(2 + 2)\n</span><span class=\"code\">```</span>"))
    #expect(page.contains("<span class=\"tool\">```output\n4\n```\n</span><span class=\"model\">\\boxed{4}</span>"))
  }

  @Test func tablePlotsAndOrder() throws {
    let folder = try ScratchFolder()
    try Self.run(in: folder)
    let page = try String(contentsOfFile: ReportWriter.write(run: folder.path, decode: Self.text), encoding: .utf8)
    #expect(page.contains("<td>41.3 % [37.0, 45.6]</td>") && page.contains("+48.8 points [+43.2, +54.0]"))
    #expect(page.contains("accuracy, % against tokens a response"))
    #expect(page.contains("aria-label=\"loss\"") && !page.contains("aria-label=\"entropy\""))
    #expect(page.contains("last 0.2<"))
    let base = try #require(page.range(of: "<h2>base</h2>"))
    let rl = try #require(page.range(of: "<h2>hint-rl</h2>"))
    #expect(base.lowerBound < rl.lowerBound)
    #expect(page.contains("<td>50.0 %</td><td>7.0</td>"))
  }

  @Test func withoutATokenizerThereAreStillProblemAndCode() throws {
    let folder = try ScratchFolder()
    try Self.run(in: folder)
    let page = try String(contentsOfFile: ReportWriter.write(run: folder.path), encoding: .utf8)
    #expect(page.contains("What is 2 + 2?") && page.contains("print(2 + 2)") && page.contains("class=\"tool\""))
  }

  @Test func theTokenizerOfAModelBesideTheStage() throws {
    let folder = try ScratchFolder()
    try Self.run(in: folder)
    // Ids of the test's episodes are scalars: every one below 128 gets a token that shows it was looked up here.
    let vocabulary = (0..<128).map { "\"t\($0)\": \($0)" }.joined(separator: ", ")
    let json = """
      {"version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null,
       "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
       "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {\(vocabulary)}, "merges": []}}
      """
    let model = LanguageModel(
      configuration: ModelConfiguration(
        architecture: .llama, hiddenSize: 16, intermediateSize: 16, layerCount: 1, heads: .init(1), vocabularySize: 128)
    )
    try ModelFile.write(model, files: ModelFiles(tokenizer: Data(json.utf8)), to: folder.path + "/base/model.h5")
    let page = try String(contentsOfFile: ReportWriter.write(run: folder.path), encoding: .utf8)
    #expect(page.contains("<span class=\"prompt\">t81</span>"))
  }

  @Test func nothingToReportIsAnError() throws {
    let folder = try ScratchFolder()
    #expect { _ = try ReportWriter.write(run: folder.path) } throws: { "\($0)".contains("neither metrics.jsonl") }
    try folder.write("{\"rows\": 3}", "summary.json")
    #expect { _ = try ReportWriter.write(run: folder.path) } throws: { "\($0)".contains("summary.json") }
  }

  @Test func numbersAndScalesStayReadable() {
    #expect(
      [0, 0.00012, -0.5, 12.34, 123456, 0.0004999, 1e-12].map(shortNumber) == [
        "0", "1.2e-4", "-0.5", "12.3", "1.23e5", "5e-4", "1e-12",
      ])
    let scale = HTML.Scale(0.13, 0.87)
    #expect(scale.low <= 0.13 && scale.high >= 0.87 && (3...9).contains(scale.ticks.count))
    let flat = HTML.Scale(2, 2)
    #expect(flat.low < 2 && flat.high > 2)
  }
}
