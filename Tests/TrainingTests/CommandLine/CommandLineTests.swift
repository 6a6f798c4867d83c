import Checkpoint
import Foundation
import Support
import Testing

/// The contract of the command line, by the program itself on real files.
@Suite(.serialized) struct CommandLineTests {
  let program: TrainProgram

  init() throws { program = try TrainProgram() }

  @Test func versionAndHelp() throws {
    let version = try program.run("--version")
    let line = /[0-9]+\.[0-9]+\.[0-9]+ \(([0-9a-f]{7,}(-dirty)?|unknown)\)\n/
    #expect(version.status == 0 && version.output.wholeMatch(of: line) != nil)
    let help = try program.run("score", "--help")
    #expect(help.status == 0 && help.output.contains("--temperature"))
  }

  @Test(arguments: [
    ["fly"], ["tokenize"], ["problems", "--seed", "1", "--count", "3", "--output", "p", "--threads", "0"],
    ["tokenize", "m.h5", "--input", "a.jsonl", "--output", "./a.jsonl"],
    ["generate", "m.h5", "--input", "a", "--output", "b", "--temperature", "-1"],
    ["python", "--input", "a", "--output", "b", "--memory", "much"], ["sft", "c.yaml", "--set", "steps"],
    ["problems", "--seed", "1", "--count", "3", "--output", "p", "--texts", "--shares", "1,1,0,0"],
  ])
  func wrongUsageIs64(_ arguments: [String]) throws {
    try program.write("c.yaml", "run: x\n")
    let outcome = try program.end(program.start(arguments))
    #expect(outcome.status == 64, "\(outcome.errors)")
    #expect(outcome.errors.lowercased().contains("error: ") && outcome.errors.hasSuffix("\n"))
  }

  /// `mpirun -n 2 train sft` must not become two runs of the same folder.
  @Test func oneOfSeveralProcessesIsRefused() throws {
    try program.write("c.yaml", "run: ./x\nsteps: 1\n")
    var environment = ProcessInfo.processInfo.environment
    environment["OMPI_COMM_WORLD_SIZE"] = "2"
    let outcome = try program.end(program.start(["sft", "c.yaml"], environment: environment))
    #expect(outcome.status == 78 && outcome.errors.contains("OMPI_COMM_WORLD_SIZE"), "\(outcome.errors)")
  }

  @Test func badLinesAre65AndNamed() throws {
    let model = try program.makeModel()
    try program.write("texts.jsonl", "{\"text\": \"one\"}\n{\"text\": 2}\n")
    let text = try program.run("tokenize", model, "--input", "texts.jsonl", "--output", "o.jsonl")
    #expect(text.status == 65 && text.errors.contains("texts.jsonl:2: text: "), "\(text.errors)")

    let defects = [
      ("{\"tokens\": [1, 99999]}", "token 99999"), ("{\"tokens\": []}", "needs"),
      ("{\"tokens\": [1, 2], \"kept\": [null, [2, 1]]}", "kept[1] must ascend"),
      ("{\"tokens\": [1, 2], \"kept\": [null, [1, 3]]}", "kept[1]"),
      ("{\"tokens\": [1, 2], \"kept\": [null, [2, 99999]]}", "kept[1]"),
      ("{\"tokens\": [1, 2], \"kept\": [null]}", "kept: 1 entries"),
      ("{\"tokens\": [\(Array(repeating: "1", count: 65).joined(separator: ","))]}", "65 tokens"),
    ]
    for (line, expected) in defects {
      try program.write("bad.jsonl", "{\"tokens\": [1, 2]}\n\n\(line)\n")
      let outcome = try program.run("score", model, "--input", "bad.jsonl", "--output", "o.jsonl")
      #expect(outcome.status == 65 && outcome.errors.contains("bad.jsonl:3: "), "\(outcome.errors)")
      #expect(outcome.errors.contains(expected), "\(outcome.errors)")
    }

    let long = String(repeating: "What is 12 + 34? ", count: 40)
    try program.write("p.jsonl", "{\"id\": \"long\", \"problem\": \"\(long)\", \"gt_answer\": \"1\"}\n")
    let prompt = try program.run("generate", model, "--input", "p.jsonl", "--output", "e.jsonl", "--tools", "none")
    #expect(prompt.status == 65 && prompt.errors.contains("p.jsonl:1: the prompt has"), "\(prompt.errors)")
    #expect(prompt.errors.hasSuffix("leave such problems out with --skip-overlong\n"), "\(prompt.errors)")
  }

