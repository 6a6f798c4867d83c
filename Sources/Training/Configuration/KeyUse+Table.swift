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
  private static let draws = Need("sampling.temperature above 0") { $0.sampling.temperature > 0 }
  private static let kl = Need("loss.kl other than none, and kl_coef above 0") {
    $0.loss.kl != .none && $0.loss.klCoef > 0
  }
  private static let rewards = Need("loss.advantage other than distillation, which reads no rewards") {
    $0.loss.advantage != .distillation
  }
  private static let penalties = Need("loss.advantage other than pass_k, which is never negative") {
    $0.loss.advantage != .passK
  }
  private static let automaticHints = Need("hints that the program places, without hint.edits") {
    $0.hint.edits == nil
  }
  private static let engineered = Need("hint.mode engineered") { $0.hint.mode == .engineered }
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

  private static let clipped = kinds(.grpo, .ppo, .gspo, .gspoToken, .cispo, .gmpo, .dppo)
  private static let uncapped = Need("cispo_cap 0: a cap replaces the clip") {
    $0.loss.kind != .cispo || $0.loss.cispoCap == 0
  }

  /// Every key of a configuration.
  static let table: [KeyUse] = general + sectionsOfTraining + sectionsOfSampling + losses

  private static let general: [KeyUse] = [
    KeyUse("stage", "run", "model", "seed", in: all),
    KeyUse("data", in: all, also: [.hint: [sampledTraces]]),
    KeyUse("data_weights", in: [.rl], needs: [Need("two or more files in data") { $0.data.count > 1 }]),
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
        Need("a KL term (loss.kl, kl_coef above 0) or loss.advantage distillation") { $0.loss.requiresReference }
      ]),
    KeyUse("eval_data", in: [.sft, .rft, .rl, .eval]),
    KeyUse("eval_every", in: [.rl], needs: [Need("eval_data") { !$0.evalData.isEmpty }]),
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
    KeyUse("hint.rounds", "hint.delayed", "hint.distrust", in: [.hint], needs: [automaticHints, engineered]),
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
      ]),
    KeyUse("loss.aggregation", in: training),
    KeyUse(
      "loss.aggregation_length", in: training,
      needs: [Need("loss.aggregation seq_mean_token_sum_norm") { $0.loss.aggregation == .seqMeanTokenSumNorm }]),
    KeyUse("loss.advantage", "loss.advantage_clip", "loss.kl", "loss.entropy_coef", in: [.rl]),
    KeyUse("loss.observation_coef", in: [.rl], needs: [tools]),
    KeyUse("loss.advantage_eps", in: [.rl], needs: [advantages(.grpo, .grpoBatch, .maxRL, .passK)]),
    KeyUse("loss.clip_high", in: [.rl], needs: [clipped, uncapped]),
    KeyUse(
      "loss.clip_low", in: [.rl],
      needs: [
        clipped, uncapped,
        Need(penalties.text) { $0.loss.kind == .cispo || penalties.holds($0) },
      ]),
    KeyUse("loss.dual_clip", in: [.rl], needs: [kinds(.grpo, .ppo), penalties]),
    KeyUse("loss.cispo_cap", in: [.rl], needs: [kinds(.cispo)]),
    KeyUse("loss.difference_clamp", in: [.rl], needs: [kinds(.grpo, .ppo, .cispo)]),
    KeyUse("loss.sapo_positive", in: [.rl], needs: [kinds(.sapo)]),
    KeyUse("loss.sapo_negative", in: [.rl], needs: [kinds(.sapo), penalties]),
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
