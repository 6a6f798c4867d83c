import Checkpoint
import Foundation
import Support
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
      "samples_per_prompt: 1",
    ]
    let own = ["hint": ["prompts_per_step: 8", "hint: {count: 2}"], "rl": ["prompts_per_step: 8"]]
    try program.write("\(stage).yaml", (settings + own[stage, default: []]).joined(separator: "\n") + "\n")
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

    #expect(try mark(log) < 24)
    let resumed = try program.end(program.start(arguments(stage, run: "killed") + ["--resume"]))
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(!FileManager.default.fileExists(atPath: log))
    if stage == "eval" {
      let found = try episodes("killed/" + result)
      #expect(found.count { $0["problem"] as? String == Self.marking } == 1)
      let same = try zip(found, episodes("alone/" + result)).count { $0 == $1 }
      #expect(found.count == 24 && same == 23)
    } else {
      let equal = try episodes("killed/" + result) == episodes("alone/" + result)
      #expect(try equal && !program.lines("alone/" + result).isEmpty)
      #expect(try episodes("killed/data.jsonl").count == 2)
    }
  }

  private static let marking = "taken from the journal"

  /// Marks an episode that had ended: the mark is there at the end only if that episode is taken from the journal.
  /// - Returns: how many had ended.
  private func mark(_ log: String) throws -> Int {
    let journal = try Journal(path: log)
    defer { journal.close() }
    let records = try journal.records.compactMap { try JSONSerialization.jsonObject(with: $0) as? [String: Any] }
    var marked = try #require(records.first { $0["episode"] != nil })
    var episode = try #require(marked["episode"] as? [String: Any])
    episode["problem"] = Self.marking
    marked["episode"] = episode
    try journal.append(JSONSerialization.data(withJSONObject: marked))
    return records.count { $0["episode"] != nil }
  }

  /// Runs a stage until an episode of its journal's `step` has ended, kills it, and marks the episode.
  private func stop(_ arguments: [String], step: Int) throws {
    let log = program.file("run/journal/\(arguments[0] == "eval" ? "eval" : "episodes")-\(step).log")
    let killed = try program.start(arguments)
    let ended = Data("\"episode\"".utf8)
    while killed.isRunning, (try? Data(contentsOf: URL(fileURLWithPath: log)))?.range(of: ended) == nil {
      usleep(2000)
    }
    kill(killed.processIdentifier, SIGKILL)
    #expect(try program.end(killed).status == SIGKILL)
    _ = try mark(log)
  }

  /// The demo's base in `m.h5`; `scaled` makes its last norm a little larger.
  private func copyBase(scaled: Bool = false) throws {
    let base = try ModelFile.read(TrainProgram.root + "/configs/demo/base.h5")
    if scaled, let norm = base.model.table["model.norm.weight"] {
      for index in norm.range { base.model.weights.pointer[index] *= 1.01 }
    }
    try ModelFile.write(base.model, files: base.files, to: program.file("m.h5"))
  }

  enum Change: String, CaseIterable {
    case nothing, weights, gold
    case limit = "interpreter.time_limit=2.5"
    case temperature = "sampling.temperature=0.5"
    case model = "model=model.h5"
  }

  /// An evaluation goes on as what it is: what was sampled counts, and other weights, data or settings make another
  /// run.
  @Test(arguments: Change.allCases) func anEvaluationGoesOnAsItself(_ change: Change) throws {
    try copyBase()
    _ = try program.makeModel(contextLength: 512)
    let arguments = try arguments("eval", run: "run") + ["--set", "model=m.h5"]
    try stop(arguments, step: 0)
    switch change {
    case .weights: try copyBase(scaled: true)
    case .gold:
      let text = try String(contentsOfFile: program.file("p.jsonl"), encoding: .utf8)
      try program.write("p.jsonl", text.replacing("\"gt_answer\": \"", with: "\"gt_answer\": \"1"))
    case .nothing, .limit, .temperature, .model: break
    }
    let other = change.rawValue.contains("=") ? ["--set", change.rawValue] : []
    let resumed = try program.end(program.start(arguments + ["--resume"] + other))
    guard change == .nothing else {
      let key = [.weights: "model", .gold: "data"][change] ?? String(change.rawValue.prefix { $0 != "=" })
      #expect(resumed.status == 78 && resumed.errors.contains("\(key): "), "\(resumed.errors)")
      return
    }
    #expect(resumed.status == 0, "\(resumed.errors)")
    let found = try episodes("run/episodes/eval.jsonl")
    #expect(found.count == 24 && found.count { $0["problem"] as? String == Self.marking } == 1)
  }

  /// In rl the weights change: a step's episodes count for those that the steps before it have made. With the hint some
  /// responses are right and some are not, so that there is something to learn.
  @Test(arguments: [
    (step: 0, change: ""), (step: 1, change: ""), (step: 0, change: "interpreter.time_limit=2.5"),
    (step: 0, change: "interpreter.packages=[fractions]"), (step: 0, change: "interpreter.tier=T2"),
    (step: 1, change: "optimizer.learning_rate=2.0e-3"),
  ]) func onlyTheSameStateTakesAStepsEpisodes(_ step: Int, _ change: String) throws {
    try copyBase()
    let settings = [
      "model=m.h5", "samples_per_prompt=4", "update_batch=32", "steps=2", "optimizer.learning_rate=1.0e-3",
      "save_every=\(change.isEmpty ? 1 : 0)",
      "prompt.hint=Let us use python code to solve this problem.", "sampling.temperature=1.0",
    ]
    let arguments = try arguments("rl", run: "run") + settings.flatMap { ["--set", $0] }
    try stop(arguments, step: step)
    let other = change.contains("=") ? ["--set", change] : []
    let resumed = try program.end(program.start(arguments + ["--resume"] + other))
    #expect(resumed.status == 0, "\(resumed.errors)")
    let found = try episodes("run/episodes/step-0000000\(step + 1).jsonl")
    #expect(found.count == 32)
    #expect(found.count { $0["problem"] as? String == Self.marking } == (change.isEmpty ? 1 : 0))
  }
}
