import Foundation
import PPO
import Rollout
import Support
import Tensor
import Testing
@testable import Reports

/// Ablations that compare what they say they compare.
@Suite(.serialized) struct AblationTests {
  let program: TrainProgram

  init() throws {
    program = try TrainProgram()
    let problems = try program.run(
      "problems", "--seed", "3", "--count", "12", "--family", "multiplication", "--output", "held.jsonl")
    #expect(problems.status == 0)
    try program.write(
      "examples.jsonl",
      (1...8).map { "{\"prompt\": \"What is \($0) + \($0)?\", \"response\": \"\(2 * $0)\"}\n" }.joined())
    try program.write(
      "pipeline.yaml",
      """
      run: ./unused
      problems:
        - {file: train.jsonl, seed: 1, count: 4, split: any, families: [multiplication]}
      defaults:
        model: \(TrainProgram.root)/configs/demo/base.h5
        matmul: exact
        prompt: {template: none}
        sampling: {temperature: 1.0, max_tokens: 48, tools: none}
      stages:
        - name: tune
          stage: sft
          data: examples.jsonl
          steps: 2
          update_batch: 4
          optimizer: {learning_rate: 1.0e-3}
        - name: tune-more
          stage: rft
          model: "@tune"
          data: "@train.jsonl"
          samples_per_prompt: 4
          rejection: {filter: correct}
          sampling: {max_tokens: 200}
          steps: 1
          optimizer: {learning_rate: 1.0e-4}
        - name: measured
          stage: eval
          model: "@tune"
          data: held.jsonl
          samples_per_prompt: 2
        - name: aside
          stage: eval
          model: "@tune"
          data: held.jsonl
          samples_per_prompt: 1

      """)
    // A toy that is right now and then would make it slow: the second stage runs where a test asks for it.
    let text = try String(contentsOfFile: program.file("pipeline.yaml"), encoding: .utf8)
    let short = text.replacing(try Regex("  - name: tune-more(.|\n)*?(?=  - name: measured)"), with: "")
    try program.write("short.yaml", short)
  }

  private func ablation(_ cases: [String], name: String = "ab", pipeline: String = "short", row: String = "measured")
    throws -> String
  {
    try program.write(
      name + ".yaml",
      """
      run: ./\(name)
      pipeline: \(pipeline).yaml
      row: \(row)
      seeds: [0, 1]
      cases:
      \(cases.map { "  - \($0)" }.joined(separator: "\n"))

      """)
  }

  private static let three = [
    "{name: base, set: []}", "{name: fast, set: [stages.tune.optimizer.learning_rate=0.01]}",
    "{name: long, set: [stages.t*.steps=3]}",
  ]

  private func ablate(_ arguments: String...) throws -> TrainProgram.Outcome {
    try program.end(program.start(["ablate"] + arguments + ["--threads", "1"]))
  }

  /// How often `tune` was trained and not only found finished.
  private func trainings(_ outcome: TrainProgram.Outcome) -> Int {
    outcome.errors.components(separatedBy: "8 examples, ").count - 1
  }

  private func table(_ name: String = "ab") throws -> [[String: Any]] {
    let data = try Data(contentsOf: URL(fileURLWithPath: program.file(name + "/ablation.json")))
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    return try #require(object["cases"] as? [[String: Any]])
  }

  private func hashes(_ name: String = "ab") throws -> [String] {
    try table(name).flatMap { row in
      try #require(row["by_seed"] as? [[String: Any]]).map { try #require($0["weights_hash"] as? String) }
    }
  }

