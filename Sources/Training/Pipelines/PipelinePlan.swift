import Foundation
import Reports
import Rollout
import Support

/// Memory and time of a pipeline, stage by stage, before anything is allocated.
public struct PipelinePlan: Sendable {
  /// The plan of one stage.
  public struct Stage: Sendable {
    /// The stage's name in the file.
    public var name: String
    /// What it does.
    public var kind: StageKind
    /// Its memory and time.
    public var plan: Plan
    /// Seconds for all steps, with every response as long as allowed; nil: no speed was measured.
    public var seconds: Double?
  }

  /// The stages, in order.
  public var stages: [Stage] = []

  /// What the largest stage needs: stages run one after another.
  public var peakBytes: Int { worst?.plan.peakBytes ?? 0 }
  /// The stage that needs most memory.
  public var worst: Stage? { stages.max { $0.plan.peakBytes < $1.plan.peakBytes } }
  /// All stages together, every response as long as allowed; nil: nothing was measured.
  public var seconds: Double? {
    stages.contains { $0.seconds == nil } ? nil : stages.reduce(0) { $0 + ($1.seconds ?? 0) }
  }
  /// Why the pipeline cannot run, each with its stage; empty: it can.
  public var refusals: [String] { stages.flatMap { stage in stage.plan.refusals.map { "\(stage.name): \($0)" } } }

  /// Plans the stages of a file. A model that an earlier stage will leave has the shape of the model that stage starts
  /// from. Problems are generated in a temporary folder. Other data that is not there yet counts as long as the keys
  /// allow.
  /// - Throws: `MartletError` when a model's header cannot be read.
  public init(_ request: PipelineRequest, threads: Int, speed: MachineSpeed?) throws {
    let parts = request.parts
    let aside = NSTemporaryDirectory() + "martlet-plan-\(getpid())"
    defer { try? FileManager.default.removeItem(atPath: aside) }
    var paths: [String: String] = [:]
    for problems in parts.problems {
      let path = parts.root + "/" + problems.file
      guard !FileManager.default.fileExists(atPath: path) else { continue }
      paths[path] = aside + "/" + problems.file
      try PipelineFile.generate(problems, to: paths[path] ?? "")
    }
    var planned: [(run: String, kind: StageKind, configuration: Configuration)] = []
    var starts: [String: (model: String?, new: Configuration.NewModel?)] = [:]
    for stage in parts.stages {
      var configuration = stage.configuration.mapPaths { paths[$0] ?? $0 }
      if let model = configuration.model, let start = starts[model], !FileManager.default.fileExists(atPath: model) {
        (configuration.model, configuration.newModel) = start
      }
      starts[stage.configuration.run] = (configuration.model, configuration.newModel)
      if let reference = configuration.refModel, let start = starts[reference] { configuration.refModel = start.model }
      if let teacher = configuration.teacher, let start = starts[teacher] {
        // One of random weights has no file yet: taken to be as large as the model.
        configuration.teacher = start.model ?? configuration.model
      }
      planned.append((stage.configuration.run, stage.kind, configuration))
      let makers = planned.filter { maker in configuration.data.contains { PortablePath.contains(maker.run, $0) } }
      let longest = makers.compactMap { (try? PlanLengths($0.configuration, kind: $0.kind))??.longest }.max()
      let plan = try Plan.of(configuration, kind: stage.kind, threads: threads, speed: speed, longest: longest)
      stages.append(
        Stage(name: stage.name, kind: stage.kind, plan: plan, seconds: plan.seconds(configuration, stage.kind)))
    }
  }

  /// The plan for a terminal.
  public var text: String {
    var rows = [["stage", "kind", "peak", "time"]]
    rows += stages.map { stage in
      [
        stage.name, stage.kind.rawValue, byteText(stage.plan.peakBytes), stage.seconds.map(Self.time) ?? "-",
      ]
    }
    var text = alignedTable(rows)
    if let worst {
      text += "peak \(byteText(peakBytes)) in \(worst.name), \(byteText(worst.plan.availableBytes)) are free\n"
    }
    if let seconds {
      text += "in all at most \(Self.time(seconds)): \(Self.assumption)\n"
    }
    for refusal in refusals { text += "refused: \(refusal)\n" }
    return text
  }

