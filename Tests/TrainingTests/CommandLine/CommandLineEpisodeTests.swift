import Foundation
import Rollout
import Support
import Testing
import Tokenization

/// Looking at models and episodes by name, by the program itself.
@Suite(.serialized) struct CommandLineEpisodeTests {
  let program: TrainProgram

  init() throws { program = try TrainProgram() }

  private func run(_ arguments: [String]) throws -> TrainProgram.Outcome {
    try program.end(program.start(arguments))
  }

  private static let problem = "{\"id\": \"a\", \"problem\": \"What is 1 + 1?\", \"gt_answer\": \"2\"}\n"

  /// A finished run, `checkpoints/demo/tiny`, with episodes.
  private func makeRun() throws {
    _ = try program.makeModel(contextLength: 128)
    let stage = try program.makeStage()
    let made = try program.run("sft", stage, "--set", "run=checkpoints/demo/tiny")
    #expect(made.status == 0, "\(made.errors)")
    try program.write("p.jsonl", Self.problem)
    try FileManager.default.createDirectory(
      atPath: program.file("checkpoints/demo/tiny/episodes"), withIntermediateDirectories: true)
    let sampled = try program.run(
      "generate", "demo/tiny", "--input", "p.jsonl", "--output", "checkpoints/demo/tiny/episodes/eval.jsonl",
      "--tools", "none", "--max-tokens", "4", "--samples", "2")
    #expect(sampled.status == 0, "\(sampled.errors)")
    #expect(sampled.errors.contains("eval.jsonl: 2 responses to 1 problems, 0 correct, 2 cut off"), "\(sampled.errors)")
  }

