import ArgumentParser
import Support
import Training

struct BranchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "branch", abstract: "Start a new run from a checkpoint of another one.",
    discussion: """
      The new run takes over weights, optimizer state and the count of steps; with --weights only the weights. Nothing
      is trained yet: go on with train STAGE --resume NEW.
      """)
  @Argument(help: ArgumentHelp("The run: its folder or its name.", valueName: "run"), completion: .directory)
  var from: String
  @Argument(help: ArgumentHelp("The new run: a folder, or a name.", valueName: "new"), completion: .directory)
  var into: String
  @Option(help: "The step to go on from; the newest if not given.") var step: Int?
  @Flag(help: "Take only the weights, and begin at step 0.") var weights = false
  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("A value to use instead of the run's. May be repeated.", valueName: "key.path=value"))
  var overrides: [String] = []

  func run() throws {
    let branch = try Branch(from, step: step)
    let made =
      weights ? try branch.makeFromWeights(into, overrides: overrides) : try branch.make(into, overrides: overrides)
    let next = shellCommand(["train", made.stage.rawValue, "--resume", made.folder])
    Console.out("\(made.folder): go on with \(next)")
  }
}
