import ArgumentParser
import Support
import Tensor
import Training

/// The program `train`.
public struct Train: ParsableCommand {
  public static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Teaches small language models to reason with a Python interpreter.",
    discussion: """
      A run is named by its folder, or by its name under checkpoints/:
      train report demo
      train ask demo/rl-model 'What is 3 * 17?'
      """,
    version: Martlet.versionAndCommit,
    groupedSubcommands: [
      CommandGroup(
        name: "Training",
        subcommands: [SFT.self, HintCommand.self, RFT.self, RL.self, PipelineCommand.self, Ablate.self]),
      CommandGroup(
        name: "Result",
        subcommands: [Ask.self, Show.self, Eval.self, Report.self, Analyze.self, GradeCommand.self]),
      CommandGroup(
        name: "Model",
        subcommands: [Import.self, Export.self, Inspect.self, Tokenize.self, Generate.self, Score.self]),
      CommandGroup(
        name: "Run",
        subcommands: [
          Check.self, PlanCommand.self, Diagnose.self, BranchCommand.self, VerifyResume.self, Problems.self,
          Augment.self,
        ]),
      CommandGroup(name: "Machine", subcommands: [Doctor.self, Bench.self, PythonCommand.self]),
    ])

  /// The command before its arguments are read.
  public init() {}

  /// Runs the command line and exits with the contract's status.
  public static func main() {
    Signals.install()
    do {
      let words = CommandLine.arguments.dropFirst()
      try refuseUnknownCommand(words.first == "help" ? words.dropFirst().first : words.first)
      var command = try parseAsRoot()
      try command.run()
      Console.shared.finish()
    } catch {
      Failure.exit(with: error)
    }
  }
}

extension Train {
  /// - Throws: `MartletError` (usage) with the nearest command, for a first word that is none.
  private static func refuseUnknownCommand(_ word: String?) throws {
    guard let word, !word.hasPrefix("-"), word != "help" else { return }
    let groups = configuration.groupedSubcommands.flatMap(\.subcommands) + configuration.ungroupedSubcommands
    let known = groups.compactMap { $0.configuration.commandName ?? "\($0)".lowercased() }
    guard !known.contains(word) else { return }
    let advice = nearestWord(to: word, among: known).map { "did you mean train \($0)?" } ?? "train help lists them"
    throw MartletError(.usage, "\(word): there is no such command; \(advice)")
  }
}

/// What every command takes.
struct Threads: ParsableArguments {
  @Option(help: "Worker threads; one a physical core if not given.")
  var threads: Int?

  func validate() throws {
    if let threads, threads < 1 || threads > 1024 { throw ValidationError("--threads must be from 1 to 1024") }
  }

  func pool() -> WorkerPool { threads.map { WorkerPool(threadCount: $0) } ?? WorkerPool() }

  /// What a stage runs in.
  /// - Parameters:
  ///   - saves: from here on the first Ctrl-C saves before it ends.
  ///   - profile: whether the parts of the work are timed.
  func context(
    resume: Bool = false, anew: Bool = false, saves: Bool = true, profile: Bool = false
  ) -> StageContext {
    if saves { Signals.saveFirst() }
    return StageContext(
      threads: threads, resume: resume, anew: anew, timer: profile ? .wall() : nil, isCancelled: { Signals.isRaised },
      onEvent: { Console.shared.show($0) })
  }
}
