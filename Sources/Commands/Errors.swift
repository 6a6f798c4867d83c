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
    // Given again, it would branch again.
    guard !arguments.contains(where: { $0.hasPrefix("--from-step") }) else {
      return "interrupted; what was done is saved. Go on with --resume and the new folder"
    }
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
