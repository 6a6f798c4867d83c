import Checkpoint
import Foundation
import Support
import Testing

@testable import Rollout

/// `task.command` through the program: what its answers do, how it fails, and that nothing is asked twice.
@Suite(.serialized) struct TaskRunTests {
  let program: TrainProgram

  init() throws {
    program = try TrainProgram()
    _ = try program.makeModel(contextLength: 1024)
  }

  /// A task of sums. `problem` and `score` may replace its answers; `nonce` is what stands in the file `nonce` when the
  /// program starts.
  private func script(problem: String = "pass", score: String = "pass") throws {
    func indented(_ text: String) -> String { text.split(separator: "\n").map { "        \($0)\n" }.joined() }
    try program.write(
      "task.py",
      """
      import json, os, random, sys, time
      place = os.path.dirname(os.path.abspath(__file__))
      nonce = int(open(place + '/nonce').read()) if os.path.exists(place + '/nonce') else 0
      for line in sys.stdin:
          q = json.loads(line)
          i = q['index']
          if q['op'] == 'problem':
              reply = {'id': 't%d' % i, 'problem': 'What is %d + %d?' % (i, i), 'answer': str(2 * i), 'scored': True}
      \(indented(problem))
          else:
              reply = {'score': len(q['response']) % 5 / 4, 'parts': {'nonce': nonce}}
      \(indented(score))
          print(json.dumps(reply))

      """)
  }

  private func configuration(_ stage: String = "eval", _ lines: String...) throws {
    try program.write(
      "c.yaml",
      """
      stage: \(stage)
      model: model.h5
      samples_per_prompt: 2
      sampling: {max_tokens: 10, tools: none}
      prompt: {instruction: ""}

      """ + lines.map { $0 + "\n" }.joined())
  }

  private static let four = "task: {command: [python3, task.py], count: 4, time_limit: 20}"

  // MARK: - What it does

  @Test func scoresAreVerdictAndReward() throws {
    try script(
      score: """
        if i == 0: reply['score'] = 0.5
        if i == 1: reply['correct'] = True
        if i == 2: reply['correct'] = None
        if i == 3: reply = {'score': 1}
        """)
    try configuration("eval", Self.four, "reward: {accuracy: 2}")
    let outcome = try program.run("eval", "c.yaml", "--set", "run=./run")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let episodes = try program.lines("run/episodes/eval.jsonl")
    #expect(episodes.map { $0["id"] as? String } == ["t0", "t0", "t1", "t1", "t2", "t2", "t3", "t3"])
    let known = ["t0": "incorrect", "t1": "correct", "t2": "ungradable", "t3": "correct"]
    for episode in episodes {
      let id = try #require(episode["id"] as? String)
      let reward = try #require(episode["reward"] as? [String: Any])
      let verdict = try #require(episode["verdict"] as? String)
      #expect(verdict == known[id])
      guard id != "t2" else {
        #expect(reward["total"] == nil && reward["parts"] == nil)
        continue
      }
      let total = try #require(reward["total"] as? Double)
      if id == "t3" {
        #expect(total == 2)
      } else {
        #expect([0, 0.5, 1, 1.5, 2].contains(total) && reward["accuracy"] as? Double == total)
        #expect(reward["parts"] as? [String: Double] == ["nonce": 0])
        #expect(id != "t0" || total == 1)
      }
    }
    let tape = try program.lines("run/task.jsonl")
    #expect(tape.map { $0["index"] as? Int } == [0, 1, 2, 3] && tape.allSatisfy { $0["scored"] as? Bool == true })
    #expect(tape.map { $0["gt_answer"] as? String } == ["0", "2", "4", "6"])
  }