  @Test func tokensAreScoredWithoutATokenizer() throws {
    let model = try program.makeModel()
    let bare = program.file("bare.h5")
    try ModelFile.write(ModelFile.read(model).model, files: ModelFiles(), to: bare)
    try program.write("tokens.jsonl", "{\"tokens\": [1, 2, 3, 4]}\n")
    for (path, output) in [(model, "a"), (bare, "b")] {
      let scored = try program.run("score", path, "--input", "tokens.jsonl", "--output", output)
      #expect(scored.status == 0, "\(scored.errors)")
    }
    let scores = try ["a", "b"].map { try String(contentsOfFile: program.file($0), encoding: .utf8) }
    #expect(scores[0].contains("logprobs") && scores[0] == scores[1])
    try program.write("text.jsonl", "{\"text\": \"one\"}\n")
    let text = try program.run("score", bare, "--input", "text.jsonl", "--output", "c")
    #expect(text.status == 65 && text.errors.contains("has no tokenizer.json"), "\(text.errors)")
  }

  @Test func filesThatAreNotThereAre74() throws {
    let model = try program.makeModel()
    try program.write("a.jsonl", "{\"text\": \"one\"}\n")
    for outcome in [
      try program.run("tokenize", model, "--input", "none.jsonl", "--output", "o.jsonl"),
      try program.run("tokenize", model, "--input", "a.jsonl", "--output", "none/o.jsonl"),
      try program.run("score", "none.h5", "--input", "a.jsonl", "--output", "o.jsonl"),
    ] {
      #expect(outcome.status == 74 && outcome.errors.contains("none"), "\(outcome.errors)")
    }
  }

  @Test func aRunInUseIs75AndOneThatIsThere78() throws {
    _ = try program.makeModel()
    let stage = try program.makeStage()
    do {
      let lock = try RunLock(run: program.file("sft"))
      let outcome = try program.run("sft", stage)
      #expect(outcome.status == 75 && outcome.errors.contains("in use"), "\(outcome.errors)")
      lock.release()
    }
    let first = try program.run("sft", stage, "--threads", "1")
    #expect(first.status == 0, "\(first.errors)")
    #expect(FileManager.default.fileExists(atPath: program.file("sft/model.h5")))
    let again = try program.run("sft", stage)
    #expect(again.status == 78 && again.errors.contains("--resume"), "\(again.errors)")
    #expect(try program.run("sft", stage, "--resume").status == 0)
    // The same configuration gives the same weights, whatever the threads.
    #expect(try program.run("sft", stage, "--set", "run=./twin", "--threads", "2").status == 0)
    let hashes = try ["sft", "twin"].map { try program.run("inspect", $0, "--hash").output }
    #expect(hashes[0] == hashes[1] && hashes[0].count == 65)
  }

  @Test func configurationErrorsAre78AndNameTheKey() throws {
    for (text, expected) in [
      ("run: x\nsampling: {temprature: 1}\n", "did you mean sampling.temperature?"),
      ("run: x\nsteps: many\n", "steps: must be a whole number"), ("run: [x\n", "c.yaml"),
      ("run: x\nmatmul: exakt\n", "matmul: exakt is not one of mixed, exact, blas; did you mean exact?"),
      ("run: x\nlora: {rank: 2, targets: [q_proj, o]}\n", "lora.targets[1]: o is not one of q_proj, k_proj"),
    ] {
      let path = try program.write("c.yaml", text)
      let outcome = try program.run("check", path)
      #expect(outcome.status == 78 && outcome.errors.contains(expected), "\(outcome.errors)")
    }
    // Paths in configurations are relative to where the program is started.
    let all = try FileManager.default.contentsOfDirectory(atPath: TrainProgram.root + "/configs").filter {
      $0.hasSuffix(".yaml")
    }
    let process = try program.start(["check"] + all.map { "configs/" + $0 }, in: TrainProgram.root)
    let outcome = try program.end(process)
    let taken = outcome.output.split(separator: "\n").filter { $0.contains(".yaml: ok, ") }
    #expect(outcome.status == 0 && taken.count == all.count, "\(outcome.errors)")
  }

  @Test func aSignalSavesAndResumes() throws {
    _ = try program.makeModel()
    let stage = try program.makeStage()
    let process = try program.start(["sft", stage, "--set", "steps=20000"])
    while process.isRunning, try !String(contentsOfFile: program.file("err"), encoding: .utf8).contains("step ") {
      usleep(20_000)
    }
    kill(process.processIdentifier, SIGTERM)
    let outcome = try program.end(process)
    #expect(outcome.status == 143, "\(outcome.errors)")
    let steps = try FileManager.default.contentsOfDirectory(atPath: program.file("sft")).filter {
      $0.hasPrefix("step-")
    }
    let step = try #require(steps.first.flatMap { Int($0.dropFirst(5)) })
    #expect(steps.count == 1 && step >= 1)
    let resumed = try program.run("sft", stage, "--resume", "--set", "steps=\(step + 1)")
    #expect(resumed.status == 0 && resumed.errors.contains("resumed from"), "\(resumed.errors)")
  }
}
