import Checkpoint
import Demo
import Foundation
import PPO
import Reports
import Rollout
import Support
import Tensor
import Transformer

/// Several stages in one file: problems to generate, values that all stages share, the stages in order, and the final
/// table.
///
/// `@name` in a stage's paths is the folder or file of that name inside the pipeline's own folder.
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
    /// The stage whose gain over each of `over` is given.
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

  /// Settings of its stages that are probably mistakes, each with the stage's name.
  public static func warnings(_ path: String) throws -> [String] {
    try PipelineRequest(path, resume: false).parts.stages.flatMap { stage in
      stage.configuration.warnings(stage: stage.kind).map { "\(stage.name): \($0)" }
    }
  }

  /// The name of the pipeline's run.
  public static func runName(of path: String, overrides: [String] = []) throws -> String {
    try PipelineRequest(path, overrides: overrides, resume: false).parts.run
  }

  /// Runs the stages that are not finished, in order, and leaves `summary.json`, `summary.svg` and `report.html` in
  /// the pipeline's folder.
  ///
  /// A finished stage counts as long as it was made with this configuration, these data and this model.
  /// - Throws: `MartletError`: configuration when a stage was begun with others and `context.anew` is false.
  public static func run(_ request: PipelineRequest, context: StageContext) throws -> Summary? {
    // The stages have their own locks; this one keeps a second pipeline out.
    try run(request, in: RunFolder(request.parts.run, resume: context.resume), context: context)
  }

  static func run(_ request: PipelineRequest, in folder: RunFolder, context: StageContext) throws -> Summary? {
    let parts = request.parts
    let root = parts.root
    for problems in parts.problems { try generate(problems, in: root, context: context) }
    let before = ["pipeline.yaml", "given.yaml"].map { ($0, FileManager.default.contents(atPath: folder.file($0))) }
    try request.keep(in: folder)
    do {
      for (place, stage) in parts.stages.enumerated() {
        try context.checkCancelled()
        context.onEvent(.part(Part(.stage, name: stage.name, number: place + 1, count: parts.stages.count)))
        let request = StageRequest(stage.kind, stage.configuration)
        try Training.Stage.run(request, context: context.with(resume: true, root: root))
      }
    } catch let error as MartletError where error.status == .configuration {
      // A configuration that a stage refuses must not become the pipeline's own.
      for case (let name, let old?) in before { try writeFileAtomically(old, to: folder.file(name)) }
      throw error
    }
    guard let comparison = parts.comparison else { return nil }
    let summary = try Comparing(parts).summary(comparison)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try writeFileAtomically(encoder.encode(summary) + Data("\n".utf8), to: folder.file("summary.json"))
    try writeFileAtomically(Data(summary.picture.utf8), to: folder.file("summary.svg"))
    _ = try ReportWriter.write(run: root)
    return summary
  }

  /// Generates the problem files that are missing.
  /// - Throws: `MartletError` (configuration) when a file holds other problems and `context.anew` is false.
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
        "\(path): holds other problems than the pipeline asks for; take its change back, name another run, or give "
          + "--anew")
    }
    context.onEvent(.note("\(path) is made anew"))
    try writeFileAtomically(bytes, to: path)
  }

  private static func bytes(of problems: Generated) throws -> Data {
    let generator = ProblemGenerator(
      seed: problems.seed, split: problems.split, families: problems.families ?? ProblemFamily.allCases)
    return Data(try generator.problems(count: problems.count).map { try JSONLines.line($0.problem) }.joined())
  }

  /// Writes generated problems into a file of their own, with the folders above it.
  static func generate(_ problems: Generated, to path: String) throws {
    try FileManager.default.createDirectory(
      atPath: Support.folder(of: path), withIntermediateDirectories: true)
    try writeFileAtomically(bytes(of: problems), to: path)
  }
}
