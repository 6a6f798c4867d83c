import Checkpoint
import Foundation
import PPO
import Rollout
import Tensor

/// The cases x seeds of one file: each is a pipeline run of its own, skipped when it is done, and a table with intervals is
/// made of the row that is compared.
public enum Ablation {
  struct File: Codable {
    var run: String
    /// The pipeline file that the cases vary.
    var pipeline: String
    /// The stage whose figures are compared.
    var row: String
    var seeds: [UInt64]
    var cases: [Case]

    struct Case: Codable {
      var name: String
      /// `key.path=value` overrides of the pipeline file, as for `--set`.
      var set: [String]
    }
  }

  /// Decodes the file and each case's pipeline.
  public static func check(_ path: String, overrides: [String] = []) throws {
    let file = try read(path, overrides: overrides)
    for item in file.cases {
      do {
        try PipelineFile.check(file.pipeline, overrides: item.set)
      } catch let error as MartletError {
        throw MartletError(error.status, "\(path): case \(item.name): \(error.message)")
      }
    }
  }

  /// Runs what is not done, then gives the table, which is also left in `ablation.json` and `ablation.txt`.
  public static func run(_ path: String, overrides: [String] = [], context: StageContext) throws -> String {
    try check(path, overrides: overrides)
    let file = try read(path, overrides: overrides)
    let root = RunFolder.path(file.run)
    var rows: [Row] = []
    for item in file.cases {
      var evaluations: [[Episode]] = []
      for seed in file.seeds {
        try context.checkCancelled()
        let run = "\(root)/\(item.name)/seed-\(seed)"
        if !FileManager.default.fileExists(atPath: run + "/summary.json") {
          _ = try PipelineFile.run(
            file.pipeline, overrides: item.set + ["run=\(run)", "defaults.seed=\(seed)"],
            context: context.with(resume: true))
        } else {
          context.onEvent(.note("\(run) is done"))
        }
        evaluations.append(try EpisodeFile.read("\(run)/\(file.row)/episodes/eval.jsonl"))
      }
      rows.append(Row(name: item.name, seeds: evaluations))
    }
    let table = render(rows)
    try writeFileAtomically(Data(table.utf8), to: root + "/ablation.txt")
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try writeFileAtomically(encoder.encode(rows) + Data("\n".utf8), to: root + "/ablation.json")
    return table
  }

  private static func read(_ path: String, overrides: [String]) throws -> File {
    let tree = try ConfigurationFile.tree(path, overrides: overrides)
    let example = File(run: "", pipeline: "", row: "", seeds: [], cases: [])
    try ConfigurationFile.refuseUnknown(tree, known: ConfigurationTree(encoding: example), at: [], path: path)
    do {
      let file = try JSONDecoder().decode(File.self, from: Data(tree.json.utf8))
      guard !file.seeds.isEmpty, !file.cases.isEmpty else {
        throw MartletError(.configuration, "\(path): seeds and cases must not be empty")
      }
      return file
    } catch let error as DecodingError {
      throw MartletError(.configuration, "\(path): \(ConfigurationFile.explain(error, tree: tree))")
    }
  }

  /// A case's figures over all of its seeds; a problem's samples of all seeds are bootstrapped together.
  struct Row: Encodable {
    var name: String
    var accuracy, accuracyLow, accuracyHigh, tokens, tokensLow, tokensHigh: Double?
    /// Accuracy by seed.
    var bySeed: [Double]

    init(name: String, seeds: [[Episode]]) {
      self.name = name
      let all = Evaluation(seeds.flatMap(\.self), labels: seeds.flatMap { $0.map { _ in [] } })
      accuracy = all.value(.accuracy)
      accuracyLow = all.interval(.accuracy)?.low
      accuracyHigh = all.interval(.accuracy)?.high
      tokens = all.value(.tokens)
      tokensLow = all.interval(.tokens)?.low
      tokensHigh = all.interval(.tokens)?.high
      bySeed = seeds.map { Evaluation($0, labels: $0.map { _ in [] }).value(.accuracy) ?? 0 }
    }
  }

  private static func render(_ rows: [Row]) -> String {
    func percent(_ value: Double?) -> String { value.map { String(format: "%.1f", 100 * $0) } ?? "-" }
    func number(_ value: Double?) -> String { value.map { String(format: "%.1f", $0) } ?? "-" }
    let cells =
      [["case", "accuracy %", "95 %", "tokens", "95 %", "by seed"]]
      + rows.map { row in
        [
          row.name, percent(row.accuracy), "\(percent(row.accuracyLow))..\(percent(row.accuracyHigh))",
          number(row.tokens), "\(number(row.tokensLow))..\(number(row.tokensHigh))",
          row.bySeed.map { percent($0) }.joined(separator: " "),
        ]
      }
    let widths = cells[0].indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
    return cells.map { row in
      zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }.joined(separator: "  ") + "\n"
    }.joined()
  }
}
