import Checkpoint
import Foundation
import Support
import Testing

/// `reward.command`, `grader.command` and `tools` through the program, with the examples and with programs that fail.
@Suite(.serialized) struct ProgramRunTests {
  let program: TrainProgram

  init() throws {
    program = try TrainProgram()
    _ = try program.makeModel(contextLength: 1024)
    try program.write("p.jsonl", TrainProgram.doublings(1...6))
  }

  private static let example = TrainProgram.root + "/examples"

  private func script(_ body: String, name: String = "program.py") throws {
    try program.write(
      name,
      "import json, os, sys, time\nfor line in sys.stdin:\n    q = json.loads(line)\n"
        + body.split(separator: "\n").map { "    \($0)\n" }.joined())
  }

  private func configuration(_ lines: String...) throws {
    try program.write(
      "c.yaml",
      """
      model: model.h5
      data: p.jsonl
      samples_per_prompt: 1
      sampling: {max_tokens: 10, tools: none}

      """ + lines.map { $0 + "\n" }.joined())
  }

  // MARK: - Faults

  @Test(arguments: [
    ("sys.exit(4)", "ended instead of answering: exit status 4"), ("print('x')", "wrote no JSON object: \"x\""),
    ("time.sleep(1000)", "took more than 20.0 s; raise reward.command_time_limit"),
    ("print('{\"reward\": NaN}')", "NaN is no JSON"), ("print('{\"reward\": 1e999}')", "wrote no JSON object"),
    ("print('{\"reward\": \"1\"}')", "reward must be a number"), ("print('{}')", "reward must be there"),
    ("print('{\"reward\": 1, \"part\": {}}')", "unknown key part"),
    ("print('{\"reward\": 1, \"parts\": {\"a\": null}}')", "parts.a must be a finite number"),
  ]) func aRewardThatFailsStopsTheRun(body: String, part: String) throws {
    try script(body)
    try configuration("reward: {command: [python3, program.py], command_time_limit: 20}")
    let outcome = try program.run("eval", "c.yaml", "--set", "run=./run")
    #expect(outcome.status == 78, "\(outcome.errors)")
    #expect(outcome.errors.contains("reward.command: python3 program.py: problem p1, sample 0: "), "\(outcome.errors)")
    #expect(outcome.errors.contains(part), "\(outcome.errors)")
  }

  @Test func aProgramThatIsNotThereIsFoundByCheck() throws {
    for command in ["nothing-here", "./none.sh"] {
      try configuration("stage: eval", "grader: {command: [\(command)]}")
      let checked = try program.run("check", "c.yaml")
      #expect(checked.status == 78 && checked.errors.contains("grader.command: \(command)"), "\(checked.errors)")
    }
    try configuration("stage: eval", "tools: nowhere.yaml")
    let unused = try program.run("check", "c.yaml")
    #expect(unused.status == 78 && unused.errors.contains("tools: does nothing in this eval"), "\(unused.errors)")
    try configuration("stage: eval", "reward: {command_weight: 2}")
    let alone = try program.run("check", "c.yaml")
    #expect(alone.errors.contains("reward.command_weight: does nothing"), "\(alone.errors)")
  }

  // MARK: - Examples

