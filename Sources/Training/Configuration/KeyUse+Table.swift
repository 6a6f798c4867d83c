import PPO
import Rollout
import Support
import Tensor

extension KeyUse {
  private static let all = StageKind.allCases
  private static let training: [StageKind] = [.sft, .rft, .rl]
  /// Stages that sample responses themselves.
  private static let sampling: [StageKind] = [.hint, .rft, .rl, .eval]

  /// `sft` samples for its evaluation alone.
  private static let evaluates: [StageKind: [Need]] = [.sft: [Need("eval_data") { !$0.evalData.isEmpty }]]

  private static let adapters = Need("lora.rank above 0") { $0.lora.rank > 0 }
  private static let adamw = Need("optimizer.kind adamw") { $0.optimizer.kind == .adamw }
  private static let tools = Need("sampling.tools other than none, and max_calls above 0") {
    $0.sampling.tools != .none && $0.sampling.maxCalls > 0
  }
  private static let task = Need("task.command") { !$0.task.command.isEmpty }
  private static let draws = Need("sampling.temperature above 0") { $0.sampling.temperature > 0 }
  private static let kl = Need("loss.kl other than none, and kl_coef above 0") {
    $0.loss.kl != .none && $0.loss.klCoef > 0
  }
  private static let rewards = Need("loss.advantage other than distillation, which reads no rewards") {
    $0.loss.advantage != .distillation
  }
  private static let penalties = Need("loss.advantage other than pass_k, which is never negative") {
    $0.loss.advantage != .passK || ($0.teacher != nil && $0.loss.teacherTopK == 0)
  }
  private static let automaticHints = Need("hints that the program places, without hint.edits") {
    $0.hint.edits == nil
  }
  private static let cuts = Need("hint.mode engineered, delayed or distrust") { !$0.hint.mode.spots.isEmpty }
  private static func cuts(_ kind: BehaviourAnalysis.SpotKind) -> Need {
    Need("hint.mode engineered or \(kind.rawValue)") { $0.hint.mode.spots.contains(kind) }
  }
  private static let sampledTraces = Need("traces that are sampled, without hint.episodes") {
    $0.hint.episodes == nil
  }

  private static let evaluatesOrTraces = evaluates.merging([.hint: [sampledTraces]]) { $1 }

  private static func kinds(_ kinds: LossKind...) -> Need {
    Need("loss.kind " + kinds.map(\.rawValue).joined(separator: " or ")) { kinds.contains($0.loss.kind) }
  }

  private static func advantages(_ kinds: AdvantageKind...) -> Need {
    Need("loss.advantage " + kinds.map(\.rawValue).joined(separator: " or ")) { kinds.contains($0.loss.advantage) }
  }

  private static let teacher = Need("a teacher") { $0.teacher != nil }
  /// With `teacher_top_k` the teacher's term is no advantage, and distillation has no other.
  private static let policy = Need("loss.advantage other than distillation, or loss.teacher_top_k 0") {
    $0.loss.advantage != .distillation || $0.loss.teacherTopK == 0
  }
  private static let clipped = kinds(.grpo, .ppo, .gspo, .gspoToken, .cispo, .gmpo, .dppo)
  private static let uncapped = Need("cispo_cap 0: a cap replaces the clip") {
    $0.loss.kind != .cispo || $0.loss.cispoCap == 0
  }

  /// Every key of a configuration.
  static let table: [KeyUse] = general + sectionsOfTraining + sectionsOfSampling + losses

  private static let general: [KeyUse] = [
    KeyUse("stage", "run", "model", "seed", in: all),
    KeyUse("adapter", in: all, needs: [Need("model, whose adapter it is") { $0.model != nil }]),
    KeyUse("data", in: all, also: [.hint: [sampledTraces]]),
    KeyUse(
      "data_weights", in: [.rl],
      needs: [
        Need("two or more files in data, and no task.command") { $0.data.count > 1 && $0.task.command.isEmpty }
      ]),
    KeyUse("new_model", in: [.sft, .rl]),
    KeyUse(
      "new_model.shape.value_head", in: [.sft, .rl],
      needs: [
        Need("the value false: loss.advantage gae makes a value head by itself") {
          $0.newModel?.shape.valueHead != true
        }
      ]),
    KeyUse(
      "ref_model", in: [.rl],
      needs: [
        Need("a KL term (loss.kl, kl_coef above 0)") { $0.loss.requiresReference }
      ]),
    KeyUse(
      "teacher", in: [.rft, .rl],
      also: [.rl: [Need("loss.teacher_coef above 0") { $0.loss.teacherCoef > 0 }]]),
    KeyUse("eval_data", in: [.sft, .rft, .rl, .eval]),
    KeyUse("eval_every", in: [.rl], needs: [Need("eval_data or task.eval_count") { $0.evaluates }]),
    KeyUse("steps", "save_minutes", "save_every", in: training),
    KeyUse(
      "keep_last", "keep_every", in: training,
      needs: [Need("checkpoints on the way: save_minutes, save_every or eval_every") { $0.savesOnTheWay }]),
    KeyUse("train_authors", in: [.sft, .rft]),
    KeyUse(
      "matmul", in: all,
      also: Dictionary(
        uniqueKeysWithValues: [.hint, .eval].map {
          ($0, [Need("gradients, or the value blas") { $0.matmul == .blas }])
        })),
    KeyUse("gradient_shards", "ranks", "update_batch", "micro_batch_tokens", "recompute", in: training),
    KeyUse(
      "share_prompts", in: [.rl],
      needs: [Need("matmul mixed or blas: with exact no prompt is shared") { $0.matmul != .exact }]),
    KeyUse("prompts_per_step", in: [.rl, .hint], also: [.hint: [automaticHints]]),
    KeyUse("samples_per_prompt", in: [.sft] + sampling, also: evaluatesOrTraces),
    KeyUse("slots", in: [.sft] + sampling, also: evaluates),
  ]

