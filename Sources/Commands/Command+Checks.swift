import ArgumentParser
import Checkpoint
import Diagnostics
import Foundation
import Reports
import Rollout
import Support
import Tensor
import Training

/// A JSON object with its keys in order and floats in their shortest form.
func oneLine(_ value: some Encodable) throws -> String { String(decoding: try JSONLines.line(value), as: UTF8.self) }

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check configuration files for mistakes, without running them.")
  @Argument(help: "Files of stages, pipelines or ablations.", completion: .yaml) var configs: [String]
  @Option(help: "The stage they are for, where a file does not say so itself.") var stage: StageKind?

  func run() throws {
    for path in configs {
      switch try ConfigurationKind.of(path, stage: stage) {
      case .stage(let kind):
        let configuration = try Configuration.load(path, stage: kind)
        try configuration.requirePrograms()
        for warning in configuration.warnings(stage: kind) { Console.warning("\(path): \(warning)") }
        Console.out("\(path): ok, stage \(kind.rawValue)")
      case .pipeline:
        for warning in try PipelineFile.warnings(path) { Console.warning("\(path): \(warning)") }
        Console.out("\(path): ok, a pipeline")
      case .ablation:
        for effect in try Ablation(path).effects { Console.out(effect) }
        Console.out("\(path): ok, an ablation")
      }
    }
  }
}

struct VerifyResume: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify-resume", abstract: "Check that a run that is killed and resumed ends with the same bits.",
    discussion: """
      Runs the configuration once to its end, then again with SIGKILL at random times and --resume, and compares
      weights, metrics and episodes. Works in RUN-verify, which is removed when everything is equal.
      """)
  @Argument(help: "The file (YAML) of a stage or a pipeline.", completion: .yaml) var config: String
  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("A value to use instead of the file's. May be repeated.", valueName: "key.path=value"))
  var overrides: [String] = []
  @Option(help: "How often to kill the run.") var kills = 3
  @Option(help: "The seed of the times at which it is killed.") var seed: UInt64 = 0
  @Option(help: "The stage it is for, where the file does not say so itself.") var stage: StageKind?
  @OptionGroup var threads: Threads

  func validate() throws { if kills < 1 { throw ValidationError("--kills must be at least 1") } }

  func run() throws {
    let command: String
    let name: String
    switch try ConfigurationKind.of(config, overrides: overrides, stage: stage) {
    case .stage(let kind):
      command = kind.rawValue
      name = try Configuration.load(config, overrides: overrides, stage: kind).run
    case .pipeline:
      command = "pipeline"
      name = try PipelineFile.runName(of: config, overrides: overrides)
    case .ablation:
      throw MartletError(.configuration, "\(config): holds many runs; give the pipeline that they vary")
    }
    Console.note("\(config): checked as train \(command)")
    let check = ResumeCheck(
      program: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
      arguments: [command, config] + (threads.threads.map { ["--threads", String($0)] } ?? []), overrides: overrides,
      run: name, kills: kills, seed: seed)
    let result = try check.run(context: threads.context())
    Console.out(
      "equal: \(result.files) files of \(result.rounds) runs that were killed \(result.kills) times in all, "
        + "and of one that was left alone")
  }
}

struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Estimate the memory and time of a run before it starts.",
    discussion: "Ends with status 78 when the run cannot fit.")
  @Argument(help: "The file (YAML) of a stage, a pipeline or an ablation.", completion: .yaml) var config: String
  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("A value to use instead of the file's. May be repeated.", valueName: "key.path=value"))
  var overrides: [String] = []
  @Option(help: "The stage it is for, where the file does not say so itself.") var stage: StageKind?
  @Flag(help: "Print one JSON object.") var json = false
  @OptionGroup var threads: Threads

  func run() throws {
    let kind = try ConfigurationKind.of(config, overrides: overrides, stage: stage)
    let pool = threads.pool()
    let refusals: [String]
    switch kind {
    case .stage(let kind):
      let configuration = try Configuration.load(config, overrides: overrides, stage: kind)
      for warning in configuration.warnings(stage: kind) { Console.warning("\(config): \(warning)") }
      let plan = try Plan.of(
        configuration, kind: kind, threads: pool.threadCount, speed: MachineSpeed.measure(pool: pool))
      Console.out(json ? try oneLine(plan) : plan.text)
      refusals = plan.refusals
    case .pipeline:
      let request = try PipelineRequest(config, overrides: overrides, resume: false)
      let plan = try PipelinePlan(request, threads: pool.threadCount, speed: MachineSpeed.measure(pool: pool))
      Console.out(json ? plan.json : plan.text)
      refusals = plan.refusals
    case .ablation:
      let ablation = try Ablation(config, overrides: overrides)
      let plan = try AblationPlan(ablation, threads: pool.threadCount, speed: MachineSpeed.measure(pool: pool))
      Console.out(json ? plan.json : plan.text)
      refusals = plan.refusals
    }
    if let refusal = refusals.first { throw MartletError(.configuration, "\(config): \(refusal)") }
  }
}

extension StageKind: ExpressibleByArgument {}

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "report", abstract: "Write a run's report.html.")
  @Argument(help: ArgumentHelp("The run: its folder or its name.", valueName: "run"), completion: .directory)
  var name: String
  @OptionGroup var threads: Threads

  func run() throws { Console.out(try ReportWriter.write(run: NamedPath.existing(name))) }
}

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Check this machine: libraries, processor, sandbox and disk.")
  @Flag(help: "Print one JSON object.") var json = false
  @Option(help: "The folder in which runs will be written.", completion: .directory) var folder = "."
  @OptionGroup var threads: Threads

  func run() throws {
    let checkup = Checkup.run(folder: folder)
    Console.out(json ? try oneLine(checkup) : checkup.text)
    if !checkup.ok {
      throw MartletError(.configuration, "this machine lacks something that is needed; the remedies are above")
    }
  }
}

struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure speed beside this machine's limits.")
  @Option(help: "A model; random weights in the demo's shape if not given.") var model: InputPath?
  @Option(help: "Measure only this. May be repeated.") var only: [Benchmark.Part] = []
  @Option(help: "decode: sequences at a time. May be repeated; 1, 8, 32 and 64 if not given.")
  var rows: [Int] = []
  @Option(help: "decode, prefill, grpo_step, rollout: tokens of the context, or of each prompt.") var prompt: Int?
  @Option(help: "decode, grpo_step, rollout: tokens drawn after a prompt; train: tokens of a batch.") var tokens: Int?
  @Option(help: "grpo_step: prompts.") var prompts = 4
  @Option(help: "grpo_step: responses to each prompt.") var samples = 8
  @Option(help: "Measurements after the warm-up; their median is shown.") var repeats: Int?
  @Option(help: "Measure how costs grow along this axis, or along all. May be repeated.")
  var growth: [String] = []
  @Flag(help: "Show where the time of each measurement goes.") var profile = false
  @Flag(help: "Print one JSON object.") var json = false
  @OptionGroup var threads: Threads

  func validate() throws { _ = try axes() }

  private func axes() throws -> [Growth.Axis] {
    if growth == ["all"] { return Growth.Axis.allCases }
    return try growth.map { name in
      guard let axis = Growth.Axis(rawValue: name) else {
        throw ValidationError(
          "--growth: \(name) is none of all, \(Growth.Axis.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return axis
    }
  }

  func run() throws {
    let given = try model.map { try LoadedModel.load($0.path(), valueHead: false).model }
    var request = Benchmark.Request()
    if !rows.isEmpty { request.sizes.rows = rows }
    (request.sizes.prompt, request.sizes.tokens, request.sizes.repeats) = (prompt, tokens, repeats)
    (request.sizes.prompts, request.sizes.samples) = (prompts, samples)
    (request.only, request.growth, request.profile) = (only, try axes(), profile)
    let results = try Benchmark.run(
      request, model: given, pool: threads.pool(), onEvent: { Console.shared.show($0) })
    if json {
      Console.out(try oneLine(results))
    } else {
      Console.out(results.table)
    }
  }
}

extension Benchmark.Part: ExpressibleByArgument {}
