import ArgumentParser
import Cluster
import Reports
import Rollout
import Support
import Training

/// The arguments of a stage.
struct StageArguments: ParsableArguments {
  @Argument(help: "The configuration (YAML). With --resume also a run: its folder or its name.", completion: .yaml)
  var config: String

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("A value to use instead of the file's. May be repeated.", valueName: "key.path=value"))
  var overrides: [String] = []

  @Flag(help: "Go on with a run that was interrupted or shall have more steps.")
  var resume = false

  @Flag(help: "Show where the time of the training steps went.")
  var profile = false

  @OptionGroup var threads: Threads

  func request(_ kind: StageKind, _ more: [String] = [], replays: Bool = false) throws -> StageRequest {
    try StageRequest(kind, config, overrides: overrides + more, resume: resume, replays: replays)
  }

  /// Runs the stage and says what came of it.
  func run(_ request: StageRequest) throws {
    try withContext { try Stage.run(request, context: $0) }
    Console.note(RunEnding(request.folder, of: request.kind.rawValue, config: config).text)
  }

  /// Runs `body`, and shows where the time went if that was asked for.
  func withContext<Result>(anew: Bool = false, _ body: (StageContext) throws -> Result) throws -> Result {
    try Launch.requireSingle()
    let context = threads.context(resume: resume, anew: anew, profile: profile)
    let result = try body(context)
    if let timer = context.timer { Console.out(Profile("all steps", timer.total).table) }
    return result
  }
}

/// How a run is gone back on.
struct FromStep: ParsableArguments {
  @Option(help: "With --resume: go on from this older step, in a new folder.") var fromStep: Int?
  @Option(help: "The new folder of --from-step; RUN-from-N if not given.", completion: .directory) var into: String?

  /// Runs the stage, or its branch.
  func run(_ kind: StageKind, _ arguments: StageArguments) throws {
    var request = try arguments.request(kind)
    if let fromStep {
      guard arguments.resume else { throw MartletError(.usage, "--from-step goes with --resume RUN") }
      request = try Branch.fork(request, step: fromStep, into: into)
    } else if into != nil {
      throw MartletError(.usage, "--into goes with --from-step")
    }
    try arguments.run(request)
  }
}

struct SFT: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sft", abstract: "Train on examples (supervised fine-tuning, or from random weights).")
  @OptionGroup var arguments: StageArguments
  @OptionGroup var start: FromStep
  func run() throws { try start.run(.sft, arguments) }
}

struct HintCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hint", abstract: "Make examples by putting hints into a model's own responses.")
  @OptionGroup var arguments: StageArguments
  @Option(
    help: ArgumentHelp(
      "Hints chosen by a person, lines of {\"id\", \"sample\", \"token\", \"hint\"}.", valueName: "file"))
  var edits: InputPath?
  @Option(help: "The episodes that --edits is about; sampled if not given.")
  var episodes: InputPath?

  func run() throws {
    let more = try edits.map { ["hint.edits=\(try $0.path())"] } ?? []
    try arguments.run(arguments.request(.hint, more + (episodes.map { ["hint.episodes=\(try $0.episodes())"] } ?? [])))
  }
}

struct RFT: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rft", abstract: "Train on a model's own right and efficient responses (rejection fine-tuning).")
  @OptionGroup var arguments: StageArguments
  @OptionGroup var start: FromStep
  func run() throws { try start.run(.rft, arguments) }
}

struct RL: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rl", abstract: "Train by reinforcement learning (PPO, GRPO), with Python in the rollouts.")
  @OptionGroup var arguments: StageArguments
  @Option(help: ArgumentHelp("Make one update on these episodes instead of sampling.", valueName: "episodes"))
  var replay: InputPath?
  @OptionGroup var start: FromStep

  func run() throws {
    guard let replay else { return try start.run(.rl, arguments) }
    guard start.fromStep == nil, start.into == nil else {
      throw MartletError(.usage, "--replay and --from-step: give one of them")
    }
    let request = try arguments.request(.rl, replays: true)
    try arguments.withContext { try Stage.replay(replay.episodes(), request, context: $0) }
  }
}

struct Eval: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "eval", abstract: "Evaluate a model on problems.")
  @OptionGroup var arguments: StageArguments
  @OptionGroup var adapter: AdapterOption
  @Option(help: "Rounds of hints at test time, as test_hints.rounds: accuracy and tokens after each of them.")
  var hintRounds: Int?
  @Option(help: ArgumentHelp("Judge these episodes again instead of sampling.", valueName: "episodes"))
  var regrade: InputPath?

  func run() throws {
    let more = try adapter.path().map { ["adapter=\($0)"] } ?? []
    let request = try arguments.request(.eval, more + (hintRounds.map { ["test_hints.rounds=\($0)"] } ?? []))
    guard let regrade else { return try arguments.run(request) }
    try arguments.withContext { try Stage.regrade(regrade.episodes(), request, context: $0) }
  }
}

struct PipelineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pipeline", abstract: "Run several stages from one file, one after the other.")
  @OptionGroup var arguments: StageArguments
  @Flag(help: "With --resume: start stages again whose configuration, data or model has changed.")
  var anew = false

  func run() throws {
    if anew, !arguments.resume { throw MartletError(.usage, "--anew goes with --resume") }
    let request = try PipelineRequest(
      arguments.config, overrides: arguments.overrides, resume: arguments.resume)
    let summary = try arguments.withContext(anew: anew) { try PipelineFile.run(request, context: $0) }
    if let summary { Console.out(summary.table) }
    Console.note(RunEnding(request.folder, of: "pipeline", config: arguments.config).text)
  }
}

struct Ablate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ablate", abstract: "Run variants of a pipeline with several seeds, and compare them.",
    discussion: """
      Finished runs are kept, interrupted ones go on. Several processes may work on the same ablation at once.
      """)
  @Argument(help: "The ablation file (YAML).", completion: .yaml) var config: String
  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("A value to use instead of the file's. May be repeated.", valueName: "key=value"))
  var overrides: [String] = []
  @Option(
    help: ArgumentHelp(
      "Run only these: CASE or CASE/seed-N, where * and ? stand for any characters. May be repeated.",
      valueName: "case"))
  var only: [String] = []
  @Flag(help: "Start runs again whose configuration, data or model has changed.") var anew = false
  @OptionGroup var threads: Threads

  func run() throws {
    let ablation = try Ablation(config, overrides: overrides)
    let (table, failures) = try ablation.run(only: only, context: threads.context(resume: true, anew: anew))
    Console.out(table)
    Console.note(RunEnding(ablation.root, of: "ablate", config: config).text)
    guard let first = failures.first else { return }
    throw MartletError(
      first.status, "\(failures.count) runs failed, first: \(first.message); mend it and give the command again")
  }
}
