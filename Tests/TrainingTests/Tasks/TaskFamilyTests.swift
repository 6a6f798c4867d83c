import Foundation
import Support
import Testing

@testable import Rollout

/// The packages of `requirements-tasks.txt`, which `make tasks` installs. Where they are missing, the tests that need
/// them are skipped and say so.
enum TaskPackages {
  static let areInstalled: Bool = {
    guard let python = try? PythonRuntime.python(nil) else { return false }
    return (try? run(python, ["-c", "import rdkit, scipy, pulp, reasoning_gym"]))?.status == 0
  }()

  static let advice: Comment = "rdkit, scipy, pulp and reasoning-gym are not in .venv; run `make tasks` once"

  /// Runs a program to its end.
  static func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
  }
}

/// `train problems --family chemistry` and `optimisation`.
@Suite struct TaskFamilyTests {
  let program: TrainProgram

  init() throws { program = try TrainProgram() }

  private func make(_ family: String, _ name: String, seed: Int = 1, split: String = "any", count: Int = 230) throws {
    let outcome = try program.run(
      "problems", "--family", family, "--seed", "\(seed)", "--split", split, "--count", "\(count)", "--output", name)
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  private func texts(_ name: String, _ key: String = "problem") throws -> [String] {
    try program.lines(name).map { try #require($0[key] as? String) }
  }

  /// tools/check-problems works the answers out by other means, and looks for doublets and names of libraries.
  @Test(.enabled(if: TaskPackages.areInstalled, TaskPackages.advice), arguments: ["chemistry", "optimisation"])
  func answersHoldWhenWorkedOutAgain(family: String) throws {
    try make(family, "a.jsonl")
    let checked = try TaskPackages.run(
      PythonRuntime.python(nil), ["-B", TrainProgram.root + "/tools/check-problems", program.file("a.jsonl")])
    #expect(checked.status == 0 && checked.output == "230 problems checked, 0 with a fault\n", "\(checked.output)")
    for line in try program.lines("a.jsonl") {
      let text = try #require(line["problem"] as? String)
      let answer = try #require(line["gt_answer"] as? String)
      let words = text.split { " ?!,;:()".contains($0) }.map { $0.hasSuffix(".") ? $0.dropLast() : $0 }
      #expect(!words.contains(Substring(answer)), "\(text) tells \(answer)")
      #expect(!text.contains("  ") && !text.contains("{"))
    }
    #expect(Set(try texts("a.jsonl", "source")).count >= (family == "chemistry" ? 20 : 6))
  }

  @Test(.enabled(if: TaskPackages.areInstalled, TaskPackages.advice), arguments: ["chemistry", "optimisation"])
  func aSeedDecidesAllAndSplitsShareNothing(family: String) throws {
    try make(family, "a.jsonl", count: 60)
    try make(family, "b.jsonl", count: 60)
    try make(family, "c.jsonl", seed: 2, count: 60)
    let first = try Data(contentsOf: URL(fileURLWithPath: program.file("a.jsonl")))
    #expect(try first == Data(contentsOf: URL(fileURLWithPath: program.file("b.jsonl"))))
    #expect(try Set(texts("a.jsonl")).intersection(texts("c.jsonl")).count < 3)
    try make(family, "training.jsonl", split: "training", count: 120)
    try make(family, "held.jsonl", split: "held_out", count: 120)
    let (training, held) = try (texts("training.jsonl"), texts("held.jsonl"))
    #expect(Set(training).isDisjoint(with: held) && Set(training + held).count == 240)
    // The last wordings are the held-out ones.
    let last = ["A data sheet on", "You are asked to tabulate", "A planner asks for", "Among all plans"]
    #expect(held.allSatisfy { text in last.contains { text.contains($0) } })
    #expect(!training.contains { text in last.contains { text.contains($0) } })
  }

  /// A Python without the packages is told what to do.
  @Test func aMissingPackageIsNamedWithItsRemedy() throws {
    try FileManager.default.createDirectory(
      atPath: program.file(".venv/bin"), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: program.file(".venv/bin/python3"), withDestinationPath: "/usr/bin/python3")
    for (family, package) in [("chemistry", "rdkit"), ("optimisation", "scipy")] {
      let outcome = try program.run(
        "problems", "--family", family, "--seed", "1", "--count", "1", "--output", "x.jsonl")
      #expect(outcome.status == 78, "\(outcome.output)")
      #expect(outcome.errors.contains("\(package) is not installed here; run `make tasks` once"), "\(outcome.errors)")
      #expect(!FileManager.default.fileExists(atPath: program.file("x.jsonl")))
    }
  }

  /// What a model may find: each library is there for a block, within its limits, in the best tier of this machine.
  @Test(.enabled(if: TaskPackages.areInstalled, TaskPackages.advice))
  func blocksCanUseTheLibraries() throws {
    let host = try InterpreterHost(settings: InterpreterSettings())
    defer { host.close() }
    let session = try host.open(key: 1)
    defer { session.close() }
    let blocks = [
      """
      from rdkit import Chem
      from rdkit.Chem import AllChem, Descriptors, rdMolDescriptors
      m = Chem.MolFromSmiles('CC(=O)Oc1ccccc1C(=O)O')
      print(rdMolDescriptors.CalcMolFormula(m), round(Descriptors.MolWt(m), 2))
      print(AllChem.EmbedMolecule(Chem.AddHs(m), randomSeed=1))
      """: "C9H8O4 180.16\n0\n",
      """
      from scipy.optimize import linprog
      print(linprog([-1, -2], A_ub=[[1, 1]], b_ub=[4]).fun)
      """: "-8.0\n",
      """
      import pulp
      p = pulp.LpProblem('p', pulp.LpMaximize)
      x = pulp.LpVariable('x', 0, 4, cat='Integer')
      p += 3 * x
      p += 2 * x <= 7
      p.solve(pulp.PULP_CBC_CMD(msg=0))
      print(pulp.value(p.objective))
      """: "9.0\n",
    ]
    for (block, output) in blocks {
      let result = session.run(block)
      #expect(result.status == .ok && result.output == output, "\(result)")
    }
  }
}