  private static let sectionsOfTraining: [KeyUse] = [
    KeyUse("lora.rank", in: training),
    KeyUse("lora", in: training, needs: [adapters]),
    KeyUse(
      "lora.init", in: training,
      needs: [adapters, Need("no adapter: a given one is trained as it is") { $0.adapter == nil }]),
    KeyUse("optimizer", in: training),
    KeyUse("optimizer.state", "optimizer.betas", "optimizer.eps", in: training, needs: [adamw]),
    KeyUse(
      "optimizer.min_learning_rate_ratio", in: training,
      needs: [Need("optimizer.schedule cosine or linear") { $0.optimizer.schedule != .constant }]),
    KeyUse("rejection", in: [.rft]),
  ]

  private static let sectionsOfSampling: [KeyUse] = [
    KeyUse("sampling.temperature", "sampling.max_tokens", "sampling.tools", in: [.sft] + sampling, also: evaluates),
    KeyUse("sampling.top_p", "sampling.top_k", in: [.sft] + sampling, needs: [draws], also: evaluates),
    KeyUse(
      "sampling.max_calls", in: [.sft] + sampling,
      needs: [Need("sampling.tools other than none") { $0.sampling.tools != .none }], also: evaluates),
    KeyUse("test_hints.rounds", in: [.eval]),
    KeyUse(
      "test_hints", in: [.eval], needs: [Need("test_hints.rounds above 0") { $0.testHints.rounds > 0 }]),
    KeyUse("prompt", in: all),
    KeyUse("prompt.instruction", "prompt.hint", "prompt.overlong", in: [.sft] + sampling, also: evaluatesOrTraces),
    KeyUse("interpreter", in: [.sft] + sampling, needs: [tools], also: evaluates),
    KeyUse("interpreter.python", in: all),
    KeyUse("reward.accuracy", "reward.format_reward", "reward.overlong_buffer", in: [.sft] + sampling, also: evaluates),
    KeyUse(
      "reward.code_penalty", in: [.sft] + sampling,
      needs: [
        Need("sampling.tools other than none, or code_penalty_without_code") {
          $0.reward.withoutCode || ($0.sampling.tools != .none && $0.sampling.maxCalls > 0)
        }
      ], also: evaluates),
    KeyUse(
      "reward.code_penalty_without_code", in: [.sft] + sampling,
      needs: [Need("a reward.code_penalty other than 0") { $0.reward.codePenalty != 0 }], also: evaluates),
    KeyUse(
      "reward.overlong_factor", in: [.sft] + sampling,
      needs: [Need("reward.overlong_buffer above 0") { $0.reward.overlongBuffer > 0 }], also: evaluates),
    KeyUse("reward.command", "grader.command", in: [.sft] + sampling, also: evaluates),
    KeyUse(
      "reward.command_weight", "reward.command_time_limit", in: [.sft] + sampling,
      needs: [Need("reward.command") { !$0.reward.command.isEmpty }], also: evaluates),
    KeyUse(
      "grader.time_limit", in: [.sft] + sampling, needs: [Need("grader.command") { !$0.grader.command.isEmpty }],
      also: evaluates),
    KeyUse("task.command", in: sampling, also: [.hint: [sampledTraces]]),
    KeyUse("task.count", "task.time_limit", in: sampling, needs: [task], also: [.hint: [sampledTraces]]),
    KeyUse("task.eval_count", in: [.rft, .rl], needs: [task]),
    KeyUse(
      "tools", in: [.sft] + sampling,
      needs: [
        Need("sampling.tools tool_call, and max_calls above 0") {
          $0.sampling.tools == .toolCall && $0.sampling.maxCalls > 0
        }
      ], also: evaluates),
    KeyUse("groups", in: [.rl]),
    KeyUse("groups.knapsack_maximum", in: [.rl], needs: [Need("groups.knapsack true") { $0.groups.knapsack }]),
    KeyUse("hint.mode", "hint.max_tokens", "hint.edits", in: [.hint]),
    KeyUse("hint.episodes", in: [.hint], needs: [Need("hint.edits, whose episodes it names") { $0.hint.edits != nil }]),
    KeyUse("hint.count", in: [.hint], needs: [automaticHints]),
    KeyUse("hint.rounds", in: [.hint], needs: [automaticHints, cuts]),
    KeyUse("hint.delayed", in: [.hint], needs: [automaticHints, cuts(.delayed)]),
    KeyUse("hint.distrust", in: [.hint], needs: [automaticHints, cuts(.distrust)]),
    KeyUse(
      "hint.prompt", in: [.hint],
      needs: [
        Need("hint.mode prompt") { $0.hint.mode == .prompt }, sampledTraces,
        Need("no prompt.hint, which replaces it") { $0.prompt.hint == nil },
      ]),
  ]

