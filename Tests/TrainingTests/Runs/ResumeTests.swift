import Checkpoint
import Foundation
import PPO
import Support
import Tensor
import Testing
@testable import Diagnostics

/// A run that is killed anywhere and resumed ends as one that was left alone.
@Suite(.serialized) struct ResumeTests {
  let program: TrainProgram

  init() throws { program = try TrainProgram() }

  /// Reinforcement learning with the demo's base, which calls Python after the hint; the KL controller has a state of
  /// its own.
  private func makeRun() throws -> String {
    #expect(
      try program.run("problems", "--seed", "3", "--count", "6", "--family", "powers", "--output", "p.jsonl")
        .status == 0)
    #expect(
      try program.run("problems", "--seed", "4", "--count", "3", "--family", "multiplication", "--output", "held.jsonl")
        .status == 0)
    return try program.write(
      "rl.yaml",
      """
      run: ./rl
      model: \(TrainProgram.root)/configs/demo/base.h5
      data: p.jsonl
      steps: 3
      save_every: 2
      prompts_per_step: 4
      samples_per_prompt: 4
      update_batch: 8
      matmul: exact
      sampling: {temperature: 1.0, max_tokens: 96, max_calls: 2}
      prompt: {template: none, hint: "Let us use python code to solve this problem."}
      interpreter: {packages: [], time_limit: 3}
      groups: {knapsack: true}
      eval_data: held.jsonl
      eval_every: 2
      loss: {kind: grpo, kl: k1, kl_in_reward: true, kl_coef: 0.01, kl_target: 0.05}
      optimizer: {learning_rate: 1.0e-3, schedule: linear}

      """)
  }

  @Test func thirtyKillsLeaveNoTrace() throws {
    let outcome = try program.run("verify-resume", makeRun(), "--kills", "30", "--threads", "2")
    #expect(outcome.status == 0 && outcome.output.contains("killed 30 times"), "\(outcome.errors)")
    #expect(outcome.output.hasPrefix("equal: "))
    #expect(!FileManager.default.fileExists(atPath: program.file("rl-verify")))
  }

  /// Groups of twice the samples, masks, refills and what tools returned: killed and resumed as if left alone.
  @Test func whatGroupsLearnFromResumesToo() throws {
    let settings = [
      "groups.knapsack=false", "groups.clean_successes=true", "groups.mask_void=true", "groups.mask_truncated=true",
      "groups.refill=2", "loss.observation_coef=0.1", "loss.kl=none", "loss.kl_in_reward=false", "loss.kl_target=0",
      "loss.kl_coef=0.001",
    ]
    let outcome = try program.end(
      program.start(["verify-resume", makeRun(), "--kills", "8"] + settings.flatMap { ["--set", $0] }))
    #expect(outcome.status == 0 && outcome.output.contains("killed 8 times"), "\(outcome.errors)")
    #expect(outcome.output.hasPrefix("equal: "))
  }

  /// Files with weights and a band of success rates, which is in the checkpoint: killed and resumed as if left alone.
  /// Problems that were all right or all wrong in the first step come less often in the later ones.
  @Test func ratesAreInTheCheckpoint() throws {
    let settings = [
      "groups.knapsack=false", "groups.rate_band=[0.1, 0.9]", "data=[p.jsonl, held.jsonl]", "data_weights=[2, 1]",
      "loss.kl=none", "loss.kl_in_reward=false", "loss.kl_target=0", "loss.kl_coef=0.001", "steps=4", "save_every=1",
      "eval_every=0", "prompts_per_step=9",
    ].flatMap { ["--set", $0] }
    let config = try makeRun()
    let outcome = try program.end(program.start(["verify-resume", config, "--kills", "6"] + settings))
    #expect(outcome.status == 0 && outcome.output.hasPrefix("equal: "), "\(outcome.errors)")
    let run = try program.end(program.start(["rl", config] + settings))
    #expect(run.status == 0, "\(run.errors)")
    let passed = try program.lines("rl/metrics.jsonl").map { $0["passed_over"] as? Int }
    #expect(passed.first == 0 && passed.dropFirst().contains { $0 ?? 0 > 0 }, "\(passed)")
    // Six of nine are of the first file.
    let first = try program.lines("rl/episodes/step-00000001.jsonl").compactMap { $0["id"] as? String }
    let held = Set(try program.lines("held.jsonl").compactMap { $0["id"] as? String })
    #expect(held.count == 3 && Set(first).count == 9)
    #expect(Set(first).count { held.contains(String($0.prefix { $0 != "#" })) } == 3)
    // A branch takes the rates along: its later steps are those of the run.
    let forked = try program.run("rl", "--resume", "rl", "--from-step", "2", "--into", "./other")
    #expect(forked.status == 0, "\(forked.errors)")
    let hashes = try ["rl", "other"].map { run in
      try program.lines(run + "/metrics.jsonl").map { $0["state_hash"] as? String }
    }
    #expect(hashes[0] == hashes[1] && Set(hashes[0]).count == 4)
  }

  /// A step's samples are split by the success rates that the step before found.
  @Test func theKnapsackLooksBack() throws {
    let outcome = try program.run("rl", makeRun(), "--set", "prompts_per_step=6", "--set", "steps=2")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let groups = try (1...2).map { step in
      Dictionary(grouping: try program.lines("rl/episodes/step-0000000\(step).jsonl")) { $0["id"] as? String ?? "" }
    }
    #expect(groups[0].count == 6 && groups[0].values.allSatisfy { $0.count == 4 })
    let ids = groups[0].keys.sorted()
    let rates = ids.map { id in
      Double(groups[0][id, default: []].count { $0["verdict"] as? String == "correct" }) / 4
    }
    #expect(rates.contains { $0 > 0 && $0 < 1 }, "\(rates)")
    // Ties go by the order of the prompts: the counts alone are compared.
    let wanted = KnapsackBudget(maximum: 128).allocate(rates, samplesPerPrompt: 4)
    #expect(wanted.reduce(0, +) == 24 && Set(wanted).count > 1)
    #expect(groups[1].values.map(\.count).sorted() == wanted.sorted())
    let unsolved = ids.indices.filter { rates[$0] == 0 }
    #expect(unsolved.compactMap { groups[1][ids[$0]]?.count }.sorted() == unsolved.map { wanted[$0] }.sorted())
  }

  /// Adapters, their moments and what they were put beside are all in the step folders.
  @Test func adaptersResumeToo() throws {
    let config = try makeRun()
    let lora = ["--set", "lora.rank=4", "--set", "lora.targets=[q_proj, down_proj]"]
    let outcome = try program.end(program.start(["verify-resume", config, "--kills", "4"] + lora))
    #expect(outcome.status == 0 && outcome.output.contains("killed 4 times"), "\(outcome.errors)")
    let alone = try program.end(program.start(["rl", config] + lora))
    #expect(alone.status == 0, "\(alone.errors)")
    let base = try ModelFile.read(TrainProgram.root + "/configs/demo/base.h5").model
    let made = try ModelFile.read(program.file("rl/model.h5")).model
    #expect(made.table.parameters == base.table.parameters)
    for parameter in base.table.parameters {
      let isAdapted = ["q_proj.weight", "down_proj.weight"].contains { parameter.name.hasSuffix($0) }
      let isEqual = made.weights[parameter.range].elementsEqual(base.weights[parameter.range])
      #expect(isEqual != isAdapted, "\(parameter.name)")
    }
  }

  /// The teacher has no state: its views are made anew from its file.
  @Test func taughtRunsResumeToo() throws {
    _ = try program.makeModel(contextLength: 256)
    let more = [
      "teacher=model.h5", "loss.teacher_coef=0.1", "loss.teacher_top_k=4", "loss.teacher_turn_cap=1.2",
    ].flatMap { ["--set", $0] }
    let outcome = try program.end(program.start(["verify-resume", makeRun(), "--kills", "4"] + more))
    #expect(outcome.status == 0 && outcome.output.contains("killed 4 times"), "\(outcome.errors)")
    #expect(outcome.output.hasPrefix("equal: "))
  }

  /// A run whose moments are in 8 bits goes on with the same codes; another state is refused.
  @Test func momentsInEightBitsResumeToo() throws {
    _ = try program.makeModel()
    let config = try program.makeStage()
    let more = ["--set", "optimizer.state=8bit", "--set", "steps=6"]
    let whole = try program.end(program.start(["sft", config, "--set", "run=./whole"] + more))
    #expect(whole.status == 0, "\(whole.errors)")
    let half = try program.end(
      program.start(
        ["sft", config, "--set", "run=./half", "--set", "save_every=2", "--set", "steps=3"] + more.prefix(2)))
    #expect(half.status == 0, "\(half.errors)")
    try FileManager.default.removeItem(atPath: program.file("half/model.h5"))
    let other = try program.run("sft", config, "--set", "run=./half", "--set", "optimizer.state=fp32", "--resume")
    #expect(other.status != 0 && other.errors.contains("optimizer.state"), "\(other.errors)")
    let rest = try program.end(program.start(["sft", config, "--set", "run=./half", "--resume"] + more))
    #expect(rest.status == 0 && rest.errors.contains("resumed from"), "\(rest.errors)")
    let hashes = try ["whole", "half"].map { run in
      try program.lines(run + "/metrics.jsonl").map { $0["state_hash"] as? String }
    }
    #expect(hashes[0].count == 6 && hashes[0] == hashes[1] && Set(hashes[0]).count == 6)
    let shown = try program.run("inspect", "half/step-00000006")
    #expect(
      shown.status == 0 && shown.output.contains("u8  first_moment_8bit/codes"), "\(shown.output) \(shown.errors)")
    #expect(shown.output.contains("f32  second_moment_8bit/scales"))
  }

  /// An evaluation after each step; the best step's checkpoint is there at the end, whatever `keep_last` says, beside
  /// the last.
  @Test func theBestStepIsKept() throws {
    let outcome = try program.run(
      "rl", makeRun(), "--set", "eval_every=1", "--set", "save_every=1", "--set", "keep_last=1", "--set", "steps=4",
      "--set", "optimizer.learning_rate=0.02")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let lines = try program.lines("rl/metrics.jsonl")
    let accuracies = try lines.map { try #require($0["eval_accuracy"] as? Double) }
    #expect(accuracies.count == 4 && lines.allSatisfy { $0["eval_tokens"] is Double })
    let best = try #require(accuracies.firstIndex(of: accuracies.max() ?? 0)) + 1
    for (index, line) in lines.enumerated() {
      let soFar = accuracies.prefix(index + 1)
      #expect(line["best_step"] as? Int == soFar.firstIndex(of: soFar.max() ?? 0).map { $0 + 1 })
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: program.file("rl")).filter { $0.hasPrefix("step-") }
    #expect(Set(names) == ["step-0000000\(best)", "step-00000004"])
  }

  @Test func aDifferenceIsNamed() throws {
    for run in ["a", "b"] {
      try FileManager.default.createDirectory(atPath: program.file(run), withIntermediateDirectories: true)
      try program.write(run + "/metrics.jsonl", "{\"step\":1,\"loss\":0.5,\"seconds\":\(run == "a" ? 1 : 2)}\n")
    }
    let comparison = RunComparison(program.file("a"), program.file("b"))
    #expect(try comparison.files() == 1)
    try program.write("b/metrics.jsonl", "{\"step\":1,\"loss\":0.5000000000000001,\"seconds\":1}\n")
    let difference = #expect(throws: MartletError.self) { try comparison.files() }
    #expect(difference?.message.contains("line 1, loss: 0.5 when left alone") == true)
    try program.write("b/metrics.jsonl", "{\"step\":1,\"loss\":0.5,\"seconds\":1}\n{\"step\":2}\n")
    #expect(throws: MartletError.self) { try comparison.files() }
    try program.write("b/metrics.jsonl", "{\"step\":1,\"loss\":0.5,\"seconds\":1}\n")
    try program.write("b/eval.json", "{}")
    #expect(throws: MartletError.self) { try comparison.files() }
  }
}