  /// What the times take for granted.
  static let assumption = "all responses as long as allowed, at the speed of a large matrix product"

  /// The plan as one line of JSON.
  public var json: String { tree.json }

  var tree: ConfigurationTree {
    .map([
      ("peak_bytes", .integer(peakBytes)), ("available_bytes", .integer(worst?.plan.availableBytes ?? 0)),
      ("worst_stage", worst.map { .text($0.name) } ?? .null), ("seconds", seconds.map { .number($0) } ?? .null),
      ("refusals", .list(refusals.map { .text($0) })),
      (
        "stages",
        .list(
          stages.map { stage in
            .map([
              ("name", .text(stage.name)), ("stage", .text(stage.kind.rawValue)),
              ("peak_bytes", .integer(stage.plan.peakBytes)), ("seconds", stage.seconds.map { .number($0) } ?? .null),
            ])
          })
      ),
    ])
  }

  static func time(_ seconds: Double) -> String {
    switch seconds {
    case ..<60: "\(decimals(seconds, 1)) s"
    case ..<3600: "\(decimals(seconds / 60, 1)) min"
    default: "\(decimals(seconds / 3600, 1)) h"
    }
  }
}

/// The plans of an ablation's cases, each run once for every seed.
public struct AblationPlan: Sendable {
  /// The pipeline's plan in each case.
  public var cases: [(name: String, plan: PipelinePlan)]
  /// Runs of each case.
  public var seeds: Int

  /// - Throws: `MartletError` when a stage's model or data cannot be read.
  public init(_ ablation: Ablation, threads: Int, speed: MachineSpeed?) throws {
    seeds = ablation.file.seeds.count
    cases = try ablation.cases.map { item in
      let run = ablation.runs.first { $0.name == item.name }
      guard let run else { preconditionFailure("AblationPlan: \(item.name) has no run") }
      return (item.name, try PipelinePlan(run.request, threads: threads, speed: speed))
    }
  }

  /// Why a case cannot run, each with its name; empty: all can.
  public var refusals: [String] { cases.flatMap { item in item.plan.refusals.map { "\(item.name): \($0)" } } }
  private var peakBytes: Int { cases.map(\.plan.peakBytes).max() ?? 0 }
  private var seconds: Double? {
    cases.contains { $0.plan.seconds == nil }
      ? nil : Double(seeds) * cases.reduce(0) { $0 + ($1.plan.seconds ?? 0) }
  }

  /// The plan for a terminal.
  public var text: String {
    var rows = [["case", "runs", "worst stage", "peak", "time of a run"]]
    rows += cases.map { name, plan in
      [
        name, "\(seeds)", plan.worst?.name ?? "-", byteText(plan.peakBytes), plan.seconds.map(PipelinePlan.time) ?? "-",
      ]
    }
    var text = alignedTable(rows)
    if let seconds {
      text += "\(cases.count * seeds) runs, one after another at most \(PipelinePlan.time(seconds)): "
      text += PipelinePlan.assumption + "\n"
    }
    for refusal in refusals { text += "refused: \(refusal)\n" }
    return text
  }

  /// The plan as one line of JSON.
  public var json: String {
    ConfigurationTree.map([
      ("peak_bytes", .integer(peakBytes)), ("runs", .integer(cases.count * seeds)),
      ("seconds", seconds.map { .number($0) } ?? .null),
      (
        "cases",
        .list(
          cases.map { name, plan in
            guard case .map(let entries) = plan.tree else { return .null }
            return .map([("name", .text(name))] + entries)
          })
      ),
    ]).json
  }
}

extension Plan {
  /// Seconds for the whole stage; nil: no speed was measured.
  func seconds(_ configuration: Configuration, _ kind: StageKind) -> Double? {
    guard samplingSecondsPerStep != nil || updateSecondsPerStep != nil else { return nil }
    let (sampling, update) = (samplingSecondsPerStep ?? 0, updateSecondsPerStep ?? 0)
    let steps = Double(configuration.steps)
    switch kind {
    case .sft: return steps * update + sampling
    case .rl: return steps * (sampling + update)
    case .rft: return sampling + steps * update
    // Each batch has its traces, and as many hinted responses in each round.
    case .hint: return sampling * Double(1 + configuration.hint.rounds)
    case .eval: return sampling
    }
  }
}
