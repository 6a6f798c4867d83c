import ArgumentParser
import Foundation
import Rollout
import Support
import Training

/// How a failure leaves the program: one line "error: where: what; what to do" on standard error, and the contract's
/// status.
enum Failure {
  static func exit(with error: any Error) -> Never {
    Console.shared.finish()
    switch error {
    case let error as MartletError:
      Console.error(error.message)
      Foundation.exit(error.status.rawValue)
    case is Interrupted, is CancellationError:
      Console.note(Self.interruption(CommandLine.arguments))
      Foundation.exit(Signals.status)
    default:
      let code = Train.exitCode(for: error)
      // Help and version asked for, or a command line that cannot be understood: the parser knows what to say.
      if code == .success || code == .validationFailure { Train.exit(withError: error) }
      Console.error("\(error)")
      Foundation.exit(MartletError.Status.io.rawValue)
    }
  }
}

extension Failure {
  /// What to say after Ctrl-C, with the command that goes on.
  static func interruption(_ arguments: [String]) -> String {
    let command = arguments.dropFirst().first ?? ""
    let stages = StageKind.allCases.map(\.rawValue) + ["pipeline"]
    guard stages.contains(command) || command == "ablate" else { return "interrupted" }
    var words = ["train"] + arguments.dropFirst()
    if command != "ablate", !words.contains("--resume") { words.append("--resume") }
    return "interrupted; what was done is saved. Go on with:\n  \(shellCommand(words))"
  }
}

/// `words` as a shell takes them.
func shellCommand(_ words: [String]) -> String {
  words.map { word in
    let isPlain = !word.isEmpty && word.allSatisfy { $0.isLetter || $0.isNumber || "_-./=:,+@%".contains($0) }
    return isPlain ? word : "'" + word.replacing("'", with: "'\\''") + "'"
  }.joined(separator: " ")
}

/// What is wrong with values that came from options is wrong usage.
func asUsage<T>(_ body: () throws -> T) throws -> T {
  do { return try body() } catch let error as MartletError where error.status == .configuration {
    throw MartletError(.usage, error.message)
  }
}

/// Something to read: a path, or what has this name under `checkpoints/`.
struct InputPath: ExpressibleByArgument {
  /// As it was given.
  let name: String

  init(argument: String) { name = argument }

  static var defaultCompletionKind: CompletionKind { .file() }

  /// Where it lies.
  /// - Throws: `MartletError` (io) with the nearest name when nothing is there.
  func path() throws -> String { try NamedPath.existing(name) }

  /// The file of episodes: itself, or that of the run that it names.
  /// - Throws: `MartletError`: io when nothing is there, data for a folder without episodes.
  func episodes() throws -> String { try NamedPath.episodes(name) }
}

extension CompletionKind {
  /// Configurations.
  static var yaml: CompletionKind { .file(extensions: ["yaml", "yml"]) }
}

/// A file to read lines from and one to write lines to.
struct LineFiles: ParsableArguments {
  @Option(help: ArgumentHelp("The file to read, one JSON object a line.", valueName: "file")) var input: InputPath
  @Option(
    help: ArgumentHelp("The file to write, one JSON object a line.", valueName: "file"), completion: .file())
  var output: String

  func validate() throws { try Self.refuseSame(input, output) }

  static func refuseSame(_ input: InputPath, _ output: String) throws {
    func place(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().standardized.path }
    if place((try? input.path()) ?? input.name) == place(output) {
      throw ValidationError("--output is the file that --input reads; it would be lost, so name another")
    }
  }
}