  /// Of a run's episodes, and of responses that a configuration's stage would sample.
  @Test func whatCouldBeLearntIsShown() throws {
    try makeRun()
    let shown = try run(["diagnose", "demo/tiny"])
    #expect(shown.status == 0 && shown.output.contains("problems  1, 2 responses"), "\(shown.errors)")
    #expect(shown.output.contains("advice: no problem was solved") && shown.output.contains("cut off 2 (100 %)"))
    try program.write(
      "rl.yaml",
      "run: ./rl\nstage: rl\nmodel: demo/tiny\ndata: p.jsonl\nsteps: 1\nsampling: {tools: none, max_tokens: 4}\n")
    let sampled = try run([
      "diagnose", "rl.yaml", "--samples", "3", "--output", "e.jsonl", "--teaching", "t.jsonl", "--json",
    ])
    #expect(sampled.status == 0, "\(sampled.errors)")
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(sampled.output.utf8)) as? [String: Any])
    #expect(object["responses"] as? Int == 3 && object["problems"] as? Int == 1)
    #expect(try program.lines("e.jsonl").count == 3 && program.lines("t.jsonl").isEmpty)
    // The first step draws the same.
    #expect(try run(["rl", "rl.yaml", "--set", "samples_per_prompt=3", "--set", "prompts_per_step=1"]).status == 0)
    let drawn = try program.lines("rl/episodes/step-00000001.jsonl").map { $0["tokens"] as? [Int] }
    #expect(try drawn == program.lines("e.jsonl").map { $0["tokens"] as? [Int] })
    // With weights too, where the order is another.
    let more = try program.run("problems", "--seed", "2", "--count", "5", "--output", "q.jsonl")
    #expect(more.status == 0, "\(more.errors)")
    let weighted = ["--set", "data=[p.jsonl, q.jsonl]", "--set", "data_weights=[1, 9]"]
    let asked = try run(["diagnose", "rl.yaml", "--samples", "2", "--problems", "3", "--output", "w.jsonl"] + weighted)
    #expect(asked.status == 0, "\(asked.errors)")
    let step = ["--set", "samples_per_prompt=2", "--set", "prompts_per_step=3", "--set", "run=./weighted"]
    #expect(try run(["rl", "rl.yaml"] + step + weighted).status == 0)
    let first = try program.lines("weighted/episodes/step-00000001.jsonl").map { $0["tokens"] as? [Int] }
    #expect(try first.count == 6 && first == program.lines("w.jsonl").map { $0["tokens"] as? [Int] })
    for extra in [["demo/tiny", "--samples", "3"], ["rl.yaml", "--model", "demo/tiny"]] {
      #expect(try run(["diagnose"] + extra).status == 64)
    }
    #expect(try run(["diagnose", "rl.yaml", "--set", "stage=hint", "--set", "steps=0"]).status == 78)
  }

  /// Wherever a run, a model or episodes are asked for, the name under `checkpoints/` will do.
  @Test func namesResolveEverywhere() throws {
    try makeRun()
    try program.write(
      "eval.yaml", "run: ./e\nmodel: demo/tiny\ndata: p.jsonl\nsampling: {tools: none, max_tokens: 4}\n")
    try program.write(
      "rl.yaml", "run: ./r\nmodel: demo/tiny\ndata: p.jsonl\nsteps: 1\nsampling: {tools: none, max_tokens: 4}\n")
    let short = ["--tools", "none", "--max-tokens", "4"]
    let commands = [
      ["inspect", "demo/tiny", "--hash"], ["tokenize", "demo/tiny", "What"], ["ask", "demo/tiny", "What?"] + short,
      ["score", "demo/tiny", "--input", "demo/tiny", "--output", "scores"],
      ["generate", "demo/tiny", "--input", "p.jsonl", "--output", "g"] + short,
      ["analyze", "--input", "demo/tiny", "--output", "labels"], ["show", "demo/tiny"],
      ["analyze", "--input", "g", "--output", "labels", "--model", "demo/tiny"], ["report", "demo/tiny"],
      ["export", "demo/tiny", "folder"], ["eval", "eval.yaml"],
      ["eval", "eval.yaml", "--set", "run=./again", "--regrade", "demo/tiny"],
      ["rl", "rl.yaml", "--replay", "demo/tiny"], ["sft", "demo/tiny", "--resume"],
      ["sft", "demo/tiny", "--resume", "--from-step", "3", "--into", "./fork"],
      ["branch", "demo/tiny", "checkpoints/demo/new", "--step", "3"],
    ]
    for command in commands {
      let outcome = try run(command)
      #expect(outcome.status == 0, "\(command): \(outcome.errors)")
    }
    let missing = try run(["ask", "demo/tinny", "What?"])
    #expect(missing.status == 74 && missing.errors.contains("did you mean demo/tiny?"), "\(missing.errors)")
    // What lies there by that very path comes first.
    try FileManager.default.createDirectory(atPath: program.file("demo"), withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: program.file("model.h5"), toPath: program.file("demo/tiny"))
    let hashes = try ["demo/tiny", "model.h5", "checkpoints/demo/tiny"].map {
      try run(["inspect", $0, "--hash"]).output
    }
    #expect(hashes[0] == hashes[1] && hashes[0] != hashes[2])
  }

  @Test func nothingIsTooShortAName() throws {
    try program.write("c", "run: ./x\nsteps: 1\nmodel: m\ndata: d\n")
    #expect(try run(["check", "c", "--stage", "sft"]).status == 0)
    #expect(try run(["ask", "q", "What?"]).status == 74)
  }

  /// An episode of every author, with an escape sequence in the model's text.
  private func makeEpisodes() throws {
    let json = try Data(contentsOf: URL(fileURLWithPath: TrainProgram.root + "/configs/demo/tokenizer.json"))
    let tokenizer = try Tokenizer(json: json, path: "tokenizer.json")
    let parts: [(Author, String)] = [
      (.prompt, "What is 2*3?\n"), (.model, "We \u{1B}[31mneed 2*3."), (.hint, " Python:\n```python\n"),
      (.model, "print(2*3)\n```\n"), (.tool, "```output\n6\n```\n"), (.model, "\\boxed{6}"),
    ]
    let tokens = parts.map { ($0.0, tokenizer.encode($0.1)) }
    func episode(_ id: String, _ verdict: Verdict) -> Episode {
      var episode = Episode(
        id: id, problem: "What is 2*3?", gold: "6", tokens: tokens.flatMap(\.1),
        authors: tokens.map { .init(author: $0.0, count: $0.1.count) },
        logProbs: tokens.flatMap { author, ids in ids.map { _ in author == .model ? Float(-1) : nil } })
      episode.hints = [.init(token: tokens[0].1.count, kind: .delayed, text: "", reason: "by hand")]
      episode.calls = [.init(code: "print(2*3)\n", status: .ok, detail: "ok", output: "6\n", ms: 1)]
      episode.finish = .length
      episode.answer = "6"
      episode.verdict = verdict
      return episode
    }
    try EpisodeFile.write([episode("right", .correct), episode("wrong", .incorrect)], to: program.file("e.jsonl"))
    try FileManager.default.createDirectory(atPath: program.file("configs/demo"), withIntermediateDirectories: true)
    try program.write("configs/demo/tokenizer.json", String(decoding: json, as: UTF8.self))
  }

  @Test func anEpisodeIsShownLineByLine() throws {
    try makeEpisodes()
    let outcome = try run(["show", "e.jsonl"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let expected = """
      e.jsonl:1  id right, sample 0
      prompt │ What is 2*3?
      model  │ We ␛[31mneed 2*3.
      hint   │  Python:
      hint   │ ```python
      code   │ print(2*3)
      code   │ ```
      output │ ```output
      output │ 6
      output │ ```
      model  │ \\boxed{6}
      result correct: answer 6, gold 6
      """
    #expect(outcome.output.hasPrefix(expected + "\n"), "\(outcome.output)")
    #expect(outcome.output.contains("\nend    cut off") && outcome.output.contains("\nhint   delayed: by hand\n"))
    #expect(outcome.output.contains("\ncalls  1 ok\n") && outcome.errors.contains("--limit 0"), "\(outcome.output)")
    let coloured = try run(["show", "e.jsonl", "--color", "always"]).output
    #expect(coloured.contains("\u{1B}[36m6\u{1B}[0m\n") && !coloured.contains("\u{1B}[31mneed"))
    #expect(coloured.replacing(/\u{1B}\[\d+m/, with: "") == outcome.output)
  }

  @Test func episodesAreFound() throws {
    try makeEpisodes()
    for arguments in [["wrong"], ["2"], ["--wrong"]] {
      let outcome = try run(["show", "e.jsonl"] + arguments)
      #expect(outcome.output.hasPrefix("e.jsonl:2  id wrong, sample 0\n"), "\(arguments): \(outcome.errors)")
    }
    let all = try run(["show", "e.jsonl", "--limit", "0"])
    #expect(
      all.output.contains("e.jsonl:1  ") && all.output.contains("\n\ne.jsonl:2  ")
        && all.errors.count { $0 == "\n" } == 1)
    for arguments in [["none"], ["right", "--wrong"], ["3"]] {
      #expect(try run(["show", "e.jsonl"] + arguments).status == 65)
    }
    // Nobody reads any more: no error, and no more work.
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "\"$0\" show e.jsonl --limit 0 | head -n 1 >first; exit 0", try TrainProgram.path()]
    process.currentDirectoryURL = URL(fileURLWithPath: program.folder.path)
    try process.run()
    process.waitUntilExit()
    #expect(try String(contentsOfFile: program.file("first"), encoding: .utf8) == "e.jsonl:1  id right, sample 0\n")
  }

  @Test func idsBecomeTextAgain() throws {
    let model = try program.makeModel()
    let ids = try run(["tokenize", model, "What is 12 + 34?"]).output
    let words = ids.split(whereSeparator: \.isWhitespace).map(String.init)
    #expect(words.count > 4 && words.allSatisfy { Int($0) != nil })
    #expect(try run(["tokenize", model, "--decode"] + words).output == "What is 12 + 34?\n")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = [
      "-c", "echo '[\(words.joined(separator: ", "))]' | \"$0\" tokenize '\(model)' --decode >text",
      try TrainProgram.path(),
    ]
    process.currentDirectoryURL = URL(fileURLWithPath: program.folder.path)
    try process.run()
    process.waitUntilExit()
    #expect(try String(contentsOfFile: program.file("text"), encoding: .utf8) == "What is 12 + 34?\n")
    for (arguments, status) in [
      (["--decode", "x"], 64), (["--decode", "999999"], 65), ([], 64), (["a", "--input", "b"], 64),
    ] {
      #expect(try run(["tokenize", model] + arguments).status == Int32(status), "\(arguments)")
    }
  }

  /// `ask` says when the response was cut off, and when its calls ran out.
  @Test func askSaysHowItEnded() throws {
    let model = try program.makeModel(contextLength: 96)
    let short = try run(["ask", model, "What is 1 + 1?", "--max-tokens", "3", "--tools", "none"])
    #expect(short.status == 0 && short.errors.contains("cut off after 3 tokens; --max-tokens"), "\(short.errors)")
    let full = try run(["ask", model, "What is 1 + 1?", "--tools", "none"])
    #expect(full.errors.contains("the model's context is full"), "\(full.errors)")
    let hint = "```python\nprint(1)\n```\n"
    let calls = try run(["ask", model, "What is 1 + 1?", "--max-calls", "1", "--max-tokens", "40", "--hint", hint])
    #expect(calls.status == 0 && calls.errors.contains("all 1 calls were used; --max-calls"), "\(calls.errors)")
  }

  @Test(arguments: [["shwo"], ["help", "shwo"]]) func aCommandThatIsNoneIsNamed(arguments: [String]) throws {
    let outcome = try run(arguments)
    #expect(outcome.status == 64 && outcome.errors.contains("did you mean train show?"), "\(outcome.errors)")
  }
}