  /// The grader's verdicts, by `eval --regrade` over episodes whose answers are known.
  @Test func theExamplesGraderJudgesAgain() throws {
    try configuration()
    #expect(try program.run("eval", "c.yaml", "--set", "run=./first").status == 0)
    var lines = try program.lines("first/episodes/eval.jsonl")
    for (place, answer) in ["2", "8", "5", "16", "11", "24"].enumerated() { lines[place]["answer"] = answer }
    try program.write(
      "given.jsonl",
      lines.map { String(decoding: try JSONSerialization.data(withJSONObject: $0), as: UTF8.self) + "\n" }.joined())
    func verdicts(_ lines: String...) throws -> [String] {
      try configuration(lines.joined(separator: "\n"))
      let outcome = try program.run("eval", "c.yaml", "--set", "run=./again", "--regrade", "given.jsonl")
      #expect(outcome.status == 0, "\(outcome.errors)")
      defer { try? FileManager.default.removeItem(atPath: program.file("again")) }
      return try program.lines("again/episodes/eval.jsonl").map { try #require($0["verdict"] as? String) }
    }
    #expect(try verdicts("seed: 0") == ["correct", "incorrect", "incorrect", "incorrect", "incorrect", "incorrect"])
    let own = try verdicts("grader: {command: [python3, \(Self.example)/reward/grader.py]}")
    #expect(own == ["correct", "correct", "incorrect", "correct", "incorrect", "correct"])
  }

  /// With everything right by the grader the example's reward counts, and its parts are in the episode.
  @Test func theExamplesRewardIsInTheEpisode() throws {
    try script("print(json.dumps({'correct': q['verdict'] is None}))", name: "yes.py")
    try configuration(
      "grader: {command: [python3, yes.py]}", "prompt: {hint: Because so since.}",
      "reward: {command: [python3, \(Self.example)/reward/reward.py], command_weight: 4}")
    let outcome = try program.run("eval", "c.yaml", "--set", "run=./run")
    #expect(outcome.status == 0, "\(outcome.errors)")
    for line in try program.lines("run/episodes/eval.jsonl") {
      let reward = try #require(line["reward"] as? [String: Any])
      let parts = try #require(reward["parts"] as? [String: Double])
      #expect(Set(parts.keys) == ["reasons", "words"] && line["verdict"] as? String == "correct")
      let added = try #require(reward["command"] as? Double)
      #expect(added == 4 * min(0.5, 0.1 * (parts["reasons"] ?? .nan)))
      #expect(reward["total"] as? Double == 1 + added)
    }
  }

  /// The SQL example in an episode: the hint is the model's call, the database answers.
  @Test func theExamplesToolAnswers() throws {
    let manager = FileManager.default
    try manager.copyItem(atPath: Self.example + "/sql", toPath: program.file("sql"))
    let made = Process()
    made.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    made.arguments = ["python3", program.file("sql/make_database.py")]
    try made.run()
    made.waitUntilExit()
    func call(_ query: String) -> String {
      #"<tool_call>\n{\"name\": \"sql\", \"arguments\": {\"query\": \"\#(query)\"}}\n</tool_call>\n"#
    }
    let hint = call("SELECT sum(price) FROM purchase") + call("DROP TABLE purchase")
    try program.write(
      "sql.yaml",
      """
      stage: eval
      model: model.h5
      data: sql/problems.jsonl
      tools: sql/tools.yaml
      samples_per_prompt: 1
      sampling: {max_tokens: 500, tools: tool_call, max_calls: 2}
      prompt: {template: none, hint: "\(hint)"}

      """)
    #expect(try program.run("check", "sql.yaml", Self.example + "/sql/rl.yaml").status == 0)
    let outcome = try program.run("eval", "sql.yaml", "--set", "run=./run")
    #expect(outcome.status == 0 && outcome.errors.contains("does not show tools"), "\(outcome.errors)")
    let lines = try program.lines("run/episodes/eval.jsonl")
    #expect(lines.count == 4)
    for line in lines {
      let calls = try #require(line["calls"] as? [[String: Any]])
      #expect(calls.map { $0["tool"] as? String } == ["sql", "sql"])
      #expect(calls.first?["output"] as? String == "sum(price)\n740\n")
      #expect((calls.last?["output"] as? String)?.contains("readonly database") == true)
      #expect(calls.map { $0["status"] as? String } == ["ok", "error"])
    }
    // Another database is another run.
    try program.write("sql/shop.db", "")
    let resumed = try program.run("eval", "run", "--resume")
    #expect(resumed.status == 78 && resumed.errors.contains("tools: "), "\(resumed.errors)")
  }

  // MARK: - Resuming

  private func train(_ run: String) throws -> [String] {
    try program.write(
      "rl.yaml",
      """
      stage: rl
      model: model.h5
      data: p.jsonl
      steps: 3
      save_every: 1
      prompts_per_step: 2
      samples_per_prompt: 4
      update_batch: 8
      sampling: {max_tokens: 12, tools: none}
      reward: {command: [python3, program.py]}
      optimizer: {learning_rate: 1.0e-3}

      """)
    return ["rl", "rl.yaml", "--threads", "1", "--set", "run=./\(run)"]
  }

  /// Runs until a reply of the second step is in the journal, then kills.
  private func kill(_ arguments: [String], run: String) throws {
    let log = program.file("\(run)/journal/episodes-1.log")
    let killed = try program.start(arguments)
    while killed.isRunning,
      (try? Data(contentsOf: URL(fileURLWithPath: log)))?.range(of: Data("\"judgement\"".utf8)) == nil
    { usleep(2000) }
    Glibc.kill(killed.processIdentifier, SIGKILL)
    #expect(try program.end(killed).status == SIGKILL)
  }

  @Test func aKilledRunEndsInTheSameBits() throws {
    try script("time.sleep(0.03)\nprint(json.dumps({'reward': sum(q['response'].encode()) % 7 / 7}))")
    #expect(try program.end(program.start(train("alone"))).status == 0)
    try kill(train("killed"), run: "killed")
    let resumed = try program.end(program.start(train("killed") + ["--resume"]))
    #expect(resumed.status == 0, "\(resumed.errors)")
    let hashes = try ["alone", "killed"].map { run in
      try program.lines(run + "/metrics.jsonl").map { try #require($0["state_hash"] as? String) }
    }
    #expect(hashes[0].count == 3 && hashes[0] == hashes[1] && Set(hashes[0]).count == 3)
    let weights = try ["alone", "killed"].map { weightsHash(try ModelFile.read(program.file($0 + "/model.h5")).model) }
    #expect(weights[0] == weights[1])
    // The program counts by its content.
    try script("print(json.dumps({'reward': 0}))")
    let changed = try program.run("rl", "killed", "--resume", "--set", "steps=4")
    #expect(changed.status == 78 && changed.errors.contains("reward.command: "), "\(changed.errors)")
  }

  /// Replies that were journaled are taken from there: this program answers otherwise each time.
  @Test func aJournaledReplyIsNotAskedForAgain() throws {
    try script("time.sleep(0.03)\nprint(json.dumps({'reward': int.from_bytes(os.urandom(4), 'big')}))")
    try kill(train("run"), run: "run")
    let journal = try Journal(path: program.file("run/journal/episodes-1.log"))
    let records = try journal.records.compactMap { try JSONSerialization.jsonObject(with: $0) as? [String: Any] }
    journal.close()
    let known = records.compactMap { (($0["judgement"] as? [String: Any])?["reward"] as? [String: Any])?["reward"] }
    #expect(try program.end(program.start(train("run") + ["--resume"])).status == 0)
    let found = try program.lines("run/episodes/step-00000002.jsonl").map { line in
      try #require((line["reward"] as? [String: Any])?["command"] as? Double)
    }
    #expect(!known.isEmpty && known.count <= 8)
    #expect(known.allSatisfy { value in (value as? Double).map(found.contains) == true })
  }
}
