import ArgumentParser
import Foundation
import Support
import Training

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

/// What adapts the model of a command.
struct AdapterOption: ParsableArguments {
  @Option(help: ArgumentHelp("A LoRA adapter of the model: a folder of PEFT, or a run with lora.", valueName: "folder"))
  var adapter: InputPath?

  /// Where it lies; nil: none was given.
  func path() throws -> String? { try adapter?.path() }
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
