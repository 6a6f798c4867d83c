import Foundation
import Testing

/// A pipeline goes on as what it is, and its stages are addressed by name.
@Suite struct PipelineContractTests {
  let program: TrainProgram

  init() throws {
    program = try TrainProgram()
    _ = try program.makeModel(contextLength: 256)
    try program.write(
      "examples.jsonl",
      (1...6).map { "{\"prompt\": \"What is \($0) + \($0)?\", \"response\": \"\(2 * $0)\"}\n" }.joined())
    try write()
  }

  @discardableResult
  private func write(steps: Int = 2, problems: Int = 3) throws -> String {
    try program.write(
      "p.yaml",
      """
      run: ./p
      problems:
        - {file: held.jsonl, seed: 3, count: \(problems), split: any, families: [multiplication]}
      defaults:
        prompt: {template: none}
        sampling: {max_tokens: 8, tools: none}
      stages:
        - {name: first, stage: sft, model: model.h5, data: examples.jsonl, steps: \(steps), update_batch: 3}
        - {name: second, stage: sft, model: "@first", data: examples.jsonl, steps: 2, update_batch: 2}
        - {name: last, stage: eval, model: "@second", data: "@held.jsonl", samples_per_prompt: 2}
      summary: {rows: [last], of: last, over: [last]}

      """)
  }

  private func run(_ arguments: String...) throws -> TrainProgram.Outcome {
    try program.end(program.start(["pipeline"] + arguments + ["--threads", "1"]))
  }

  private func hashes(_ stage: String) throws -> [String?] {
    try program.lines(stage + "/metrics.jsonl").map { $0["state_hash"] as? String }
  }

  /// What was `--set` stays; moved, nothing is made again, and a stage in it goes on with what lies there now.
  @Test func aMovedPipelineGoesOn() throws {
    let outcome = try run("p.yaml", "--set", "stages.f*.seed=4", "--set", "update_batch=4")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let config = try String(contentsOfFile: program.file("p/second/config.yaml"), encoding: .utf8)
    #expect(config.contains("model: \"@/../first\"") && config.contains("update_batch: 4"))
    #expect(try String(contentsOfFile: program.file("p/first/config.yaml"), encoding: .utf8).contains("seed: 4"))
    let before = try hashes("p/second")
    try FileManager.default.moveItem(atPath: program.file("p"), toPath: program.file("q"))
    let moved = try run("./q", "--resume")
    #expect(moved.status == 0 && moved.output == outcome.output && !moved.errors.contains("step 1"), "\(moved.errors)")
    let more = try program.run("sft", "./q/second", "--resume", "--set", "steps=3")
    #expect(more.status == 0, "\(more.errors)")
    #expect(try Array(hashes("q/second").prefix(2)) == before && hashes("q/second").count == 3)
    #expect(!FileManager.default.fileExists(atPath: program.file("p")))
  }

  /// A stage is made again only when asked for, and then all that came of it.
  @Test func aChangedStageIsRefusedOrMadeAnew() throws {
    #expect(try run("p.yaml").status == 0)
    let before = try ["first", "second"].map { try hashes("p/" + $0) }
    let other = try run("p.yaml", "--resume", "--set", "stages.first.seed=9")
    #expect(other.status == 78 && other.errors.contains("seed: 0 -> 9") && other.errors.contains("--anew"))
    #expect(try hashes("p/first") == before[0])
    let unchanged = try run("./p", "--resume")
    #expect(unchanged.status == 0, "what was refused has stayed: \(unchanged.errors)")
    let anew = try run("p.yaml", "--resume", "--anew", "--set", "stages.first.seed=9")
    #expect(anew.status == 0, "\(anew.errors)")
    #expect(try hashes("p/first") != before[0] && hashes("p/second") != before[1])
    try write(problems: 4)
    let data = try run("p.yaml", "--resume")
    #expect(data.status == 78 && data.errors.contains("holds other problems"), "\(data.errors)")
    // The file says more steps: the stage goes on, and what it left is another model for the next.
    try write(steps: 3)
    let steps = try run("p.yaml", "--resume")
    #expect(steps.status == 78 && steps.errors.contains("p/second: model: "), "\(steps.errors)")
    #expect(try hashes("p/first").count == 3)
  }

  @Test(arguments: [
    ("stages.nope.steps=3", "addresses no stage"), ("stages.first.step=3", "unknown key step"),
    ("stages.first.groups.refill=2", "groups"), ("rejection.filter=correct", "no stage has the key"),
    ("problems.other.count=3", "addresses no problems"), ("summary.of=first", "first is no eval stage"),
    ("problems.held.cuont=3", "cuont"),
  ])
  func whatAddressesNothingIsRefused(override: String, message: String) throws {
    let outcome = try run("p.yaml", "--set", override)
    #expect(outcome.status == 78 && outcome.errors.contains(message), "\(outcome.errors)")
    #expect(!FileManager.default.fileExists(atPath: program.file("p")))
  }

  /// Memory at the worst stage, and time in all, before anything is there.
  @Test func aPipelineIsPlanned() throws {
    let outcome = try program.run("plan", "p.yaml", "--json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let plan = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    let stages = try #require(plan["stages"] as? [[String: Any]])
    #expect(stages.map { $0["name"] as? String } == ["first", "second", "last"])
    let peaks = try stages.map { try #require($0["peak_bytes"] as? Int) }
    #expect(plan["peak_bytes"] as? Int == peaks.max() && plan["worst_stage"] is String)
    let seconds = try stages.map { try #require($0["seconds"] as? Double) }
    #expect(seconds.allSatisfy { $0 > 0 })
    #expect(abs(try #require(plan["seconds"] as? Double) - seconds.reduce(0, +)) < 1e-9)
    #expect(!FileManager.default.fileExists(atPath: program.file("p")))
  }
}
