import Foundation
import Tensor
import Testing

@testable import Training

/// `plan`, `check` and `verify-resume` say what stage they took a file for.
@Suite(.serialized) struct CommandLineStageTests {
  let program: TrainProgram

  init() throws { program = try TrainProgram() }

  /// Reinforcement learning without a section `loss`: `sft` and `rft` could take its keys too.
  private func makeFile(_ first: String = "") throws -> String {
    _ = try program.makeModel()
    try program.write("p.jsonl", "{\"id\": \"a\", \"problem\": \"What is 1 + 1?\", \"gt_answer\": \"2\"}\n")
    let text = "run: ./run\nmodel: model.h5\ndata: p.jsonl\nsteps: 2\nupdate_batch: 8\nmicro_batch_tokens: 64\n"
    return try program.write("run.yaml", first + text)
  }

  private func plan(_ arguments: [String]) throws -> Plan {
    let outcome = try program.end(program.start(["plan", "run.yaml", "--json"] + arguments))
    #expect(outcome.status == 0, "\(outcome.errors)")
    return try JSONDecoder().decode(Plan.self, from: Data(outcome.output.utf8))
  }

  @Test func theStageIsAskedFor() throws {
    let file = try makeFile()
    for command in ["plan", "check", "verify-resume"] {
      let asked = try program.run(command, file)
      #expect(asked.status == 78 && asked.errors.contains("sft or rft or rl"), "\(asked.errors)")
      #expect(asked.errors.contains("--stage"))
    }
    try program.write("e.jsonl", "{\"prompt\": \"What is 1 + 1?\", \"response\": \"2\"}\n")
    let plans = try [plan(["--stage", "sft", "--set", "data=e.jsonl"]), plan(["--stage", "rl"])]
    #expect(plans.map(\.stage) == [.sft, .rl] && plans[1].peakBytes > plans[0].peakBytes)
    let checked = try program.run("check", file, "--stage", "rl")
    #expect(checked.status == 0 && checked.output.contains("ok, stage rl"), "\(checked.errors)")
  }

  /// What is read behind the sampling is looked at before it.
  @Test(arguments: ["rejection.mix", "eval_data"]) func aWrongFileCostsNoSampling(key: String) throws {
    let file = try makeFile("interpreter: {packages: []}\nsampling: {max_tokens: 8}\n")
    let outcome = try program.run("rft", file, "--set", "\(key)=nowhere.jsonl")
    #expect(outcome.status == 74 && outcome.errors.contains("nowhere.jsonl"), "\(outcome.errors)")
    #expect(!FileManager.default.fileExists(atPath: program.file("run/episodes")))
  }

  @Test func theFileSaysItsStage() throws {
    let file = try makeFile("stage: rl\n")
    #expect(try plan([]).stage == .rl)
    #expect(try program.run("plan", file).output.hasPrefix("stage: rl\n"))
    let other = try program.run("sft", file)
    #expect(other.status == 78 && other.errors.contains("stage: is rl, but this is sft"), "\(other.errors)")
    #expect(try program.run("plan", file, "--stage", "eval").status == 78)
  }

  /// What the stages run, `plan` plans: responses that the context ends, an update batch that is not full.
  @Test func whatRunsIsPlanned() throws {
    _ = try makeFile("stage: rl\nsampling: {max_tokens: 500}\n")
    let large = try plan(["--set", "update_batch=640"])
    #expect(large.fits && large.notes.contains { $0.contains("context of 64 tokens is full") })
    try program.write("run.yaml", "stage: eval\nrun: ./run\nmodel: model.h5\ndata: p.jsonl\n")
    let evaluation = try plan([])
    #expect(evaluation.stage == .eval && !evaluation.parts.contains { $0.name == "gradients" })
    let outcome = try program.run("eval", "run.yaml", "--set", "sampling.tools=none")
    #expect(outcome.status == 0, "\(outcome.errors)")
    try program.write("run.yaml", "stage: hint\nrun: ./run\nmodel: model.h5\ndata: p.jsonl\n")
    #expect(try !plan([]).parts.contains { $0.name == "gradients" })
    // Training comes after sampling, not beside it.
    try program.write("run.yaml", "stage: rft\nsteps: 1\nrun: ./run\nmodel: model.h5\ndata: p.jsonl\n")
    let both = try [[], ["--set", "micro_batch_tokens=200000", "--set", "update_batch=4000"]].map { try plan($0) }
    let trains = both.map { plan in plan.parts.contains { $0.name == "gradients" } }
    let samples = both.map { plan in plan.parts.contains { $0.name == "key and value caches" } }
    #expect(trains == [false, true] && samples == [true, false])
    #expect(both[1].notes.contains { $0.contains("of sampling, training, training takes most") })
  }
}
