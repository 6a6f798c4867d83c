import Checkpoint
import Foundation
import Rollout
import Tensor

/// Runs one stage of the recipe from its configuration.
public enum Stage {
  /// Runs `kind`. Finished runs are left as they are when resumed.
  /// - Throws: `MartletError`; `Interrupted` when asked to stop, after saving.
  public static func run(_ kind: StageKind, _ configuration: Configuration, context: StageContext) throws {
    guard !configuration.run.isEmpty else {
      throw MartletError(.configuration, "run: is missing; name the run's folder")
    }
    let folder = try RunFolder(configuration.run, resume: context.resume)
    context.onEvent(.stageStarted(name: kind.rawValue, detail: folder.path))
    let started = ContinuousClock.now
    switch kind {
    case .sft: try SFTStage.run(configuration, folder: folder, context: context)
    case .hint: try HintStage.run(configuration, folder: folder, context: context)
    case .rft: try RFTStage.run(configuration, folder: folder, context: context)
    case .rl: try RLStage.run(configuration, folder: folder, context: context)
    case .eval: try EvalStage.run(configuration, folder: folder, context: context)
    }
    context.onEvent(
      .stageEnded(name: kind.rawValue, seconds: Double((ContinuousClock.now - started) / .milliseconds(1)) / 1000))
  }

  /// The problems of several files; ids that occur twice get a number.
  static func problems(_ paths: [String], key: String) throws -> [Problem] {
    guard !paths.isEmpty else { throw MartletError(.configuration, "\(key): names no file of problems") }
    var known: [String: Int] = [:]
    return try paths.flatMap { try Problem.readFile($0) }.map { problem in
      var problem = problem
      known[problem.id, default: 0] += 1
      if let times = known[problem.id], times > 1 { problem.id += "-\(times)" }
      return problem
    }
  }
}
