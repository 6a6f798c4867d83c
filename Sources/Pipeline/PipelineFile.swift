import Checkpoint
import Foundation
import PPO
import Rollout
import Tensor
import Transformer

/// Several stages in one file: problems to generate, values all stages share, the stages in order, the table at the end.
///
/// `@name` in a stage's paths is the folder (or file) of that name inside the pipeline's own.
public enum PipelineFile {
  /// Problems that are generated before the first stage.
  struct Generated: Codable {
    var file: String
    var seed: UInt64
    var count: Int
    var split: ProblemGenerator.Split
    var families: [ProblemFamily]?
  }

  /// What the table at the end compares.
  struct Comparison: Codable {
    /// Stages that are its rows, in order.
    var rows: [String]
    /// The stage whose gain over the better of `over` is given.
    var of: String
    var over: [String]
  }

  /// The stages, with everything resolved.
  struct Parts {
    var run: String
    var problems: [Generated]
    var stages: [(name: String, kind: StageKind, configuration: Configuration)]
    var comparison: Comparison?
  }

  /// Decodes the file and every stage of it.
  /// - Throws: `MartletError` (configuration) naming file, stage and key.
  public static func check(_ path: String, overrides: [String] = []) throws { _ = try read(path, overrides: overrides) }

  /// The name of the pipeline's run.
  public static func runName(of path: String, overrides: [String] = []) throws -> String {
    try read(path, overrides: overrides).run
  }

  /// Runs the stages that are not finished, in order, and leaves `summary.json` and `report.html` in the pipeline's folder.
  public static func run(_ path: String, overrides: [String] = [], context: StageContext) throws -> Summary? {
    let parts = try read(path, overrides: overrides)
    let root = RunFolder.path(parts.run)
    // The stages hold locks of their own; this one keeps a second pipeline out.
    let folder = try RunFolder(parts.run, resume: context.resume)
    for problems in parts.problems { try generate(problems, in: root) }
    for stage in parts.stages {
      try context.checkCancelled()
      try Stage.run(stage.kind, stage.configuration, context: context.with(resume: true))
    }
    guard let comparison = parts.comparison else { return nil }
    let summary = try Comparing(parts, root: root).summary(comparison)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try writeFileAtomically(encoder.encode(summary) + Data("\n".utf8), to: folder.file("summary.json"))
    _ = try ReportWriter.write(run: root)
    return summary
  }

