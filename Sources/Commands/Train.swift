import ArgumentParser
import Support
import Tensor
import Training

/// The program `train`.
public struct Train: ParsableCommand {
  public static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Teaches small language models to reason with a Python interpreter.",
    version: Martlet.versionAndCommit,
    groupedSubcommands: [
      CommandGroup(
        name: "Stages",
        subcommands: [
          SFT.self, HintCommand.self, RFT.self, RL.self, Eval.self, BranchCommand.self, PipelineCommand.self,
          Ablate.self,
        ]),
      CommandGroup(
        name: "Models",
        subcommands: [Import.self, Export.self, Inspect.self, Tokenize.self, Score.self, Generate.self, Ask.self]),
      CommandGroup(name: "Tools", subcommands: [Problems.self, PythonCommand.self, GradeCommand.self, Analyze.self]),
      CommandGroup(
        name: "Checks",
        subcommands: [
          PlanCommand.self, Check.self, VerifyResume.self, Report.self, Doctor.self, Bench.self,
        ]),
    ])

  public init() {}

  /// Runs the command line and exits with the contract's status.
  public static func main() {
    Signals.install()
    do {
      var command = try parseAsRoot()
      try command.run()
      Console.shared.finish()
    } catch {
      Failure.exit(with: error)
    }
  }
}

/// What every command takes.
struct Threads: ParsableArguments {
  @Option(help: "Worker threads; the physical cores if not given.")
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
