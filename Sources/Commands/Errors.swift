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
      Console.note("interrupted; what was done is saved, --resume goes on")
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

/// What is wrong with values that came from options is wrong usage.
func asUsage<T>(_ body: () throws -> T) throws -> T {
  do { return try body() } catch let error as MartletError where error.status == .configuration {
    throw MartletError(.usage, error.message)
  }
}

/// A file to read lines from and one to write lines to.
struct LineFiles: ParsableArguments {
  @Option(help: "One JSON object a line.", completion: .lines) var input: String
  @Option(help: "Where results go, one JSON object a line.", completion: .lines) var output: String

  func validate() throws {
    func place(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().standardized.path }
    if place(input) == place(output) {
      throw ValidationError("--output is the file that --input reads; it would be lost, so name another")
    }
  }
}