  static func read(_ path: String, overrides: [String]) throws -> Parts {
    let tree = try ConfigurationFile.tree(path, overrides: overrides)
    let known = ["run", "problems", "defaults", "stages", "summary"]
    guard case .map(let entries) = tree else { throw MartletError(.configuration, "\(path): is not a section") }
    for (key, _) in entries where !known.contains(key) {
      let nearest = nearestWord(to: key, among: known)
      throw MartletError(
        .configuration, "\(path): unknown key \(key)" + (nearest.map { "; did you mean \($0)?" } ?? ""))
    }
    guard case .text(let run)? = tree["run"] else { throw MartletError(.configuration, "\(path): run: is missing") }
    guard case .list(let stages)? = tree["stages"], !stages.isEmpty else {
      throw MartletError(.configuration, "\(path): stages: must be a list of stages")
    }
    let root = RunFolder.path(run)
    var parts = Parts(run: run, problems: [], stages: [], comparison: nil)
    if let problems = tree["problems"] { parts.problems = try decode([Generated].self, problems, path, "problems") }
    if let summary = tree["summary"] { parts.comparison = try decode(Comparison.self, summary, path, "summary") }
    for (index, stage) in stages.enumerated() {
      let place = "\(path): stages[\(index)]"
      guard case .map(let keys) = stage, case .text(let name)? = stage["name"] else {
        throw MartletError(.configuration, "\(place): name: is missing")
      }
      guard !parts.stages.contains(where: { $0.name == name }), name != "..", !name.contains("/") else {
        throw MartletError(.configuration, "\(place): name: \(name) is taken or no folder name")
      }
      guard case .text(let kindName)? = stage["stage"], let kind = StageKind(rawValue: kindName) else {
        throw MartletError(
          .configuration,
          "\(place): stage: must be one of \(StageKind.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      let own = ConfigurationTree.map(keys.filter { $0.key != "name" && $0.key != "stage" })
      var merged = (tree["defaults"] ?? .map([])).merged(with: own).resolving(root)
      merged.set(["run"], to: .text(root + "/" + name))
      parts.stages.append((name, kind, try Configuration(tree: merged, path: "\(place) (\(name))")))
    }
    return parts
  }

  private static func decode<T: Decodable>(
    _ type: T.Type, _ tree: ConfigurationTree, _ path: String, _ key: String
  ) throws -> T {
    do {
      return try JSONDecoder().decode(T.self, from: Data(tree.json.utf8))
    } catch let error as DecodingError {
      throw MartletError(.configuration, "\(path): \(key): \(ConfigurationFile.explain(error, tree: tree))")
    }
  }

  private static func generate(_ problems: Generated, in root: String) throws {
    let path = root + "/" + problems.file
    if FileManager.default.fileExists(atPath: path) { return }
    let generator = ProblemGenerator(
      seed: problems.seed, split: problems.split, families: problems.families ?? ProblemFamily.allCases)
    try JSONLines.write(generator.problems(count: problems.count).map(\.problem), to: path)
  }
}

extension ConfigurationTree {
  /// With `@name` turned into paths below `root`.
  fileprivate func resolving(_ root: String) -> ConfigurationTree {
    switch self {
    case .text(let text) where text.hasPrefix("@"): return .text(root + "/" + text.dropFirst())
    case .list(let values): return .list(values.map { $0.resolving(root) })
    case .map(let entries): return .map(entries.map { ($0.key, $0.value.resolving(root)) })
    default: return self
    }
  }
}

/// Makes the table at the end from the stages' episodes.
private struct Comparing {
  let parts: PipelineFile.Parts
  let root: String
  private var evaluations: [String: Evaluation] = [:]

  init(_ parts: PipelineFile.Parts, root: String) throws {
    self.parts = parts
    self.root = root
    let wanted = parts.comparison.map { Set($0.rows + $0.over + [$0.of]) } ?? []
    for stage in parts.stages where wanted.contains(stage.name) {
      let episodes = try EpisodeFile.read("\(root)/\(stage.name)/episodes/eval.jsonl")
      guard let model = stage.configuration.model else { continue }
      let header = try ModelSource.header(model)
      guard let json = header.files.tokenizer else { continue }
      let tokenizer = try Tokenizer(json: json, path: model)
      evaluations[stage.name] = Evaluation(
        episodes, labels: episodes.map { $0.analysis(tokenizer).blocks.map(\.label) })
    }
  }

  private func evaluation(_ name: String) throws -> Evaluation {
    guard let found = evaluations[name] else {
      throw MartletError(.configuration, "summary: \(name) is no eval stage of this file")
    }
    return found
  }

  func summary(_ comparison: PipelineFile.Comparison) throws -> Summary {
    let rows = try comparison.rows.map { name -> Summary.Row in
      let evaluation = try evaluation(name)
      let interval = evaluation.interval(.accuracy)
      let model = parts.stages.first { $0.name == name }?.configuration.model ?? ""
      return Summary.Row(
        stage: name, model: model, accuracy: evaluation.value(.accuracy) ?? 0, accuracyLow: interval?.low,
        accuracyHigh: interval?.high, problems: evaluation.problems.count, tokens: evaluation.value(.tokens) ?? 0,
        codeRatio: evaluation.value(.codeRatio), calls: evaluation.value(.calls), execOK: evaluation.value(.execOK),
        calcShare: evaluation.value(.calcShare), verifyShare: evaluation.value(.verifyShare))
    }
    let last = try evaluation(comparison.of)
    let best = try comparison.over.map { try evaluation($0) }.max {
      ($0.value(.accuracy) ?? 0) < ($1.value(.accuracy) ?? 0)
    }
    guard let best else { throw MartletError(.configuration, "summary.over: names no stage") }
    let difference = ProblemBootstrap().difference(last.ratio(.accuracy), best.ratio(.accuracy))
    let points = 100 * ((last.value(.accuracy) ?? 0) - (best.value(.accuracy) ?? 0))
    return Summary(
      rows: rows,
      gain: Summary.Gain(points: points, low: difference.map { 100 * $0.low }, high: difference.map { 100 * $0.high }))
  }
}
