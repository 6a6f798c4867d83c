import ArgumentParser
import Pipeline
import Rollout
import Tensor

/// The arguments of a stage.
struct StageArguments: ParsableArguments {
  @Argument(help: "The configuration (YAML).")
  var config: String

  @Option(name: .customLong("set"), help: "key.path=value, put over the file; may be repeated.")
  var overrides: [String] = []

  @Flag(help: "Go on with the run in its folder.")
  var resume = false

  @Flag(help: "Time the parts of each training step: a table at the end, `profile_...` in metrics.jsonl.")
  var profile = false

  @OptionGroup var threads: Threads

  func run(_ kind: StageKind, _ more: [String] = []) throws {
    let configuration = try Configuration.load(config, overrides: overrides + more, stage: kind)
    try withContext { try Stage.run(kind, configuration, context: $0) }
  }

  /// Runs `body`, and shows where the time went if that was asked for.
  func withContext<Result>(_ body: (StageContext) throws -> Result) throws -> Result {
    let context = threads.context(resume: resume, profile: profile)
    let result = try body(context)
    if let timer = context.timer { Console.out(Profile("all steps", timer.total).table) }
    return result
  }
}

struct SFT: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sft", abstract: "Fine-tune on examples, or train from random weights.")
  @OptionGroup var arguments: StageArguments
  func run() throws { try arguments.run(.sft) }
}

struct HintCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hint", abstract: "Make hint-engineered examples from a model's own responses.")
  @OptionGroup var arguments: StageArguments
  @Option(help: "Spots and hints chosen by a person: {\"id\", \"sample\", \"token\", \"hint\"} a line.")
  var edits: String?
  @Option(help: "The episodes that --edits speaks of; sampled if not given.")
  var episodes: String?

  func run() throws {
    let more = edits.map { ["hint.edits=\($0)"] } ?? []
    try arguments.run(.hint, more + (episodes.map { ["hint.episodes=\($0)"] } ?? []))
  }
}

struct RFT: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rft", abstract: "Rejection fine-tuning: keep a model's right and efficient responses, train on them.")
  @OptionGroup var arguments: StageArguments
  func run() throws { try arguments.run(.rft) }
}

struct RL: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rl", abstract: "Reinforcement learning with the interpreter in the rollouts.")
  @OptionGroup var arguments: StageArguments
  @Option(help: "One update on these episodes instead of sampling.")
  var replay: String?

  func run() throws {
    guard let replay else { return try arguments.run(.rl) }
    let configuration = try Configuration.load(
      arguments.config, overrides: arguments.overrides, stage: .rl, replays: true)
    try arguments.withContext { try Stage.replay(replay, configuration, context: $0) }
  }
}

struct Eval: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "eval", abstract: "Evaluate a model on problems.")
  @OptionGroup var arguments: StageArguments
  @Option(help: "Judge these episodes again instead of sampling.")
  var regrade: String?

  func run() throws {
    guard let regrade else { return try arguments.run(.eval) }
    let configuration = try Configuration.load(
      arguments.config, overrides: arguments.overrides, stage: .eval)
    try arguments.withContext { try Stage.regrade(regrade, configuration, context: $0) }
  }
}

struct PipelineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pipeline", abstract: "Run the stages of one file in order, and compare them.")
  @OptionGroup var arguments: StageArguments

  func run() throws {
    let summary = try arguments.withContext {
      try PipelineFile.run(arguments.config, overrides: arguments.overrides, context: $0)
    }
    if let summary { Console.out(summary.table) }
  }
}

struct Ablate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ablate", abstract: "Run cases x seeds of one pipeline, and compare them.")
  @OptionGroup var arguments: StageArguments

  func run() throws {
    Console.out(
      try Ablation.run(
        arguments.config, overrides: arguments.overrides, context: arguments.threads.context(resume: true)))
  }
}
