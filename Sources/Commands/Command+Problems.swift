import ArgumentParser
import Demo
import Foundation
import Rollout
import Support

extension ProblemGenerator.Split: ExpressibleByArgument {}

/// A family that `train problems` knows: the demo's are made here, the others by a task that comes with the program.
enum FamilyChoice: ExpressibleByArgument, CaseIterable {
  case demo(ProblemFamily)
  case chemistry, optimisation

  static let allCases: [FamilyChoice] = ProblemFamily.allCases.map(Self.demo) + [.chemistry, .optimisation]

  init?(argument: String) {
    guard let choice = Self.allCases.first(where: { $0.name == argument }) else { return nil }
    self = choice
  }

  static var allValueStrings: [String] { allCases.map(\.name) }

  var defaultValueDescription: String { name }

  var name: String {
    switch self {
    case .demo(let family): family.rawValue
    case .chemistry: "chemistry"
    case .optimisation: "optimisation"
    }
  }
}

struct Problems: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "problems", abstract: "Make problems: the demo's, of chemistry, of optimisation, of a task.",
    discussion: """
      chemistry, optimisation and the adapters of docs/programs.md need the packages that `make tasks` installs.
      """)
  @Option(help: "The seed of all draws.") var seed: UInt64?
  @Option(help: "How many problems.") var count: Int
  @Option(help: ArgumentHelp("The file to write, one problem a line.", valueName: "file"), completion: .file())
  var output: String
  @Option(help: "Only problems of this family; those of the demo if not given.") var family: FamilyChoice?
  @Option(help: "Which of the two disjoint sets of problems to draw from.") var split: ProblemGenerator.Split?
  @Flag(help: "Write worked solutions instead, such as the demo's base model is trained on.") var texts = false
  @Option(help: "With --texts: shares of work by hand, late code, distrusted code and plain transcripts.")
  var shares: String?
  @Option(
    parsing: .remaining,
    help: ArgumentHelp("Ask this task's program instead; the last option, with all its words.", valueName: "command"))
  var task: [String] = []
  @OptionGroup var threads: Threads

  func validate() throws {
    if count < 1 { throw ValidationError("--count must be 1 or more") }
    _ = try drawn()
    if seed == nil, task.isEmpty { throw ValidationError("--seed is missing; give the seed of all draws") }
    guard words != nil else { return }
    if texts { throw ValidationError("--texts are made of the demo's families alone") }
    if !task.isEmpty, family != nil || split != nil || seed != nil {
      throw ValidationError("--seed, --split and --family are not for --task; give its program arguments of its own")
    }
  }

  /// The shares of the manners of writing.
  private func drawn() throws -> DemoText.Shares {
    guard let shares else { return DemoText.Shares() }
    let numbers = shares.split(separator: ",").compactMap { Double($0) }
    guard numbers.count == 4, abs(numbers.reduce(0, +) - 1) < 1e-9, numbers.allSatisfy({ $0 >= 0 }) else {
      throw ValidationError("--shares needs four numbers from 0 to 1 that add up to 1, such as 0.5,0.2,0.2,0.1")
    }
    return .init(longHand: numbers[0], late: numbers[1], distrust: numbers[2], transcript: numbers[3])
  }

  /// The task's program that makes the problems; nil: they are made here.
  private var words: [String]? {
    switch family {
    case .chemistry, .optimisation:
      let name = family?.name ?? ""
      return ["python3", "@tasks/\(name).py", "--seed", String(seed ?? 0), "--split", (split ?? .any).rawValue]
    case .demo, nil: return task.isEmpty ? nil : task
    }
  }

  func run() throws {
    if let words { return try JSONLines.write(asked(words), to: output) }
    var families = ProblemFamily.allCases
    if case .demo(let family) = family { families = [family] }
    let generator = ProblemGenerator(
      seed: seed ?? 0, split: split ?? (texts ? .training : .any), families: families)
    guard texts else { return try JSONLines.write(generator.problems(count: count).map(\.problem), to: output) }
    try JSONLines.write(DemoText.examples(generator, count: count, shares: drawn()), to: output)
  }

  /// The program's problems, in its order.
  private func asked(_ words: [String]) throws -> [Problem] {
    let key = task.isEmpty ? "--family" : "--task"
    let remedy = "mend the program (docs/programs.md)"
    let program = TaskProgram(
      ProgramCommand(key: key, words: words, timeLimit: 300), slowRemedy: remedy, remedy: remedy)
    var ids = Set<String>()
    return try (0..<count).map { index in
      let made = try program.problem(index)
      guard !made.problem.gold.isEmpty else {
        throw program.fault(
          "problem \(index)", "has no answer, so no file can hold it; name the program in task.command, where it scores"
        )
      }
      guard ids.insert(made.problem.id).inserted else {
        throw program.fault("problem \(index)", "has the id of an earlier one, \(made.problem.id)")
      }
      return made.problem
    }
  }
}
