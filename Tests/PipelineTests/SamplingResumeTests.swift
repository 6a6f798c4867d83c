import Checkpoint
import Foundation
import Testing

/// Stages that only sample: what was sampled before a kill is not sampled again, and the outcome is the same.
@Suite(.serialized) struct SamplingResumeTests {
  let program: TrainProgram

  init() throws {
    program = try TrainProgram()
    let made = try program.run("problems", "--seed", "5", "--count", "24", "--output", "p.jsonl")
    #expect(made.status == 0, "\(made.errors)")
  }

  private func arguments(_ stage: String, run: String) throws -> [String] {
    let settings = [
      "model: \(TrainProgram.root)/configs/demo/base.h5", "data: p.jsonl", "prompt: {template: none}", "slots: 4",
      "sampling: {temperature: 0.8, max_tokens: 160, max_calls: 2}", "interpreter: {packages: [], time_limit: 3}",
      "samples_per_prompt: 1", "prompts_per_step: 8", "hint: {count: 2}",
    ]
    try program.write("\(stage).yaml", settings.joined(separator: "\n") + "\n")
    return [stage, "\(stage).yaml", "--set", "run=./\(run)"]
  }

  /// Episodes without the times of their calls.
  private func episodes(_ name: String) throws -> [NSDictionary] {
    try program.lines(name).map { line in
      var line = line
      line["calls"] = (line["calls"] as? [[String: Any]])?.map { $0.filter { $0.key != "ms" } }
      return line as NSDictionary
    }
  }

  @Test(arguments: [("eval", "episodes/eval.jsonl"), ("hint", "hints.jsonl")])
  func aKilledStageGoesOn(_ stage: String, _ result: String) throws {
    let alone = try program.end(program.start(arguments(stage, run: "alone")))
    #expect(alone.status == 0, "\(alone.errors)")
    let log = program.file("killed/journal/\(stage == "eval" ? "eval" : "episodes")-0.log")
    let killed = try program.start(arguments(stage, run: "killed"))
    while killed.isRunning, ((try? Data(contentsOf: URL(fileURLWithPath: log)))?.count ?? 0) < 8000 { usleep(2000) }
    kill(killed.processIdentifier, SIGKILL)
    #expect(try program.end(killed).status == SIGKILL)
    #expect(!FileManager.default.fileExists(atPath: program.file("killed/" + result)) || stage == "hint")

    // A mark on an episode that had ended: it is there at the end only if that episode is taken from the journal.
    let journal = try Journal(path: log)
    let records = try journal.records.compactMap { try JSONSerialization.jsonObject(with: $0) as? [String: Any] }
    var marked = try #require(records.first { $0["episode"] != nil })
    var episode = try #require(marked["episode"] as? [String: Any])
    #expect(records.count { $0["episode"] != nil } < 24)
    episode["problem"] = "taken from the journal"
    marked["episode"] = episode
    try journal.append(JSONSerialization.data(withJSONObject: marked))
    journal.close()

    let resumed = try program.end(program.start(arguments(stage, run: "killed") + ["--resume"]))
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(!FileManager.default.fileExists(atPath: log))
    if stage == "eval" {
      let found = try episodes("killed/" + result)
      #expect(found.count { $0["problem"] as? String == "taken from the journal" } == 1)
      let same = try zip(found, episodes("alone/" + result)).count { $0 == $1 }
      #expect(found.count == 24 && same == 23)
    } else {
      let equal = try episodes("killed/" + result) == episodes("alone/" + result)
      #expect(try equal && !program.lines("alone/" + result).isEmpty)
      #expect(try episodes("killed/data.jsonl").count == 2)
    }
  }

  /// Other settings and other models ask for other episodes.
  @Test(arguments: ["sampling.temperature=0.5", "model=model.h5"])
  func otherSettingsAreSampledAnew(_ setting: String) throws {
    _ = try program.makeModel(contextLength: 512)
    let killed = try program.start(arguments("eval", run: "killed"))
    let log = program.file("killed/journal/eval-0.log")
    while killed.isRunning, ((try? Data(contentsOf: URL(fileURLWithPath: log)))?.count ?? 0) < 8000 { usleep(2000) }
    kill(killed.processIdentifier, SIGKILL)
    #expect(try program.end(killed).status == SIGKILL)
    let other = ["--set", setting]
    let resumed = try program.end(program.start(arguments("eval", run: "killed") + ["--resume"] + other))
    let alone = try program.end(program.start(arguments("eval", run: "alone") + other))
    #expect(resumed.status == 0 && alone.status == 0, "\(resumed.errors) \(alone.errors)")
    let equal = try episodes("killed/episodes/eval.jsonl") == episodes("alone/episodes/eval.jsonl")
    #expect(equal)
  }
}
