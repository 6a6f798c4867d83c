import ArgumentParser
import Support
import Training

struct BranchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "branch", abstract: "Begin a new run from a step of another one.",
    discussion: """
      The new run has the old one's optimizer state and goes on counting its steps, or with --weights the weights alone and
      begins at step 0. Nothing is trained yet: train STAGE --resume NEW goes on.
      """)
  @Argument(
    help: ArgumentHelp("The run: its folder, or its name under checkpoints/.", valueName: "run"),
    completion: .directory)
  var from: String
  @Argument(
    help: ArgumentHelp("The new run's folder, or its name under checkpoints/.", valueName: "new"),
    completion: .directory)
  var into: String
  @Option(help: "The step to go on from; the newest if not given.") var step: Int?
  @Flag(help: "Take the weights alone.") var weights = false
  @Option(name: .customLong("set"), help: "key.path=value, put over the run's configuration; may be repeated.")
  var overrides: [String] = []

  func run() throws {
    let branch = try Branch(from, step: step)
    let made =
      weights ? try branch.makeFromWeights(into, overrides: overrides) : try branch.make(into, overrides: overrides)
    Console.out("\(made.folder): go on with train \(made.stage.rawValue) --resume \(made.folder)")
  }
}