  /// The figures are those of the episodes; cases differ in what they set, seeds differ, and the second time nothing is
  /// made again.
  @Test func theTableIsMadeOfTheEpisodes() throws {
    let file = try ablation(Self.three)
    let outcome = try ablate(file)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("tune: optimizer.learning_rate: 0.001 -> 0.01"), "\(outcome.errors)")
    #expect(outcome.errors.contains("tune: steps: 2 -> 3"))
    let rows = try table()
    #expect(rows.map { $0["name"] as? String } == ["base", "fast", "long"])
    #expect(try Set(hashes()).count == 6)
    var byCase: [[Evaluation]] = []
    for row in rows {
      let name = try #require(row["name"] as? String)
      let evaluations = try (0...1).map { seed in
        let episodes = try EpisodeFile.read(program.file("ab/\(name)/seed-\(seed)/measured/episodes/eval.jsonl"))
        #expect(episodes.count == 24)
        return Evaluation(episodes, labels: episodes.map { _ in [] })
      }
      byCase.append(evaluations)
      let tokens = try evaluations.map { try #require($0.value(.tokens)) }
      #expect(row["tokens"] as? Double == (tokens[0] + tokens[1]) / 2)
      #expect((row["by_seed"] as? [[String: Any]])?.map { $0["tokens"] as? Double } == tokens)
      let (low, high) = (try #require(row["tokens_low"] as? Double), try #require(row["tokens_high"] as? Double))
      #expect(low <= (tokens[0] + tokens[1]) / 2 && (tokens[0] + tokens[1]) / 2 <= high)
    }
    for (row, evaluations) in zip(rows, byCase).dropFirst() {
      let mine = SeededRatio(evaluations.map { $0.ratio(.tokens) })
      let first = SeededRatio(byCase[0].map { $0.ratio(.tokens) })
      let difference = try #require(mine.value) - #require(first.value)
      #expect(row["tokens_difference"] as? Double == difference)
      let interval = try #require(SeededBootstrap().difference(mine, first))
      let p = try #require(signFlipTest(zip(mine.byProblem, first.byProblem).map { $0 - $1 }))
      // Foundation reads a number to its last bit but one.
      func near(_ key: String, _ value: Double) throws -> Bool {
        abs(try #require(row[key] as? Double) - value) <= 1e-14 * abs(value)
      }
      #expect(try near("tokens_difference_low", interval.low) && near("tokens_difference_high", interval.high))
      #expect(try near("tokens_p", p))
    }
    #expect(rows[0]["tokens_difference"] is NSNull)
    let effect = try #require(rows[1]["effect"] as? [String: [String: [String: Double]]])
    #expect(effect == ["tune": ["optimizer.learning_rate": ["from": 0.001, "to": 0.01]]])
    let before = try hashes()
    let again = try ablate(file)
    #expect(again.status == 0 && !again.errors.contains("sft took"), "\(again.errors)")
    #expect(again.output == outcome.output)
    #expect(try hashes() == before)
    let picture = try String(contentsOfFile: program.file("ab/ablation.svg"), encoding: .utf8)
    #expect(picture.hasPrefix("<svg") && picture.contains(">long</text>"))
    let report = try program.run("report", "./ab")
    #expect(report.status == 0)
    let page = try String(contentsOfFile: program.file("ab/report.html"), encoding: .utf8)
    #expect(page.contains("against the first") && page.contains("learning_rate"))
  }

  @Test(arguments: [
    // Changes nothing: the value it has; a default that the stage overrides; a stage that is not there; a key nobody
    // has.
    ("{name: b, set: [stages.tune.steps=2]}", "changes no stage"),
    ("{name: b, set: [defaults.optimizer.learning_rate=0.5]}", "no stage takes it"),
    ("{name: b, set: [stages.tine.steps=3]}", "addresses no stage"),
    ("{name: b, set: [stages.tune.stepz=3]}", "unknown key stepz"),
    ("{name: b, set: [stages.aside.samples_per_prompt=3]}", "changes no stage that measured depends on"),
    ("{name: b, set: [rejection.per_problem=3]}", "no stage has the key"),
    ("{name: b, set: [defaults.seed=3]}", "belongs to the ablation"),
    ("{name: b, set: []}", "come to the same configuration"),
    ("{name: b, set: [], sets: []}", "unknown key cases[1].sets"),
    ("{name: a, set: [stages.tune.steps=3]}", "a name stands twice"),
  ])
  func whatComparesNothingIsRefused(item: String, message: String) throws {
    for command in ["check", "ablate"] {
      let outcome = try program.run(command, ablation(["{name: a, set: []}", item]))
      #expect(outcome.status == 78 && outcome.errors.contains(message), "\(outcome.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: program.file("ab")))
  }

  /// Cases that differ in the last stage share the one before it, and come out as if each had made its own.
  @Test func stagesInCommonAreMadeOnce() throws {
    let cases = ["{name: base, set: []}", "{name: cold, set: [stages.measured.sampling.temperature=0.5]}"]
    let file = try ablation(cases)
    let outcome = try ablate(file)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(trainings(outcome) == 2, "\(outcome.errors)")
    #expect(outcome.errors.contains("cold/seed-1/tune: taken over from base/seed-1"), "\(outcome.errors)")
    // What the row does not depend on is not made.
    #expect(!FileManager.default.fileExists(atPath: program.file("ab/base/seed-0/aside")))
    let alone = try ablate(ablation(cases, name: "alone"), "--only", "cold")
    #expect(alone.status == 0 && trainings(alone) == 2, "\(alone.errors)")
    for seed in 0...1 {
      let name = "/cold/seed-\(seed)/measured/episodes/eval.jsonl"
      let shared = try Data(contentsOf: URL(fileURLWithPath: program.file("ab" + name)))
      #expect(try shared == Data(contentsOf: URL(fileURLWithPath: program.file("alone" + name))))
    }
    #expect(try hashes()[2...] == hashes("alone")[0...].suffix(2))
    // A stage made with other values is not taken over.
    let other = try ablate(ablation(cases + ["{name: long, set: [stages.tune.steps=3]}"]))
    #expect(other.status == 0 && trainings(other) == 2, "\(other.errors)")
    #expect(try Set(hashes()).count == 4)
  }

  /// A case that no longer needs a stage is compared stage by stage with the pipeline, not place by place.
  @Test func effectsAreOfTheSameStage() throws {
    let base = "\(TrainProgram.root)/configs/demo/base.h5"
    let file = try ablation(["{name: base, set: []}", "{name: untuned, set: [stages.measured.model=\(base)]}"])
    let outcome = try program.run("check", file)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let lines = (outcome.output + outcome.errors).split(separator: "\n").drop { !$0.contains("case untuned") }
    #expect(lines.prefix { $0.hasPrefix("  ") || $0.contains("case untuned") }.count == 2, "\(lines)")
    #expect(lines.contains { $0.hasPrefix("  measured: model: ") }, "\(lines)")
  }

  @Test func equalCasesByOtherWordsAreRefused() throws {
    let outcome = try program.run(
      "check",
      ablation([
        "{name: a, set: [stages.tune.steps=3]}", "{name: b, set: [steps=3]}",
      ]))
    #expect(outcome.status == 78 && outcome.errors.contains("a and b come to the same"), "\(outcome.errors)")
    let row = try program.run("check", ablation(["{name: a, set: []}"], row: "nope"))
    #expect(row.status == 78 && row.errors.contains("nope is no eval stage"), "\(row.errors)")
  }

  /// A finished case counts for what it was made with: its values, its pipeline and its data.
  @Test func changedCasesAreSeen() throws {
    let file = try ablation(["{name: a, set: []}", "{name: b, set: [stages.tune.steps=3]}"])
    #expect(try ablate(file).status == 0)
    let before = try hashes()
    let changed = try ablate(ablation(["{name: a, set: []}", "{name: b, set: [stages.tune.steps=4]}"]))
    #expect(changed.status == 78 && changed.errors.contains("stages.tune.steps: 3 -> 4"), "\(changed.errors)")
    let anew = try ablate(ablation(["{name: a, set: []}", "{name: b, set: [stages.tune.steps=3]}"]), "--anew")
    #expect(anew.status == 0 && !anew.errors.contains("sft took"), "\(anew.errors)")
    let other = try ablate(ablation(["{name: a, set: []}", "{name: b, set: [stages.tune.steps=4]}"]), "--anew")
    #expect(other.status == 0, "\(other.errors)")
    #expect(try hashes()[0..<2] == before[0..<2] && Set(hashes()).isDisjoint(with: before[2...]))
    try program.write("examples.jsonl", "{\"prompt\": \"What is 9 + 2?\", \"response\": \"11\"}\n")
    let data = try ablate(file)
    #expect(data.status == 78 && data.errors.contains("was made with something else"), "\(data.errors)")
  }

  /// A case that fails is told of; the others are made and compared.
  @Test func oneFailureDoesNotEndTheRest() throws {
    let file = try ablation([
      "{name: broken, set: [stages.tune.data=missing.jsonl]}", "{name: base, set: []}",
      "{name: long, set: [stages.tune.steps=3]}",
    ])
    let outcome = try ablate(file)
    #expect(outcome.status == 74, "\(outcome.errors)")
    #expect(outcome.errors.contains("missing.jsonl") && outcome.output.contains("broken (failed)"), "\(outcome.output)")
    let rows = try table()
    #expect(rows.map { $0["status"] as? String } == ["failed", "finished", "finished"])
    #expect(rows[0]["tokens"] is NSNull && rows[2]["tokens"] is Double && rows[2]["tokens_difference"] is NSNull)
  }

  @Test func oneCaseAlone() throws {
    let file = try ablation(Self.three)
    let outcome = try ablate(file, "--only", "fast/seed-1")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(FileManager.default.fileExists(atPath: program.file("ab/fast/seed-1/measured/eval.json")))
    #expect(!FileManager.default.fileExists(atPath: program.file("ab/fast/seed-0")))
    #expect(!FileManager.default.fileExists(atPath: program.file("ab/base")))
    #expect(try table().map { $0["status"] as? String } == ["open", "partial", "open"])
    #expect(outcome.output.contains("fast (1 of 2 seeds)"))
    let none = try ablate(file, "--only", "slow")
    #expect(none.status == 78 && none.errors.contains("base, fast, long"), "\(none.errors)")
  }

  /// Two processes share the work, one is killed in the middle, and the bits are those of one alone.
  @Test func severalProcessesAndKills() throws {
    #expect(try ablate(ablation(Self.three, name: "alone")).status == 0)
    let file = try ablation(Self.three)
    let folders = [program.file("one"), program.file("two")]
    let others = try folders.map { folder -> Process in
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      let process = Process()
      process.executableURL = URL(fileURLWithPath: try TrainProgram.path())
      process.arguments = ["ablate", file, "--threads", "1"]
      process.currentDirectoryURL = URL(fileURLWithPath: program.folder.path)
      try Data().write(to: URL(fileURLWithPath: folder + "/err"))
      process.standardError = FileHandle(forWritingAtPath: folder + "/err")
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      return process
    }
    while others[0].isRunning, try !String(contentsOfFile: folders[0] + "/err", encoding: .utf8).contains("== sft") {
      usleep(2000)
    }
    kill(others[0].processIdentifier, SIGKILL)
    others.forEach { $0.waitUntilExit() }
    #expect(others[1].terminationStatus == 0)
    #expect(try hashes() == hashes("alone"))
    let texts = try folders.map { try String(contentsOfFile: $0 + "/err", encoding: .utf8) }
    #expect(texts[0].contains("== sft"), "\(texts)")
  }
}
