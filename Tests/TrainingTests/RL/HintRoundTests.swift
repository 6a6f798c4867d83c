import Checkpoint
import Foundation
import Rollout
import Support
import Testing
import Transformer

@testable import Training

/// Hints at test time, from the command line: rounds of `eval`, `generate` and `ask`.
@Suite struct HintRoundTests {
  let program: TrainProgram

  /// A model of random weights that stops now and then.
  init() throws {
    program = try TrainProgram()
    let plain = try ModelFile.read(program.makeModel(contextLength: 256))
    var shape = plain.model.configuration
    shape.stopTokens = stride(from: Int32(3), to: 460, by: 9).map { $0 }
    let model = LanguageModel(configuration: shape)
    model.initialize(seed: 5)
    try ModelFile.write(model, files: plain.files, to: program.file("model.h5"))
    try program.write("p.jsonl", TrainProgram.doublings(3...8))
    try program.write(
      "eval.yaml",
      """
      run: ./eval
      model: model.h5
      data: p.jsonl
      samples_per_prompt: 2
      sampling: {max_tokens: 100, tools: none}
      prompt: {template: none}

      """)
  }

  private func run(_ arguments: String...) throws -> TrainProgram.Outcome {
    try program.end(program.start(arguments))
  }

  private func text(_ name: String) throws -> String {
    try String(contentsOfFile: program.file(name), encoding: .utf8)
  }

  private func report(_ run: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: program.file(run + "/eval.json")))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  private func episodes(_ name: String) throws -> [Episode] { try EpisodeFile.read(program.file(name)) }

  @Test func everyRoundGoesOnFromTheOneBefore() throws {
    let hinted = try run("eval", "eval.yaml", "--hint-rounds", "3", "--threads", "1", "--set", "slots=1")
    #expect(hinted.status == 0 && hinted.errors.contains("over round 0"), "\(hinted.errors)")
    #expect(try run("eval", "eval.yaml", "--set", "run=./plain", "--threads", "2").status == 0)
    // Round 0 is a plain evaluation, to the bit.
    #expect(try text("eval/episodes/eval-round-0.jsonl") == text("plain/episodes/eval.jsonl"))
    let (report, plain) = (try report("eval"), try report("plain"))
    let rounds = try #require(report["rounds"] as? [[String: Any]])
    #expect(rounds.count == 4 && plain["rounds"] == nil)
    for key in ["accuracy", "tokens", "response_tokens", "accuracy_low"] {
      #expect(rounds[0][key] as? Double == plain[key] as? Double, "\(key)")
      #expect(rounds[3][key] as? Double == report[key] as? Double, "\(key)")
    }
    let files = try ["-round-0", "-round-1", "-round-2", ""].map { try episodes("eval/episodes/eval\($0).jsonl") }
    var count = 0
    for (round, (before, after)) in zip(files, files.dropFirst()).enumerated() {
      let changed = zip(before, after).filter { $0 != $1 }
      #expect(rounds[round + 1]["hinted"] as? Int == changed.count)
      count += changed.count
      for (old, new) in changed {
        let hint = try #require(new.hints.last)
        #expect(new.hints.dropLast() == old.hints[...] && new.tokens[..<hint.token] == old.tokens[..<hint.token])
        #expect(new.author(at: hint.token) == .hint && new.tokens.count - new.promptCount <= 100)
        #expect(new.tokens.count > hint.token && new.defect == nil)
      }
    }
    #expect(count > 5 && files[3].contains { $0.hints.count > 1 })
    // Neither slots nor threads matter, and a sampler without rounds in between finds the same log-probs.
    let other = try run("eval", "eval.yaml", "--hint-rounds", "3", "--threads", "2", "--set", "run=./other")
    #expect(other.status == 0, "\(other.errors)")
    #expect(try text("other/episodes/eval.jsonl") == text("eval/episodes/eval.jsonl"))
    #expect(try run("score", "model.h5", "--input", "eval/episodes/eval.jsonl", "--output", "scores").status == 0)
    for (episode, scores) in zip(files[3], try program.lines("scores")) {
      let found = try #require(scores["logprobs"] as? [Any])
      for (place, logProb) in episode.logProbs.enumerated() where logProb != nil {
        #expect((found[place] as? NSNumber)?.floatValue == logProb)
      }
    }
    #expect(try run("report", "./eval").status == 0)
    #expect(try text("eval/report.html").contains("Hints at test time"))
    #expect(try text("eval/rounds.svg").contains("round 3"))
  }

  @Test func generateAndAskGiveTheLastRound() throws {
    let sampling = ["--tools", "none", "--template", "none", "--max-tokens", "100", "--hint-rounds", "2"]
    #expect(try run("eval", "eval.yaml", "--hint-rounds", "2").status == 0)
    let generated = try program.end(
      program.start(
        ["generate", "model.h5", "--input", "p.jsonl", "--output", "out.jsonl", "--samples", "2"] + sampling))
    #expect(generated.status == 0, "\(generated.errors)")
    #expect(try text("out.jsonl") == text("eval/episodes/eval.jsonl"))
    let asked = try program.end(
      program.start(["ask", "model.h5", "What is 3 + 3?", "--end-hint", "Think it over."] + sampling))
    #expect(asked.status == 0 && asked.output.contains("Think it over."), "\(asked)")
    let silent = try program.end(
      program.start(["ask", "model.h5", "What?", "--end-hint", "", "--hesitation-hint", ""] + sampling))
    #expect(silent.status == 64 && silent.errors.contains("hesitation and end"), "\(silent)")
  }

  /// A run that was killed in a round goes on in it: the journal has what was sampled.
  @Test func aKilledRoundGoesOn() throws {
    let more = ["--hint-rounds", "3", "--set", "samples_per_prompt=6"]
    let whole = try program.end(program.start(["eval", "eval.yaml", "--set", "run=./whole"] + more))
    #expect(whole.status == 0, "\(whole.errors)")
    let process = try program.start(["eval", "eval.yaml", "--threads", "1", "--set", "slots=1"] + more)
    let journal = program.file("eval/journal/eval-0.log")
    var size = 0
    // All 36 responses of round 0, and some of the next.
    while process.isRunning, size < 37 {
      let bytes = FileManager.default.contents(atPath: journal) ?? Data()
      size = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\"episode\"").count - 1
      usleep(2000)
    }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    #expect(!FileManager.default.fileExists(atPath: program.file("eval/eval.json")))
    let resumed = try run("eval", "--resume", "./eval")
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(try text("eval/episodes/eval.jsonl") == text("whole/episodes/eval.jsonl"))
    #expect(try text("eval/eval.json") == text("whole/eval.json"))
  }
}
