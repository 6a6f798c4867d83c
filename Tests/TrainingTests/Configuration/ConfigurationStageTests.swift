import Foundation
import PPO
import Support
import Tensor
import TestSupport
import Testing

@testable import Training

/// What a file is for is said or asked, never guessed; and what a stage cannot do is refused by name.
@Suite struct ConfigurationStageTests {
  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func file(_ text: String) throws -> String {
    let name = UUID().uuidString + ".yaml"
    try folder.write(text, name)
    return folder.path + "/" + name
  }

  private func message(_ text: String, _ stage: StageKind?, replays: Bool = false) throws -> String {
    let error = #expect(throws: MartletError.self) {
      let path = try file(text)
      guard let stage else { return _ = try ConfigurationKind.of(path) }
      _ = try Configuration.load(path, stage: stage, replays: replays)
    }
    return error?.message ?? "nothing"
  }

  @Test(
    arguments: [
      ("{run: a, steps: 1, hint: {count: 3}}", nil), ("{run: a, stage: eval}", .eval),
      ("{run: a, hint: {rounds: 5}}", .hint), ("{run: a, steps: 3, rejection: {per_problem: 1}}", .rft),
      ("{run: a, steps: 3, loss: {advantage: rloo}}", .rl), ("{run: a, steps: 3, reward: {format_reward: 1}}", nil),
      // An rl file without a section `loss` may also be one of rft or sft.
      ("{run: a, model: m, data: d, steps: 3, optimizer: {learning_rate: 1e-4}}", nil), ("{run: a, model: m}", nil),
      ("{run: a, stage: rl, model: m, data: d, steps: 3}", .rl),
    ] as [(String, StageKind?)])
  func theStageIsKnownOrAskedFor(text: String, stage: StageKind?) throws {
    guard let stage else {
      let asked = try message(text, nil)
      #expect(asked.contains("stage: ") && asked.contains("give --stage"), "\(asked)")
      #expect(try ConfigurationKind.of(file(text), stage: .rl) == .stage(.rl))
      return
    }
    #expect(try ConfigurationKind.of(file(text)) == .stage(stage))
  }

  @Test func filesOfSeveralStagesAreTold() throws {
    #expect(try ConfigurationKind.of(file("{run: a, stages: []}")) == .pipeline)
    #expect(try ConfigurationKind.of(file("{run: a, cases: []}")) == .ablation)
    #expect(throws: MartletError.self) { try ConfigurationKind.of(file("{run: a, stages: []}"), stage: .rl) }
  }

  @Test func anotherStagesFileIsRefused() throws {
    #expect(try message("{run: a, stage: sft, steps: 1}", .rl).contains("stage: is sft, but this is rl"))
    #expect(try Configuration.load(file("{run: a, steps: 1}"), stage: .rl).stage == .rl)
    let kept = try Configuration.load(file("{run: a, steps: 1, kl: 1}".replacing(", kl: 1", with: "")), stage: .rl)
    // What a run folder holds is read again by the same stage.
    #expect(try Configuration.load(file(kept.yaml()), stage: .rl) == kept)
  }

  @Test(
    arguments: [
      ("{}", .sft, "steps: is missing"), ("{}", .rft, "steps: "), ("{steps: 0}", .rl, "steps: "),
      ("{steps: 1}", .eval, "steps: eval does not use it"), ("{steps: 1, loss: {kind: sft}}", .rl, "loss.kind: "),
      ("{steps: 1, loss: {advantage: distillation}}", .rl, "teacher: is missing"),
      ("{steps: 1, ref_model: m, teacher: m, loss: {advantage: distillation}}", .rl, "ref_model: "),
      ("{steps: 1, teacher: m}", .sft, "teacher: sft does not use it"),
      ("{steps: 1, teacher: m, loss: {teacher_coef: 0}}", .rl, "teacher: does nothing"),
      ("{steps: 1, loss: {teacher_top_k: 3}}", .rl, "loss.teacher_top_k: "),
      ("{steps: 1, teacher: m, loss: {teacher_top_k: -1}}", .rl, "teacher_top_k"),
      ("{steps: 1, teacher: m, loss: {teacher_turn_cap: 0.5}}", .rl, "teacher_turn_cap"),
      ("{steps: 1, teacher: m, sampling: {tools: none}, loss: {teacher_turn_cap: 2}}", .rl, "loss.teacher_turn_cap: "),
      (
        "{steps: 1, teacher: m, loss: {advantage: distillation, teacher_top_k: 3, clip_high: 0.3}}", .rl,
        "loss.clip_high: "
      ),
      ("{steps: 1, loss: {kl: k1, kl_coef: 0, kl_in_reward: true}}", .rl, "kl_in_reward"),
      ("{steps: 1, loss: {kl: k1, kl_coef: -1}}", .rl, "kl_coef"),
      ("{steps: 1, loss: {clip_low: -1}}", .rl, "clip_low"),
      ("{steps: 1, loss: {value_clip: -1, advantage: gae}}", .rl, "value_clip"),
      ("{steps: 1, loss: {correction: {kind: tis_token}}}", .rl, "loss.correction.kind: "),
      ("{steps: 1, reward: {overlong_factor: -1, overlong_buffer: 5}}", .rl, "overlong_factor"),
      ("{hint: {max_tokens: -1}}", .hint, "max_tokens"), ("{interpreter: {time_limit: 0}}", .eval, "time_limit"),
      ("{interpreter: {output: -5}}", .eval, "output"), ("{sampling: {temperature: 1e-30}}", .eval, "temperature"),
      ("{steps: 1, optimizer: {learning_rate: 1e999}}", .sft, "learning_rate"),
      ("{steps: 1, loss: {entropy_coef: 1e999}}", .rl, "entropy_coef"),
      ("{sampling: {temperature: 0, top_p: 0.5}}", .eval, "sampling.top_p: "),
      ("{steps: 1, share_prompts: false, matmul: exact}", .rl, "share_prompts: "),
      ("{matmul: exact}", .eval, "matmul: "), ("{optimizer: {warmup_steps: 3}}", .eval, "optimizer: eval does not"),
      ("{steps: 1, reward: {accuracy: 2}}", .sft, "reward.accuracy: "),
      ("{eval_every: 1, eval_data: x}", .eval, "eval_every"),
    ] as [(String, StageKind, String)])
  func whatCannotBeIsRefusedByName(text: String, stage: StageKind, expected: String) throws {
    let found = try message(text, stage)
    #expect(found.contains(expected), "\(found)")
  }

  @Test func replayRefusesWhatItsFileCannotGive() throws {
    #expect(try message("{loss: {advantage: remax}}", .rl, replays: true).contains("loss.advantage: remax"))
    let replayed = try Configuration.load(
      file("{loss: {correction: {kind: icepop_token, low: 0.1}}}"), stage: .rl, replays: true)
    #expect(replayed.loss.correction.kind == .icepopToken)
  }

  @Test(
    arguments: [
      ("{steps: 1, sampling: {temperature: 0}}", .rl, ["sampling: "]),
      ("{steps: 1, loss: {advantage: remax}, sampling: {temperature: 0}}", .rl, ["nothing to learn"]),
      ("{steps: 1, model: m, teacher: m, loss: {advantage: distillation}}", .rl, ["teacher: is the model itself"]),
      ("{steps: 1, model: m, teacher: m}", .rft, ["teacher: is the model itself"]),
      ("{steps: 1, teacher: m, samples_per_prompt: 1, update_batch: 8}", .rl, []),
      ("{steps: 1, samples_per_prompt: 1}", .rl, ["samples_per_prompt: 1", "update_batch: "]),
      ("{steps: 1, sampling: {top_k: 1}}", .rl, ["top_k 1"]),
      ("{samples_per_prompt: 4, sampling: {temperature: 0}}", .eval, ["sampling: "]),
      ("{steps: 1, optimizer: {learning_rate: 0}}", .sft, ["optimizer.learning_rate: 0"]),
      ("{steps: 3, optimizer: {warmup_steps: 3}}", .sft, ["optimizer.warmup_steps: 3 of 3"]),
      ("{steps: 1, update_batch: 65}", .rl, ["update_batch: 65"]),
      ("{steps: 1, loss: {kl: k3, kl_coef: 0}}", .rl, ["loss.kl: k3"]),
      ("{steps: 1, loss: {kl: k1}}", .rl, ["loss.kl: k1"]),
      ("{steps: 1, loss: {advantage: gae, value_coef: 0}}", .rl, ["loss.value_coef: 0"]),
      ("{steps: 1, reward: {accuracy: 0, code_penalty: 0}}", .rl, ["reward: "]),
      ("{steps: 2, save_every: 3}", .sft, ["save_every: 3"]),
      ("{steps: 2, eval_every: 3, eval_data: x}", .rl, ["eval_every: 3"]),
      ("{steps: 1, samples_per_prompt: 1, update_batch: 8, loss: {advantage: reinforce_plus_plus}}", .rl, []),
      ("{steps: 1}", .rl, []), ("{steps: 1}", .sft, []), ("{}", .eval, []),
    ] as [(String, StageKind, [String])])
  func runsThatCannotLearnAreWarnedOf(text: String, stage: StageKind, expected: [String]) throws {
    let found = try Configuration.load(file(text), stage: stage).warnings(stage: stage)
    #expect(found.count == expected.count, "\(found)")
    for (warning, part) in zip(found, expected) { #expect(warning.contains(part)) }
  }

  @Test func everyStageTakesOfThePipelinesDefaultsWhatItUses() throws {
    func pipeline(_ defaults: String, _ own: String) -> String {
      """
      run: \(folder.path)/p
      defaults: {\(defaults)}
      stages:
        - {name: one, stage: sft, model: m, data: d, steps: 2\(own)}
        - {name: two, stage: eval, model: "@one", data: d}

      """
    }
    func refused(_ defaults: String, _ own: String = "") -> String {
      let error = #expect(throws: MartletError.self) { try PipelineFile.check(file(pipeline(defaults, own))) }
      return error?.message ?? "nothing"
    }
    let text = pipeline(
      "optimizer: {betas: [0.9, 0.98]}, sampling: {temperature: 0.5}, save_every: 1, keep_last: 1", "")
    let stages = try PipelineRequest(file(text), resume: false).parts.stages.map(\.configuration)
    #expect(stages[0].optimizer.betas == [0.9, 0.98] && stages[1].optimizer == Configuration().optimizer)
    #expect(stages[1].sampling.temperature == 0.5 && stages[0].sampling == Configuration().sampling)
    #expect(stages.map(\.stage) == [.sft, .eval] && stages.map(\.keepLast) == [1, 3])
    #expect(refused("groups: {refill: 2}").contains("defaults.groups.refill: no stage takes it"))
    #expect(refused("train_authors: [model, hint]", ", train_authors: [model]").contains("defaults.train_authors"))
    #expect(refused("seed: 1", ", samples_per_prompt: 2").contains("stages.one: samples_per_prompt: "))
  }
}