  /// Without `scored` the answers are compared as usual; `data` comes first, and the program may not repeat its ids.
  @Test func aTaskStandsBesideDataAndNeedNotScore() throws {
    try script(problem: "del reply['scored']", score: "sys.exit('asked for a score')")
    try program.write("p.jsonl", "{\"id\": \"own\", \"problem\": \"What is 1?\", \"gt_answer\": \"1\"}\n")
    try configuration("eval", Self.four, "data: p.jsonl")
    #expect(try program.run("eval", "c.yaml", "--set", "run=./run").status == 0)
    #expect(
      try program.lines("run/episodes/eval.jsonl").map { $0["id"] as? String }
        == ["own", "own", "t0", "t0", "t1", "t1", "t2", "t2", "t3", "t3"])
    try program.write("p.jsonl", "{\"id\": \"t2\", \"problem\": \"What is 1?\", \"gt_answer\": \"1\"}\n")
    let twice = try program.run("eval", "c.yaml", "--set", "run=./twice")
    #expect(twice.status == 78 && twice.errors.contains("problem 2: its id, t2, is also that of"), "\(twice.errors)")
  }

  /// The example of docs/extending.md, whose problems have many right answers.
  @Test func theExampleScoresItself() throws {
    let example = TrainProgram.root + "/examples/tasks/goldbach.py"
    try configuration("eval", "task: {command: [python3, \(example)], count: 2}")
    let outcome = try program.run("eval", "c.yaml", "--set", "run=./run")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try program.lines("run/task.jsonl").map { $0["gt_answer"] as? String } == ["", ""])
    let scorer = TaskProgram(
      ProgramCommand(key: "task.command", words: ["python3", example], timeLimit: 60), slowRemedy: "", remedy: "")
    let scores = try ["3 and 97", "11, 89", "50 + 50", "1 + 99", "3", nil].map { answer in
      try scorer.score(0, response: .object([("answer", answer.map { JSONValue($0) } ?? .null)]), what: "").score
    }
    #expect(scores == [1, 1, 0, 0, 0, 0])
  }

  @Test func problemsAreHeldOut() throws {
    try script()
    try configuration(
      "rl", "task: {command: [python3, task.py], count: 4, eval_count: 3}", "steps: 2", "eval_every: 1",
      "prompts_per_step: 2", "update_batch: 4", "save_every: 1")
    let outcome = try program.run("rl", "c.yaml", "--set", "run=./run")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(Set(try program.lines("run/episodes/eval.jsonl").map { $0["id"] as? String }) == ["t4", "t5", "t6"])
    let trained = try (1...2).flatMap { try program.lines("run/episodes/step-0000000\($0).jsonl") }
    #expect(Set(trained.compactMap { $0["id"] as? String }).isSubset(of: ["t0", "t1", "t2", "t3"]))
    #expect(try program.lines("run/metrics.jsonl").allSatisfy { $0["eval_accuracy"] is Double })
  }

  /// Its second group has ids with a number behind, by which the program does not know it.
  @Test func aProblemThatComesTwiceInAStepIsScored() throws {
    try script()
    try configuration(
      "rl", "task: {command: [python3, task.py], count: 1}", "steps: 1", "prompts_per_step: 2", "update_batch: 4")
    let outcome = try program.run("rl", "c.yaml", "--set", "run=./run")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let episodes = try program.lines("run/episodes/step-00000001.jsonl")
    #expect(Set(episodes.compactMap { $0["id"] as? String }) == ["t0", "t0#2"])
    for episode in episodes {
      #expect((episode["reward"] as? [String: Any])?["parts"] as? [String: Double] == ["nonce": 0])
    }
  }

  /// `diagnose` asks the task too, and lets it score.
  @Test func aTaskIsDiagnosed() throws {
    try script(score: "reply['score'] = 1")
    try configuration("rl", "task: {command: [python3, task.py], count: 3}", "steps: 1")
    let outcome = try program.run("diagnose", "c.yaml", "--output", "e.jsonl")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try program.lines("e.jsonl").map { $0["verdict"] as? String } == Array(repeating: "correct", count: 6))
  }

  // MARK: - Faults

  /// - Parameters: what happens on problem 2, and what the message says.
  @Test(arguments: [
    ("sys.exit(4)", "ended instead of answering: exit status 4; go on with --resume"),
    ("time.sleep(1000)", "took more than 20.0 s; raise task.time_limit and go on with --resume"),
    ("print('loading weights')", "wrote"), ("reply = [1]", "wrote no JSON object"),
    ("del reply['problem']", "a problem has an id and a problem"),
    ("del reply['answer'], reply['scored']", "a problem has an answer, unless the program scores"),
    ("reply['scored'] = 'yes'", "scored must be true or false"), ("reply['gold'] = '1'", "unknown key gold"),
    ("reply['id'] = 't1'", "has the id of problem 1, t1"),
  ]) func aTaskThatGivesNoProblemStopsTheRun(body: String, part: String) throws {
    try script(problem: "if i == 2 and not nonce:\n    \(body)")
    try configuration("eval", Self.four)
    let outcome = try program.run("eval", "c.yaml", "--set", "run=./run")
    #expect(outcome.status == 78, "\(outcome.errors)")
    #expect(outcome.errors.contains("task.command: python3 task.py: problem 2: "), "\(outcome.errors)")
    #expect(outcome.errors.contains(part), "\(outcome.errors)")
    // Once it answers, the run goes on where it stopped.
    try program.write("nonce", "1")
    let resumed = try program.run("eval", "run", "--resume")
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(try program.lines("run/task.jsonl").count == 4)
  }

  @Test(arguments: [
    ("sys.exit('no more')", "exit status 1, no more"), ("print('loading')", "wrote"),
    ("reply = {}", "score must be there"),
    ("reply['score'] = '1'", "score must be a finite number"), ("reply['correct'] = 1", "correct must be true, false"),
    ("reply['parts'] = {'a': None}", "parts.a must be a finite number"), ("reply['sum'] = 1", "unknown key sum"),
  ]) func aTaskThatGivesNoScoreStopsTheRun(body: String, part: String) throws {
    try script(score: "if i == 2 and q['sample'] == 1 and not nonce:\n    \(body)")
    try configuration("eval", Self.four)
    let outcome = try program.run("eval", "c.yaml", "--set", "run=./run")
    #expect(outcome.status == 78, "\(outcome.errors)")
    #expect(outcome.errors.contains("task.command: python3 task.py: problem 2 (t2), sample 1: "), "\(outcome.errors)")
    #expect(outcome.errors.contains(part), "\(outcome.errors)")
    try program.write("nonce", "1")
    #expect(try program.run("eval", "run", "--resume").status == 0)
    // What was scored before is not asked again: five responses have the first program's mark.
    let marks = try program.lines("run/episodes/eval.jsonl").map {
      (($0["reward"] as? [String: Any])?["parts"] as? [String: Double])?["nonce"]
    }
    #expect(marks == [0, 0, 0, 0, 0, 1, 1, 1])
  }

  /// Somebody ends the program, or the kernel does, when memory runs out.
  @Test func aTaskThatIsKilledStopsTheRun() throws {
    try script(problem: "if i == 2 and not nonce: time.sleep(1000)")
    try configuration("eval", "task: {command: [python3, task.py], count: 4, time_limit: 500}")
    let running = try program.start(["eval", "c.yaml", "--set", "run=./run"])
    while running.isRunning,
      (try? Data(contentsOf: URL(fileURLWithPath: program.file("run/journal/task.log"))))?.range(of: Data("t1".utf8))
        == nil
    { usleep(2000) }
    let threads = "/proc/\(running.processIdentifier)/task"
    for thread in try FileManager.default.contentsOfDirectory(atPath: threads) {
      let children = try? String(contentsOfFile: "\(threads)/\(thread)/children", encoding: .utf8)
      for child in (children ?? "").split(separator: " ") { Glibc.kill(try #require(pid_t(child)), SIGKILL) }
    }
    let outcome = try program.end(running)
    #expect(outcome.status == 78, "\(outcome.errors)")
    #expect(
      outcome.errors.contains("task.command: python3 task.py: problem 2: ended instead of answering"),
      "\(outcome.errors)")
    try program.write("nonce", "1")
    #expect(try program.run("eval", "run", "--resume").status == 0)
  }

  /// Another answer to the same question is found at once.
  @Test(arguments: [
    ("reply['problem'] += str(random.random())", "pass", "problem 0: was answered in two ways"),
    ("pass", "reply['score'] = random.random()", "problem 0 (t0), sample 0: was answered in two ways"),
  ]) func aTaskThatLiesStopsTheRun(problem: String, score: String, part: String) throws {
    try script(problem: problem, score: score)
    try configuration("eval", Self.four)
    let outcome = try program.run("eval", "c.yaml", "--set", "run=./run")
    #expect(outcome.status == 78 && outcome.errors.contains(part), "\(outcome.errors)")
  }

  @Test func twoJudgesAreOneTooMany() throws {
    try script()
    try configuration("eval", Self.four, "grader: {command: [python3, task.py]}")
    let outcome = try program.run("eval", "c.yaml", "--set", "run=./run")
    #expect(outcome.status == 78 && outcome.errors.contains("and so would grader.command"), "\(outcome.errors)")
  }

  // MARK: - Resuming

  private func train(_ run: String) throws -> [String] {
    try configuration(
      "rl", "task: {command: [python3, task.py], count: 6, eval_count: 2}", "steps: 3", "save_every: 1",
      "prompts_per_step: 2", "samples_per_prompt: 4", "update_batch: 8", "optimizer: {learning_rate: 1.0e-3}")
    let text = try String(contentsOfFile: program.file("c.yaml"), encoding: .utf8)
    try program.write("c.yaml", text.replacing("samples_per_prompt: 2\n", with: ""))
    return ["rl", "c.yaml", "--threads", "1", "--set", "run=./\(run)"]
  }

  /// Runs until `mark` is in a file of the run, then kills.
  private func kill(_ arguments: [String], file: String, mark: String) throws {
    let killed = try program.start(arguments)
    while killed.isRunning,
      (try? Data(contentsOf: URL(fileURLWithPath: program.file(file))))?.range(of: Data(mark.utf8)) == nil
    { usleep(2000) }
    Glibc.kill(killed.processIdentifier, SIGKILL)
    #expect(try program.end(killed).status == SIGKILL)
  }

  /// Killed among its questions and among its scores, a run ends in the bits of one that was left alone.
  @Test func aKilledRunEndsInTheSameBits() throws {
    try script(problem: "time.sleep(0.05)", score: "time.sleep(0.02)")
    #expect(try program.end(program.start(train("alone"))).status == 0)
    try kill(train("killed"), file: "killed/journal/task.log", mark: "\"t3\"")
    try kill(train("killed") + ["--resume"], file: "killed/journal/episodes-1.log", mark: "\"judgement\"")
    let resumed = try program.end(program.start(train("killed") + ["--resume"]))
    #expect(resumed.status == 0, "\(resumed.errors)")
    let hashes = try ["alone", "killed"].map { run in
      try program.lines(run + "/metrics.jsonl").map { try #require($0["state_hash"] as? String) }
    }
    #expect(hashes[0].count == 3 && hashes[0] == hashes[1] && Set(hashes[0]).count == 3)
    let tapes = try ["alone", "killed"].map { try program.lines($0 + "/task.jsonl").description }
    #expect(tapes[0] == tapes[1])
    // The program counts by its content, and the number of problems is the run's.
    try script(score: "reply['score'] = 0")
    let changed = try program.run("rl", "killed", "--resume", "--set", "steps=4")
    #expect(changed.status == 78 && changed.errors.contains("task.command: "), "\(changed.errors)")
    let more = try program.run("rl", "killed", "--resume", "--set", "steps=4", "--set", "task.count=7")
    #expect(more.status == 78 && more.errors.contains("task.count: "), "\(more.errors)")
  }

  /// Problems that came before a kill stay: their texts bear the mark of the program that gave them.
  @Test func aProblemIsNotAskedForAgain() throws {
    try script(problem: "time.sleep(0.05)\nreply['problem'] += ' (%d)' % nonce")
    try kill(train("run"), file: "run/journal/task.log", mark: "\"t3\"")
    try program.write("nonce", "1")
    #expect(try program.end(program.start(train("run") + ["--resume"])).status == 0)
    let marks = try program.lines("run/task.jsonl").map { try #require($0["problem"] as? String).hasSuffix("(1)") }
    #expect(marks.count == 8 && marks.prefix(4) == [false, false, false, false] && marks.last == true)
    #expect(marks == marks.sorted { !$0 && $1 }, "\(marks)")
    // A branch takes the problems along.
    #expect(try program.run("branch", "./run", "./other", "--step", "2").status == 0)
    let tapes = try ["run", "other"].map {
      try Data(contentsOf: URL(fileURLWithPath: program.file($0 + "/task.jsonl")))
    }
    #expect(tapes[0] == tapes[1])
  }
}
