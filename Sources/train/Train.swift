import ArgumentParser
import Foundation
import Pipeline
import Tensor

@main
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Teaches small language models to reason with a Python interpreter.",
    version: Martlet.version,
    groupedSubcommands: [
      CommandGroup(
        name: "Stages",
        subcommands: [SFT.self, HintCommand.self, RFT.self, RL.self, Eval.self, PipelineCommand.self, Ablate.self]),
      CommandGroup(
        name: "Models",
        subcommands: [Import.self, Export.self, Inspect.self, Tokenize.self, Score.self, Generate.self, Ask.self]),
      CommandGroup(name: "Tools", subcommands: [Problems.self, PythonCommand.self, GradeCommand.self, Analyze.self]),
      CommandGroup(name: "Checks", subcommands: [PlanCommand.self, Check.self, Report.self, Doctor.self, Bench.self]),
    ])

  /// Runs the command line and exits with the contract's status.
  static func main() {
    Signals.install()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error as MartletError {
      Console.error(error.message)
      Foundation.exit(error.status.rawValue)
    } catch is Interrupted {
      Console.error("interrupted; what was done is saved, go on with --resume")
      Foundation.exit(Signals.status)
    } catch {
      let code = exitCode(for: error)
      if code == .success || code == .validationFailure { exit(withError: error) }
      Console.error("\(error)")
      Foundation.exit(MartletError.Status.io.rawValue)
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

  func context(resume: Bool = false, console: Console = Console()) -> StageContext {
    StageContext(
      threads: threads, resume: resume, isCancelled: { Signals.isRaised }, onEvent: { console.show($0) })
  }
}
