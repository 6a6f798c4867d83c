import Checkpoint
import Foundation
import Support
import Testing
import Transformer

@testable import Training

/// Adapters outside of the run that made them: evaluated, exported, trained on.
@Suite struct AdapterRunTests {
  let program: TrainProgram
  private let lora = ["lora.rank=2", "lora.alpha=6", "lora.targets=[q_proj, down_proj]"]

  /// A run with adapters in `lora`, from `model.h5`.
  init() throws {
    program = try TrainProgram()
    _ = try program.makeModel()
    let stage = try program.makeStage()
    let made = try run(["sft", stage] + set(lora + ["run=./lora", "optimizer.learning_rate=0.05"]))
    #expect(made.status == 0, "\(made.errors)")
    try program.write("p.jsonl", TrainProgram.doublings(3...6))
    try program.write(
      "eval.yaml",
      """
      run: ./eval
      model: model.h5
      data: p.jsonl
      sampling: {max_tokens: 16, tools: none}
      prompt: {template: none}

      """)
  }

  private func run(_ arguments: [String]) throws -> TrainProgram.Outcome {
    try program.end(program.start(arguments + ["--threads", "1"]))
  }

  private func set(_ values: [String]) -> [String] { values.flatMap { ["--set", $0] } }

  private func hash(_ arguments: String...) throws -> String {
    let outcome = try run(["inspect"] + arguments + ["--hash"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    return outcome.output
  }

  private func text(_ name: String) throws -> String {
    try String(contentsOfFile: program.file(name), encoding: .utf8)
  }

  /// Base and adapter are the run's final model to the bit, whichever way they go.
  @Test func anAdapterOnItsBaseIsTheRunsModel() throws {
    let exported = try run(["export", "lora", "peft", "--format", "peft"])
    #expect(exported.status == 0 && exported.output.contains("rank 2 on q_proj, down_proj"), "\(exported.errors)")
    let half = try run(["export", "lora/step-00000003", "half", "--format", "peft", "--dtype", "bf16", "--base", "a/b"])
    #expect(half.status == 0 && half.output.contains("base model a/b"), "\(half.errors)")
    let final = try hash("lora")
    #expect(try hash("model.h5") != final)
    #expect(try hash("model.h5", "--adapter", "peft") == final)
    #expect(try hash("model.h5", "--adapter", "lora") == final)
    #expect(try hash("model.h5", "--adapter", "half") != final)
    #expect(try hash("peft") != hash("half"))
    let lost = try run(["import", "peft", "merged.h5"])
    #expect(lost.status == 78 && lost.errors.contains("--base"), "\(lost.errors)")
    #expect(try run(["import", "peft", "merged.h5", "--base", "model.h5"]).status == 0)
    #expect(try hash("merged.h5") == final)

    #expect(try run(["eval", "eval.yaml", "--adapter", "peft"]).status == 0)
    #expect(try run(["eval", "eval.yaml"] + set(["run=./own", "model=lora"])).status == 0)
    #expect(try run(["eval", "eval.yaml"] + set(["run=./plain"])).status == 0)
    #expect(try text("eval/episodes/eval.jsonl") == text("own/episodes/eval.jsonl"))
    #expect(try text("eval/episodes/eval.jsonl") != text("plain/episodes/eval.jsonl"))
    let sampling = ["--tools", "none", "--template", "none", "--max-tokens", "16"]
    for (output, model) in [("a", ["model.h5", "--adapter", "lora"]), ("b", ["lora"]), ("c", ["model.h5"])] {
      let files = ["--input", "p.jsonl", "--output", output]
      #expect(try run(["generate"] + model + files + sampling).status == 0)
      let scored = ["--input", "eval/episodes/eval.jsonl", "--output", output + ".scores"]
      #expect(try run(["score"] + model + scored).status == 0)
    }
    #expect(try text("a") == text("b") && text("a") != text("c"))
    #expect(try text("a.scores") == text("b.scores") && text("a.scores") != text("c.scores"))
    func answer(_ model: [String]) throws -> String {
      try run(["ask"] + model + ["What is 1 + 1?"] + sampling).output
    }
    #expect(try answer(["model.h5", "--adapter", "peft"]) == answer(["lora"]))
  }

  /// Training from an adapter begins where its run ended: at a learning rate of 0 it ends there too.
  @Test func trainingGoesOnFromAnAdapter() throws {
    let from = ["adapter=lora", "steps=1"]
    let still = try run(["sft", "sft.yaml"] + set(lora + from + ["run=./still", "optimizer.learning_rate=0"]))
    #expect(still.status == 0, "\(still.errors)")
    #expect(try hash("still") == hash("lora"))
    #expect(
      try run(["sft", "sft.yaml"] + set(lora + from + ["run=./on", "optimizer.learning_rate=0.05"])).status == 0)
    #expect(try hash("on") != hash("lora"))
    // Only A and B have moved.
    #expect(try hash("model.h5", "--adapter", "on") == hash("on"))
    // Without lora the adapter is merged, and all weights are trained.
    #expect(try run(["sft", "sft.yaml"] + set(from + ["run=./all", "optimizer.learning_rate=0"])).status == 0)
    #expect(try hash("all") == hash("lora"))
    #expect(try StepCheckpoint.open(program.file("all/step-00000001")).configuration().0.adapters == nil)
  }

  /// The reference of the KL term is what the policy begins as, the adapter included.
  @Test func theReferenceHasTheAdapter() throws {
    let settings = [
      "model=model.h5", "data=p.jsonl", "steps=1", "prompts_per_step=2", "samples_per_prompt=2", "update_batch=4",
      "sampling.max_tokens=12", "sampling.tools=none", "prompt.template=none", "loss.kl=k3", "loss.kl_coef=0.1",
      "optimizer.learning_rate=0.01",
    ]
    for (name, more) in [("rl", lora + ["adapter=lora"]), ("merged", ["adapter=lora"])] {
      try program.write("rl.yaml", "stage: rl\nrun: ./\(name)\n")
      let outcome = try run(["rl", "rl.yaml"] + set(settings + more))
      #expect(outcome.status == 0, "\(outcome.errors)")
      #expect(try program.lines(name + "/metrics.jsonl")[0]["kl"] as? Double == 0)
    }
  }

  @Test(arguments: [
    (["lora.rank=3"], "lora: {rank: 2, alpha: 6, targets: [q_proj, down_proj]}"),
    (["lora.rank=2", "lora.alpha=6", "lora.targets=[q_proj]"], "targets: [q_proj, down_proj]"),
    (["lora.rank=2", "lora.init=pissa"], "lora.init: does nothing"), (["model=null"], "adapter: does nothing"),
  ])
  func whatDoesNotFitIsRefused(settings: [String], mention: String) throws {
    let outcome = try run(["sft", "sft.yaml"] + set(["adapter=lora", "run=./x"] + settings))
    #expect(outcome.status == 78 && outcome.errors.contains(mention), "\(outcome.errors)")
    #expect(!FileManager.default.fileExists(atPath: program.file("x/run.json")))
  }

  /// An adapter counts by its content: another one of the same name is another run, a copy is not.
  @Test func theAdapterIsPartOfTheRunsIdentity() throws {
    #expect(try run(["export", "lora", "peft", "--format", "peft"]).status == 0)
    #expect(try run(["sft", "sft.yaml"] + set(["adapter=peft", "run=./x", "save_every=1"])).status == 0)
    try FileManager.default.copyItem(atPath: program.file("peft"), toPath: program.file("copy"))
    #expect(try run(["sft", "--resume", "./x"] + set(["adapter=copy", "steps=4"])).status == 0)
    #expect(try run(["export", "lora", "copy", "--format", "peft", "--dtype", "bf16"]).status == 0)
    let refused = try run(["sft", "--resume", "./x"] + set(["steps=5"]))
    #expect(refused.status == 78 && refused.errors.contains("adapter: "), "\(refused.errors)")
    // A branch from the weights has the adapter in them.
    let made = try program.run("branch", "./x", "./w", "--weights", "--set", "adapter=peft", "--set", "steps=1")
    #expect(made.status == 0, "\(made.errors)")
    let branch = try run(["sft", "--resume", "./w"] + set(["optimizer.learning_rate=0"]))
    #expect(branch.status == 0, "\(branch.errors)")
    #expect(try hash("w") == hash("x"))
  }

  @Test func aPipelinesDefaultsHaveNoAdapter() throws {
    try program.write(
      "pipeline.yaml",
      """
      run: ./pipe
      defaults: {adapter: lora}
      stages: [{name: a, stage: sft, model: model.h5, data: examples.jsonl}]

      """)
    let outcome = try run(["pipeline", "pipeline.yaml"])
    #expect(outcome.status == 78 && outcome.errors.contains("defaults.adapter"), "\(outcome.errors)")
  }
}
