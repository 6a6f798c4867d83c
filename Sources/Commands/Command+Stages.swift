import ArgumentParser
import Reports
import Rollout
import Support
import Training

/// The arguments of a stage.
struct StageArguments: ParsableArguments {
  @Argument(
    help: "The configuration (YAML); with --resume also a run: its folder, or its name under checkpoints/.",
    completion: .configuration)
  var config: String

  @Option(name: .customLong("set"), help: "key.path=value, put over the file; may be repeated.")
  var overrides: [String] = []

  @Flag(help: "Go on with the run in its folder.")
  var resume = false

  @Flag(help: "Time the parts of each training step: a table at the end, `profile_...` in metrics.jsonl.")
  var profile = false

  @OptionGroup var threads: Threads

  func request(_ kind: StageKind, _ more: [String] = [], replays: Bool = false) throws -> StageRequest {
    try StageRequest(kind, config, overrides: overrides + more, resume: resume, replays: replays)
  }

  /// Runs `body`, and shows where the time went if that was asked for.
  func withContext<Result>(anew: Bool = false, _ body: (StageContext) throws -> Result) throws -> Result {
    let context = threads.context(resume: resume, anew: anew, profile: profile)
    let result = try body(context)
    if let timer = context.timer { Console.out(Profile("all steps", timer.total).table) }
    return result
  }
}

/// How a run is gone back on.
struct FromStep: ParsableArguments {
  @Option(help: "With --resume: go on from this older step, in a folder of its own.") var fromStep: Int?
  @Option(help: "The folder for --from-step; RUN-from-N if not given.", completion: .directory) var into: String?

  /// Runs the stage, or its branch.
  func run(_ kind: StageKind, _ arguments: StageArguments) throws {
    var request = try arguments.request(kind)
    if let fromStep {
      guard arguments.resume else { throw MartletError(.usage, "--from-step goes with --resume RUN") }
      request = try Branch.fork(request, step: fromStep, into: into)
    } else if into != nil {
      throw MartletError(.usage, "--into goes with --from-step")
    }
    try arguments.withContext { try Stage.run(request, context: $0) }
  }
}

struct SFT: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sft", abstract: "Fine-tune on examples, or train from random weights.")
  @OptionGroup var arguments: StageArguments
  @OptionGroup var start: FromStep
  func run() throws { try start.run(.sft, arguments) }
}

struct HintCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hint", abstract: "Make hint-engineered examples from a model's own responses.")
  @OptionGroup var arguments: StageArguments
  @Option(
    help: "Spots and hints chosen by a person: {\"id\", \"sample\", \"token\", \"hint\"} a line.", completion: .lines)
  var edits: String?
  @Option(help: "The episodes that --edits speaks of; sampled if not given.", completion: .lines)
  var episodes: String?

  func run() throws {
    let more = edits.map { ["hint.edits=\($0)"] } ?? []
    let request = try arguments.request(.hint, more + (episodes.map { ["hint.episodes=\($0)"] } ?? []))
    try arguments.withContext { try Stage.run(request, context: $0) }
  }
}

struct RFT: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rft", abstract: "Rejection fine-tuning: keep a model's right and efficient responses, train on them.")
  @OptionGroup var arguments: StageArguments
  @OptionGroup var start: FromStep
  func run() throws { try start.run(.rft, arguments) }
}

struct RL: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rl", abstract: "Reinforcement learning with the interpreter in the rollouts.")
  @OptionGroup var arguments: StageArguments
  @Option(help: "One update on these episodes instead of sampling.", completion: .lines)
  var replay: String?
  @OptionGroup var start: FromStep

  func run() throws {
    guard let replay else { return try start.run(.rl, arguments) }
    guard start.fromStep == nil, start.into == nil else {
      throw MartletError(.usage, "--replay and --from-step: give one of them")
    }
    let request = try arguments.request(.rl, replays: true)
    try arguments.withContext { try Stage.replay(replay, request, context: $0) }
  }
}

struct Eval: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "eval", abstract: "Evaluate a model on problems.")
  @OptionGroup var arguments: StageArguments
  @Option(help: "Judge these episodes again instead of sampling.", completion: .lines)
  var regrade: String?

  func run() throws {
    let request = try arguments.request(.eval)
    try arguments.withContext { context in
      guard let regrade else { return try Stage.run(request, context: context) }
      try Stage.regrade(regrade, request, context: context)
    }
  }
}

struct PipelineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pipeline", abstract: "Run the stages of one file in order, and compare them.")
  @OptionGroup var arguments: StageArguments
  @Flag(help: "With --resume: make stages anew that were begun with another configuration, data or model.")
  var anew = false

  func run() throws {
    if anew, !arguments.resume { throw MartletError(.usage, "--anew goes with --resume") }
    let request = try PipelineRequest(
      arguments.config, overrides: arguments.overrides, resume: arguments.resume)
    let summary = try arguments.withContext(anew: anew) { try PipelineFile.run(request, context: $0) }
    if let summary { Console.out(summary.table) }
  }
}

struct Ablate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ablate", abstract: "Run cases x seeds of one pipeline, and compare them.",
    discussion: """
      What is finished is left as it is; what was killed goes on. Several processes may work on one ablation: each takes what
      no other has.
      """)
  @Argument(help: "The ablation file (YAML).", completion: .configuration) var config: String
  @Option(name: .customLong("set"), help: "key=value, put over the file; may be repeated.")
  var overrides: [String] = []
  @Option(help: "CASE or CASE/seed-N, with * and ?: run and compare these alone; may be repeated.") var only: [String] =
    []
  @Flag(help: "Make runs anew that were made with another configuration, data or model.") var anew = false
  @OptionGroup var threads: Threads

  func run() throws {
    let ablation = try Ablation(config, overrides: overrides)
    let (table, failures) = try ablation.run(only: only, context: threads.context(resume: true, anew: anew))
    Console.out(table)
    guard let first = failures.first else { return }
    throw MartletError(
      first.status, "\(failures.count) runs failed, first: \(first.message); mend it and give the command again")
  }
}
