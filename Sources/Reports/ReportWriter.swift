import Checkpoint
import Foundation
import PPO
import Rollout
import Support
import Tokenization
import Transformer

/// Makes `report.html` of a run's folder: one self-contained page.
public enum ReportWriter {
  /// Reads `metrics.jsonl`, `eval.json`, `episodes/*.jsonl`, `summary.json` and `ablation.json` of the run and of the
  /// stage folders in it, and writes `report.html` there.
  ///
  /// - Parameters:
  ///   - run: the run's folder.
  ///   - decode: turns token ids into text; nil: the tokenizer of the stage's model does, or that of a model beside it.
  /// - Returns: the page's path.
  /// - Throws: `MartletError`: data when the folder holds nothing to report, io when the page cannot be written.
  public static func write(run: String, decode: (([Int32]) -> String)? = nil) throws -> String {
    let folder = run.count > 1 && run.hasSuffix("/") ? String(run.dropLast()) : run
    let summary = try read(folder + "/summary.json", as: Summary.self)
    let stages = try self.stages(folder, order: summary?.rows.map(\.stage) ?? [])
    let ablation = try AblationTable(folder: folder)
    guard summary != nil || ablation != nil || !stages.isEmpty else {
      throw MartletError(
        .data,
        "\(folder): holds neither metrics.jsonl, eval.json, summary.json nor episodes; name the folder of a run")
    }
    let rows = summary?.rows ?? stages.compactMap(\.evaluation)
    let name = folder.split(separator: "/").last.map(String.init) ?? folder
    var body = "<h1>\(HTML.escape(name))</h1>\n"
    if let ablation { body += Self.ablation(ablation) }
    if !rows.isEmpty { body += comparison(rows, gains: summary?.gains ?? []) }
    for stage in stages { body += section(stage, decode: decode ?? decoder(stage.folder, run: folder)) }
    let path = folder + "/report.html"
    do {
      try Data(HTML.page(title: "\(name) - Martlet", body: body).utf8).write(
        to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw MartletError(.io, "\(path): cannot be written: \(error.localizedDescription)")
    }
    return path
  }

  // MARK: - Reading

  /// A folder of the run in which something was trained, evaluated or sampled.
  private struct Stage {
    var name: String
    var folder: String
    /// (step, value) by key, in the order of `plotted`.
    var series: [(key: String, points: [(x: Double, y: Double)])]
    var evaluation: Summary.Row?
    var rounds: RoundTable?
    var episodes: [Episode]
    var configuration: String?
  }

  private static func read<T: Decodable>(_ path: String, as type: T.Type) throws -> T? {
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    do { return try JSONDecoder().decode(type, from: data) } catch {
      throw MartletError(.data, "\(path): is not in the form that a pipeline writes: \(error)")
    }
  }

  /// The run's own folder and the folders below it that hold results. Those that the summary names come first, in its
  /// order.
  private static func stages(_ run: String, order: [String]) throws -> [Stage] {
    var found: [Stage] = []
    func visit(_ folder: String, _ name: String, depth: Int) throws {
      if let stage = stage(folder, name: name) { found.append(stage) }
      guard depth < 3 else { return }
      for entry in ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted() {
        var isFolder: ObjCBool = false
        guard entry != "episodes", entry != "journal", !entry.hasPrefix("step-"), !entry.hasPrefix("."),
          FileManager.default.fileExists(atPath: folder + "/" + entry, isDirectory: &isFolder), isFolder.boolValue
        else { continue }
        try visit(folder + "/" + entry, depth == 0 ? entry : name + "/" + entry, depth: depth + 1)
      }
    }
    try visit(run, run.split(separator: "/").last.map(String.init) ?? run, depth: 0)
    let place = { (stage: Stage) in order.firstIndex(of: stage.name) ?? order.count }
    return found.enumerated().sorted { (place($0.element), $0.offset) < (place($1.element), $1.offset) }.map(\.element)
  }

  private static func stage(_ folder: String, name: String) -> Stage? {
    let series = metrics(folder + "/metrics.jsonl")
    let evaluation = evaluation(folder + "/eval.json", stage: name, model: folder)
    let episodes = examples(folder)
    guard !series.isEmpty || evaluation != nil || !episodes.isEmpty else { return nil }
    return Stage(
      name: name, folder: folder, series: series, evaluation: evaluation, rounds: rounds(folder + "/eval.json"),
      episodes: episodes,
      configuration: try? String(contentsOfFile: folder + "/config.yaml", encoding: .utf8))
  }

  /// The keys that are drawn, in this order. The others are left to TensorBoard.
  private static let plotted = [
    "loss", "reward_mean", "reward", "accuracy", "tokens", "response_tokens", "calls", "entropy", "kl", "grad_norm",
    "clip_fraction", "ratio_max", "value_loss", "learning_rate", "tokens_per_second",
  ]

  private static func metrics(_ path: String) -> [(key: String, points: [(x: Double, y: Double)])] {
    guard let data = FileManager.default.contents(atPath: path) else { return [] }
    var points: [String: [(x: Double, y: Double)]] = [:]
    for line in data.split(separator: 0x0A) {
      // A running process may have written half a line.
      guard let object = try? JSONSerialization.jsonObject(with: line) as? [String: Any],
        let step = object["step"] as? Int
      else { continue }
      for key in plotted {
        if let value = object[key] as? Double, value.isFinite { points[key, default: []].append((Double(step), value)) }
      }
    }
    return plotted.compactMap { key in points[key].map { (key, $0) } }
  }

  /// The figures of `eval.json` that a row of the table has.
  private static func evaluation(_ path: String, stage: String, model: String) -> Summary.Row? {
    guard let data = FileManager.default.contents(atPath: path),
      let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
      let accuracy = object["accuracy"] as? Double
    else { return nil }
    func number(_ key: String) -> Double? { object[key] as? Double }
    let interval = number("accuracy_low").flatMap { low in
      number("accuracy_high").map { Interval(low: low, high: $0) }
    }
    return Summary.Row(
      stage: stage, model: model, accuracy: accuracy, interval: interval, problems: object["problems"] as? Int ?? 0,
      figure: { number($0.rawValue) })
  }

  /// The rounds of hints of `eval.json`; nil: there were none.
  private static func rounds(_ path: String) -> RoundTable? {
    struct File: Decodable { var rounds: RoundTable? }
    return FileManager.default.contents(atPath: path).flatMap { try? JSONDecoder().decode(File.self, from: $0) }?.rounds
  }

  /// A few of the latest episodes: right ones, wrong ones, and ones with hints.
  private static func examples(_ folder: String) -> [Episode] {
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder + "/episodes")) ?? []).sorted()
    let files =
      [folder + "/episodes.jsonl"] + names.filter { $0.hasSuffix(".jsonl") }.map { folder + "/episodes/" + $0 }
    guard let last = files.last(where: { FileManager.default.isReadableFile(atPath: $0) }) else { return [] }
    var (right, wrong, hinted): ([Episode], [Episode], [Episode]) = ([], [], [])
    // For a file that is still being written, its readable beginning is enough.
    try? JSONLines.forEach(last, as: Episode.self) { episode, _ in
      if !episode.hints.isEmpty, hinted.count < 2 {
        hinted.append(episode)
      } else if episode.verdict == .correct {
        if right.count < 3 { right.append(episode) }
      } else if wrong.count < 3 {
        wrong.append(episode)
      }
    }
    return hinted + right + wrong
  }

  /// Decodes with the tokenizer of the stage's model, of the run's folder, or of a neighbour; nil: there is none.
  private static func decoder(_ folder: String, run: String) -> (([Int32]) -> String)? {
    let neighbours = ((try? FileManager.default.contentsOfDirectory(atPath: run)) ?? []).sorted()
    for place in [folder, run] + neighbours.map({ run + "/" + $0 }) {
      guard let tokenizer = tokenizer(place) else { continue }
      return { tokenizer.decode($0) }
    }
    return nil
  }

  private static func tokenizer(_ folder: String) -> Tokenizer? {
    guard let json = try? ModelSource.header(folder).files.tokenizer else { return nil }
    return try? Tokenizer(json: json, path: folder + ": tokenizer.json")
  }

  // MARK: - Writing

  private static func comparison(_ rows: [Summary.Row], gains: [Summary.Gain]) -> String {
    var text =
      "<p class=\"soft\">Intervals: 95 %, bootstrap over problems. Tokens: mean of model and hint tokens a response. "
      + "Failed: responses in which a call failed. Mended: the share of those in which a later call ran and the "
      + "answer is right.</p>\n"
    text += HTML.table([Summary.headings] + rows.map(\.cells))
    for gain in gains { text += "<p><strong>\(HTML.escape(gain.text))</strong></p>\n" }
    let points = rows.compactMap { row in
      row.tokens.map {
        HTML.Point(
          label: row.stage, x: $0, y: 100 * row.accuracy, low: row.accuracyLow.map { 100 * $0 },
          high: row.accuracyHigh.map { 100 * $0 })
      }
    }
    if points.count > 1 {
      text += "<h3>Accuracy against tokens</h3>\n"
      text += HTML.scatter(points, xTitle: "tokens a response", yTitle: "accuracy, %")
    }
    return text
  }

  /// The table of cases, and what each of them changes.
  private static func ablation(_ table: AblationTable) -> String {
    var text =
      "<p class=\"soft\">Row \(HTML.escape(table.row)); means over seeds; intervals \(AblationTable.intervals); "
    text += "p: \(AblationTable.test).</p>\n" + HTML.table([AblationTable.headings] + table.cells)
    text += HTML.stacked(table.charts)
    for row in table.rows {
      let changes = row.effect.yaml()
      text += "<details><summary>\(HTML.escape(row.name))</summary><pre>"
      text += HTML.escape(changes.isEmpty ? "the pipeline as it stands" : changes) + "</pre></details>\n"
      if let error = row.error {
        text += "<p class=\"bad\">\(HTML.escape(row.name)) failed: \(HTML.escape(error))</p>\n"
      }
    }
    return text
  }

  private static func section(_ stage: Stage, decode: (([Int32]) -> String)?) -> String {
    var text = "<h2>\(HTML.escape(stage.name))</h2>\n"
    if let row = stage.evaluation { text += HTML.table([Summary.headings, row.cells]) }
    if let rounds = stage.rounds { text += rounds.html }
    if !stage.series.isEmpty {
      text += "<div class=\"plots\">\n"
      for series in stage.series { text += HTML.line(series.points, title: series.key) }
      text += "</div>\n"
    }
    if !stage.episodes.isEmpty {
      text += "<h3>Trajectories</h3>\n<p class=\"key\"><span class=\"prompt\">prompt</span><span>model</span>"
      text +=
        "<span class=\"code\">code</span><span class=\"tool\">tool output</span><span class=\"hint\">hint</span></p>\n"
      for episode in stage.episodes { text += trajectory(episode, decode: decode) }
    }
    if let configuration = stage.configuration {
      text += "<details><summary>config.yaml</summary><pre>\(HTML.escape(configuration))</pre></details>\n"
    }
    return text
  }

  private static func trajectory(_ episode: Episode, decode: (([Int32]) -> String)?) -> String {
    let right = episode.verdict == .correct
    let verdict = episode.verdict.map { $0.rawValue.replacingOccurrences(of: "_", with: " ") } ?? "not graded"
    var facts = ["\(episode.tokens.count - episode.promptCount) tokens", "\(episode.calls.count) calls"]
    if let answer = episode.answer { facts.append("answer \(answer)") }
    if let gold = episode.gold { facts.append("gold \(gold)") }
    if episode.finish == .length { facts.append("cut off") }
    if let total = episode.reward?.total { facts.append("reward \(shortNumber(total))") }
    var text = "<details><summary><span class=\"\(right ? "good" : "bad")\">\(HTML.escape(verdict))</span> "
    text += HTML.escape(episode.id)
    text += " <span class=\"soft\">\(HTML.escape(facts.joined(separator: ", ")))</span></summary><pre>"
    var page = TrajectoryText()
    if let decode {
      var place = 0
      for run in episode.authors {
        let end = min(place + max(0, run.count), episode.tokens.count)
        page.append(decode(Array(episode.tokens[place..<end])), by: run.author)
        place = end
      }
    } else {
      page.append(episode.problem + "\n", by: .prompt)
      for hint in episode.hints { page.append(hint.text + "\n", by: .hint) }
      for call in episode.calls {
        page.append("```python\n\(call.code)\n```\n", by: .model)
        page.append("```output\n\(call.output)\n```\n", by: .tool)
      }
    }
    return text + page.html + "</pre></details>\n"
  }
}

/// A trajectory's text, coloured by author. What the model writes between fences is code.
private struct TrajectoryText {
  private(set) var html = ""
  private var insideCode = false
  /// The most characters of one stretch that are shown; a longer one is cut in the middle.
  private static let limit = 12_000

  mutating func append(_ text: String, by author: Author) {
    var text = text
    if text.count > Self.limit {
      let half = Self.limit / 2
      text = "\(text.prefix(half))\n[... \(text.count - 2 * half) characters ...]\n\(text.suffix(half))"
    }
    switch author {
    case .prompt, .tool:
      span(text, author.rawValue)
      insideCode = false
    case .model, .hint:
      // A hint may open the block that the model then writes, so both share the state of the fence.
      for (index, piece) in text.components(separatedBy: "```").enumerated() {
        if index > 0 {
          insideCode.toggle()
          span("```", author == .hint ? "hint" : "code")
        }
        span(piece, author == .hint ? "hint" : insideCode ? "code" : "model")
      }
    }
  }

  private mutating func span(_ text: String, _ name: String) {
    guard !text.isEmpty else { return }
    html += "<span class=\"\(name)\">\(HTML.escape(text))</span>"
  }
}