  private static let losses: [KeyUse] = [
    // The supervised stages have one loss; naming it is no mistake.
    KeyUse(
      "loss.kind", in: training,
      also: [
        .sft: [Need("stage rl; sft has one loss") { $0.loss.kind == .sft }],
        .rft: [Need("stage rl; rft has one loss") { $0.loss.kind == .sft }],
        .rl: [Need(policy.text) { $0.loss.kind == .dro || policy.holds($0) }],
      ]),
    KeyUse("loss.aggregation", in: training),
    KeyUse(
      "loss.aggregation_length", in: training,
      needs: [Need("loss.aggregation seq_mean_token_sum_norm") { $0.loss.aggregation == .seqMeanTokenSumNorm }]),
    KeyUse("loss.advantage", "loss.kl", "loss.entropy_coef", in: [.rl]),
    KeyUse("loss.advantage_clip", in: [.rl], needs: [policy]),
    KeyUse("loss.observation_coef", in: [.rl], needs: [tools]),
    KeyUse("loss.teacher_coef", "loss.teacher_top_k", in: [.rl], needs: [teacher]),
    KeyUse(
      "loss.teacher_turn_cap", in: [.rl],
      needs: [teacher, Need("tools, whose output parts a response into turns") { tools.holds($0) || $0.replays }]),
    KeyUse("loss.advantage_eps", in: [.rl], needs: [advantages(.grpo, .grpoBatch, .maxRL, .passK)]),
    KeyUse("loss.clip_high", in: [.rl], needs: [policy, clipped, uncapped]),
    KeyUse(
      "loss.clip_low", in: [.rl],
      needs: [
        policy, clipped, uncapped,
        Need(penalties.text) { $0.loss.kind == .cispo || penalties.holds($0) },
      ]),
    KeyUse("loss.dual_clip", in: [.rl], needs: [policy, kinds(.grpo, .ppo), penalties]),
    KeyUse("loss.cispo_cap", in: [.rl], needs: [policy, kinds(.cispo)]),
    KeyUse("loss.difference_clamp", in: [.rl], needs: [policy, kinds(.grpo, .ppo, .cispo)]),
    KeyUse("loss.sapo_positive", in: [.rl], needs: [policy, kinds(.sapo)]),
    KeyUse("loss.sapo_negative", in: [.rl], needs: [policy, kinds(.sapo), penalties]),
    KeyUse("loss.dro_beta", in: [.rl], needs: [kinds(.dro)]),
    KeyUse("loss.kl_coef", in: [.rl], needs: [Need("loss.kl other than none") { $0.loss.kl != .none }]),
    KeyUse(
      "loss.kl_difference_clamp", "loss.kl_value_clamp", in: [.rl],
      needs: [kl, Need("loss.kl k3 or k3_plus") { $0.loss.kl == .k3 || $0.loss.kl == .k3Plus }]),
    KeyUse(
      "loss.kl_importance", in: [.rl],
      needs: [kl, Need("a KL in the loss, not in the reward") { !$0.loss.klInReward }]),
    KeyUse("loss.kl_in_reward", in: [.rl], needs: [kl, rewards]),
    KeyUse("loss.kl_target", in: [.rl], needs: [Need("loss.kl_in_reward") { $0.loss.klInReward }]),
    KeyUse("loss.kl_horizon", in: [.rl], needs: [Need("loss.kl_target above 0") { $0.loss.klTarget > 0 }]),
    KeyUse("loss.gamma", in: [.rl], needs: [advantages(.gae, .reinforcePlusPlus)]),
    KeyUse(
      "loss.gae_lambda", "loss.whiten", "loss.value_clip", "loss.value_coef", in: [.rl], needs: [advantages(.gae)]),
    KeyUse("loss.gae_observation", in: [.rl], needs: [advantages(.gae), tools]),
    KeyUse(
      "loss.remax_kl", in: [.rl],
      needs: [advantages(.remax), Need("loss.kl_in_reward") { $0.loss.klInReward }]),
    KeyUse(
      "loss.correction.kind", in: [.rl],
      needs: [
        Need("episodes of another sampler (rl --replay); here the sampler's log-probs are the policy's") {
          $0.loss.correction.kind == .none || $0.replays
        }
      ]),
    KeyUse(
      "loss.correction.low", in: [.rl],
      needs: [Need("loss.correction.kind icepop_...") { $0.loss.correction.kind.hasLowerBound }]),
    KeyUse(
      "loss.correction.high", in: [.rl],
      needs: [Need("loss.correction.kind other than none") { $0.loss.correction.kind != .none }]),
  ]
}
