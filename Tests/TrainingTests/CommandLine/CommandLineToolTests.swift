import Foundation
import Support
import Testing

/// Commands that turn lines into lines, by the program itself.
@Suite(.serialized) struct CommandLineToolTests {
  let program: TrainProgram

  init() throws { program = try TrainProgram() }

  @Test func problemsAreTheSameTwice() throws {
    for name in ["a", "b"] {
      let outcome = try program.run(
        "problems", "--seed", "7", "--count", "20", "--split", "held_out", "--output", name)
      #expect(outcome.status == 0, "\(outcome.errors)")
    }
    let lines = try program.lines("a")
    #expect(lines.count == 20 && lines.allSatisfy { $0["problem"] is String && $0["gt_answer"] is String })
    #expect(FileManager.default.contentsEqual(atPath: program.file("a"), andPath: program.file("b")))
    let outcome = try program.run(
      "problems", "--seed", "7", "--count", "5", "--texts", "--shares", "0,0,0,1", "--output", "texts")
    #expect(try outcome.status == 0 && program.lines("texts").count == 5)
  }

  @Test func tokensDecodeToTheirText() throws {
    let model = try program.makeModel()
    try program.write("in", "{\"text\": \"What is 12 + 34?\"}\n{\"text\": \"\"}\n")
    #expect(try program.run("tokenize", model, "--input", "in", "--output", "out.jsonl").status == 0)
    let lines = try program.lines("out.jsonl")
    #expect(lines.map { $0["text"] as? String } == ["What is 12 + 34?", ""])
    #expect((lines[0]["ids"] as? [Int])?.isEmpty == false && (lines[1]["ids"] as? [Int])?.isEmpty == true)
  }

  /// What the sampler stored is what `score` finds, to the last bit: also for filtered draws at another temperature.
  @Test(arguments: [["--temperature", "0.7", "--top-p", "0.8"], ["--top-k", "5"], []])
  func generatedEpisodesScoreEqually(_ options: [String]) throws {
    let model = try program.makeModel(contextLength: 256)
    try program.write(
      "p", (1...3).map { "{\"id\": \"\($0)\", \"problem\": \"What is \($0)?\", \"gt_answer\": \"1\"}\n" }.joined())
    let common = ["--samples", "2", "--max-tokens", "24", "--tools", "none", "--seed", "3"]
    let sampled = try program.end(
      program.start(["generate", model, "--input", "p", "--output", "episodes"] + common + options))
    #expect(sampled.status == 0, "\(sampled.errors)")
    let scored = try program.run("score", model, "--input", "episodes", "--output", "scores")
    #expect(scored.status == 0, "\(scored.errors)")
    let (episodes, scores) = (try program.lines("episodes"), try program.lines("scores"))
    #expect(episodes.map { $0["id"] as? String } == ["1", "1", "2", "2", "3", "3"])
    #expect(episodes.count == scores.count)
    for (episode, score) in zip(episodes, scores) {
      let stored = try #require(episode["logprobs"] as? [Any])
      let found = try #require(score["logprobs"] as? [Any])
      #expect(stored.count == found.count && found[0] is NSNull)
      #expect((score["entropy"] as? [Double])?.count == stored.count)
      let pairs = zip(stored, found).filter { !($0.0 is NSNull) }
      #expect(!pairs.isEmpty && pairs.allSatisfy { ($0.0 as? Double) == ($0.1 as? Double) })
    }
    let labels = try program.run("analyze", "--input", "episodes", "--output", "labels", "--model", model)
    #expect(try labels.status == 0 && program.lines("labels").count == 6, "\(labels.errors)")
  }

  @Test func gradesAndAudits() throws {
    try program.write(
      "pairs",
      """
      {"answer": "1/2", "gold": "0.5"}
      {"response": "so \\\\boxed{7}", "gold": 7}
      {"response": "no box", "gold": "7"}
      {"answer": "8", "gold": "7"}

      """)
    let outcome = try program.run("grade", "--input", "pairs", "--output", "verdicts")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let verdicts = try program.lines("verdicts").map { $0["verdict"] as? String }
    #expect(verdicts == ["correct", "correct", "no_answer", "incorrect"])
    let audit = try program.run("grade", "--audit", "--input", "pairs", "--output", "differences")
    #expect(audit.status == 0, "\(audit.errors)")
    #expect(try String(contentsOfFile: program.file("differences"), encoding: .utf8).isEmpty)
  }

  @Test func cellsShareVariables() throws {
    try program.write("cells", "{\"cells\": [\"a = 6\", \"print(a * 7)\", \"1/0\"]}\n{\"cells\": [\"print(a)\"]}\n")
    let outcome = try program.run("python", "--input", "cells", "--output", "results")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let results = try program.lines("results").map { try #require($0["results"] as? [[String: Any]]) }
    #expect(results[0].map { $0["status"] as? String } == ["ok", "ok", "error"])
    #expect(results[0][1]["output"] as? String == "42\n")
    #expect(results[1][0]["status"] as? String == "error", "trajectories must not share variables")
  }

  @Test func trajectoriesThatRunAtOnceKeepTheirPlaces() throws {
    let lines = (0..<7).map { "{\"cells\": [\"import time; time.sleep(\($0 == 0 ? 1 : 0)); print(\($0))\"]}\n" }
    try program.write("cells", lines.joined())
    let outcome = try program.run("python", "--input", "cells", "--output", "results", "--sessions", "4")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let outputs = try program.lines("results").map { line in
      (line["results"] as? [[String: Any]])?.first?["output"] as? String
    }
    #expect(outputs == (0..<7).map { "\($0)\n" })
  }

  @Test func exportsAndImportsTheSameWeights() throws {
    let model = try program.makeModel()
    let exported = try program.run("export", model, "folder")
    #expect(exported.status == 0, "\(exported.errors)")
    let hash = try program.run("inspect", model, "--hash").output.dropLast()
    #expect(exported.output.contains("weights \(hash), read again and equal"))
    #expect(exported.output.contains("transformers"))
    // The demo's tokenizer takes words whole: transformers must be told not to build a Qwen2Tokenizer from its merges.
    let config = try String(contentsOfFile: program.file("folder/tokenizer_config.json"), encoding: .utf8)
    #expect(config.contains("tokenization_file.TokenizerFromFile") && config.contains("PreTrainedTokenizerFast"))
    for file in ["tokenization_file.py", "generation_config.json"] {
      #expect(FileManager.default.fileExists(atPath: program.file("folder/" + file)))
    }
    let without = try program.run("export", model, "folder2", "--python", "/nowhere/python3")
    #expect(without.status == 78 && without.errors.contains("/nowhere/python3"), "\(without.errors)")
    let imported = try program.run("import", "folder", "again.h5")
    #expect(imported.status == 0, "\(imported.errors)")
    let hashes = try [model, "again.h5"].map { try program.run("inspect", $0, "--hash").output }
    #expect(hashes[0] == hashes[1] && imported.output.contains(hashes[0].dropLast()))
    try FileManager.default.removeItem(atPath: program.file("folder/model.safetensors"))
    let missing = try program.run("import", "folder", "none.h5")
    #expect([65, 74].contains(missing.status) && missing.errors.contains("safetensors"), "\(missing.errors)")
    #expect(!FileManager.default.fileExists(atPath: program.file("none.h5")))
  }
}
