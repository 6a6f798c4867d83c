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
  struct Generated: Codable, Equatable {
    var file: String
    var seed: UInt64
    var count: Int
    var split: ProblemGenerator.Split
    var families: [ProblemFamily]?
  }

  /// What the table at the end compares.
  struct Comparison: Codable, Equatable {
    /// Stages that are its rows, in order.
    var rows: [String]
    /// The stage whose gains over each of `over` are given.
    var of: String
    var over: [String]
  }

  struct Stage: Equatable {
    var name: String
    var kind: StageKind
    var configuration: Configuration
  }

  /// The keys of a file, and of the entries of `problems` and of `summary`.
  static let keys = ["run", "problems", "defaults", "stages", "summary"]
  static func keysOfProblems() throws -> ConfigurationTree {
    try ConfigurationTree(encoding: Generated(file: "", seed: 0, count: 0, split: .training, families: []))
  }
  static func keysOfSummary() throws -> ConfigurationTree {
    try ConfigurationTree(encoding: Comparison(rows: [], of: "", over: []))
  }

  /// The stages, with everything resolved.
  struct Parts {
    var run: String
    var problems: [Generated]
    var stages: [Stage]
    var comparison: Comparison?

    /// The pipeline's folder.
    var root: String { RunFolder.path(run) }
  }

  /// Decodes the file and every stage of it.
  /// - Throws: `MartletError` (configuration) naming file, stage and key.
  public static func check(_ path: String, overrides: [String] = []) throws {
    _ = try PipelineRequest(path, overrides: overrides, resume: false)
  }

  /// What its stages can hardly mean, each with the stage's name.
  public static func warnings(_ path: String) throws -> [String] {
    try PipelineRequest(path, resume: false).parts.stages.flatMap { stage in
      stage.configuration.warnings(stage: stage.kind).map { "\(stage.name): \($0)" }
    }
  }

  /// The name of the pipeline's run.
  public static func runName(of path: String, overrides: [String] = []) throws -> String {
    try PipelineRequest(path, overrides: overrides, resume: false).parts.run
  }

  /// Runs the stages that are not finished, in order, and leaves `summary.json` and `report.html` in the pipeline's folder.
  ///
  /// A finished stage counts as long as it was made with this configuration, these data and this model.
  /// - Throws: `MartletError`: configuration when a stage was begun with others and `context.anew` is false.
  public static func run(_ request: PipelineRequest, context: StageContext) throws -> Summary? {
    // The stages hold locks of their own; this one keeps a second pipeline out.
    try run(request, in: RunFolder(request.parts.run, resume: context.resume), context: context)
  }

  static func run(_ request: PipelineRequest, in folder: RunFolder, context: StageContext) throws -> Summary? {
    let parts = request.parts
    let root = parts.root
    for problems in parts.problems { try generate(problems, in: root, context: context) }
    let before = ["pipeline.yaml", "given.yaml"].map { ($0, FileManager.default.contents(atPath: folder.file($0))) }
    try request.keep(in: folder)
    do {
      for stage in parts.stages {
        try context.checkCancelled()
        let request = StageRequest(stage.kind, stage.configuration)
        try Pipeline.Stage.run(request, context: context.with(resume: true, root: root))
      }
    } catch let error as MartletError where error.status == .configuration {
      // What a stage refuses is not the pipeline's configuration.
      for case (let name, let old?) in before { try writeFileAtomically(old, to: folder.file(name)) }
      throw error
    }
    guard let comparison = parts.comparison else { return nil }
    let summary = try Comparing(parts).summary(comparison)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try writeFileAtomically(encoder.encode(summary) + Data("\n".utf8), to: folder.file("summary.json"))
    _ = try ReportWriter.write(run: root)
    return summary
  }

  /// Makes the problems that are missing.
  /// - Throws: `MartletError` (configuration) when others are there and `context.anew` is false.
  private static func generate(_ problems: Generated, in root: String, context: StageContext) throws {
    let path = root + "/" + problems.file
    let bytes = try bytes(of: problems)
    guard let there = FileManager.default.contents(atPath: path) else {
      return try writeFileAtomically(bytes, to: path)
    }
    guard there != bytes else { return }
    guard context.anew else {
      throw MartletError(
        .configuration,
        "\(path): holds other problems than the pipeline asks for; take its change back, name another run, or give --anew"
      )
    }
    context.onEvent(.note("\(path) is made anew"))
    try writeFileAtomically(bytes, to: path)
  }

  private static func bytes(of problems: Generated) throws -> Data {
    let generator = ProblemGenerator(
      seed: problems.seed, split: problems.split, families: problems.families ?? ProblemFamily.allCases)
    return Data(try generator.problems(count: problems.count).map { try JSONLines.line($0.problem) }.joined())
  }

  /// Makes problems in a file of its own, with the folders above it.
  static func generate(_ problems: Generated, to path: String) throws {
    try FileManager.default.createDirectory(
      atPath: RunFolder.parent(of: path), withIntermediateDirectories: true)
    try writeFileAtomically(bytes(of: problems), to: path)
  }
}
