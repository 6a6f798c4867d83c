@testable import Training

extension KeyUseTests {
  private static let code = "prompt.hint=\"```python\\nprint(6 * 7)\\n```\\n\""
  private static let opensCode = "prompt.hint=\"Let us use python code to solve this problem.\\n```python\\n\""
  private static let failing = "prompt.hint=\"```python\\nprint(1 / 0)\\n```\\n\""
  private static let tools = "sampling.tools=python"
  private static let call =
    #"prompt.hint="<tool_call>\n{\"name\": \"double\", \"arguments\": {\"n\": 1}}\n</tool_call>\n""#
  private static let short = ["sampling.max_tokens=12"]
  private static let unpacked = "interpreter.packages=[]"
  private static let new = [
    "model=null",
    "new_model={tokenizer: \(TrainProgram.root)/configs/demo, shape: {architecture: qwen2, hidden_size: 24, "
      + "intermediate_size: 40, layer_count: 2, head_count: 4, key_value_head_count: 2, context_length: 256, "
      + "stop_tokens: [3, 8, 13, 18, 23, 28, 33, 38, 43, 48, 53, 58, 63, 68, 73, 78, 83, 88, 93, 98, 200, 300, 400]}}",
  ]
  private static let kl = ["loss.kl=k3", "loss.kl_coef=0.1"]
  private static let rewardKL = ["loss.kl=k1", "loss.kl_coef=0.1", "loss.kl_in_reward=true"]
  /// A model that is right now and then, with tools.
  private static let solving = [
    "model=$base", "data=$m.jsonl", "sampling.max_tokens=120", "sampling.temperature=0.5", tools, unpacked,
    opensCode,
  ]
  /// A supervised stage with an evaluation behind it.
  private static let evaluation = [
    "eval_data=$held.jsonl", "sampling.tools=none", "sampling.max_tokens=12", "samples_per_prompt=2",
  ]
  private static let solvingEvaluation = [
    "model=$base", "eval_data=$m.jsonl", "sampling.max_tokens=120", "sampling.temperature=0.5", unpacked,
    "samples_per_prompt=4", "optimizer.learning_rate=0", opensCode,
  ]

  /// Problems that it solves now and then, each at its own rate.
  private static let many =
    solving + ["data=$many.jsonl", "sampling.temperature=1", "prompts_per_step=6", "samples_per_prompt=4"]
  private static let solvingHint = [
    "hint.mode=prompt", "hint.prompt=Let us use python code to solve this problem.", "sampling.temperature=0.5",
  ]

  /// All stages with these settings, those of `sft` in its evaluation; `hint` in the mode that shows every response.
  private static func everywhere(_ settings: [String]) -> [StageKind: [String]] {
    [
      .rl: settings, .eval: settings, .rft: settings, .hint: ["hint.mode=prompt"] + settings,
      .sft: ["eval_data=$held.jsonl", "samples_per_prompt=2"] + settings,
    ]
  }

  /// An interpreter's setting and a block that shows it.
  private static func interpreter(_ key: String, _ value: String, _ block: String) -> Change {
    let packages = key == "packages" ? "interpreter.packages=[json]" : unpacked
    let hint = "prompt.hint=\"```python\\n\(block)\\n```\\n\""
    return Change(
      "interpreter." + key, value, shows: everywhere([tools, "sampling.max_tokens=180", hint, packages]))
  }

  private static func shape(_ key: String, _ value: String) -> Change {
    Change("new_model.shape." + key, value, needs: new)
  }

  private static let task = ["task.command=[python3, $task.py]"]
  /// Little to sample for many problems.
  private static let few: [StageKind: [String]] = [
    .hint: short + ["hint.count=1"], .eval: short + ["samples_per_prompt=1"], .rft: short + ["samples_per_prompt=1"],
  ]

  private static let saving = ["steps=4", "save_every=1"]

  static let changes: [Change] = general + training + sampling + rewards + losses

  private static let general = [
    Change("model", "$other.h5", shows: [.eval: ["sampling.tools=none", "interpreter.packages=[numpy, sympy]"]]),
    Change(
      "adapter", "$adapter",
      shows: [
        .eval: ["model=$tiny.h5", "sampling.tools=none", "interpreter.packages=[numpy, sympy]"],
        .rft: ["model=$tiny.h5"], .hint: ["model=$tiny.h5", "hint.mode=prompt"],
      ]),
    Change("new_model.tokenizer", "nowhere", needs: new),
    shape("architecture", "llama"), shape("hidden_size", "32"), shape("intermediate_size", "48"),
    shape("layer_count", "1"), shape("head_count", "2"), shape("key_value_head_count", "4"), shape("head_width", "8"),
    shape("vocabulary_size", "500"), shape("context_length", "18"), shape("rms_norm_epsilon", "0.1"),
    shape("rope_theta", "10"), shape("rope_scaling", "{rope_type: linear, factor: 2}"), shape("tied_head", "false"),
    shape("stop_tokens", "[4]"), shape("begin_token", "5"),
    Change("ref_model", "$other.h5", needs: kl), Change("teacher", "$other.h5"),
    Change("data", "$held.jsonl"), Change("eval_data", "$held.jsonl"),
    Change("data_weights", "[3, 1]", needs: ["data=[$p.jsonl, $held.jsonl]"]),
    Change("steps", "1"), Change("seed", "7"), Change("save_every", "1"), Change("save_minutes", "1e-9"),
    Change("keep_last", "1", shows: [.sft: saving, .rft: saving, .rl: saving]),
    Change(
      "keep_every", "1",
      shows: [.sft: saving + ["keep_last=1"], .rft: saving + ["keep_last=1"], .rl: saving + ["keep_last=1"]]),
    Change("eval_every", "1", needs: ["eval_data=$held.jsonl"]),
    Change("train_authors", "[model, hint]"),
    Change("matmul", "blas", shows: [.sft: ["model=$base"]]), Change("gradient_shards", "2"),
    Change("prompts_per_step", "1", shows: [.hint: solvingHint + ["hint.count=1", "samples_per_prompt=6"]]),
    Change("samples_per_prompt", "3", shows: [.sft: ["eval_data=$held.jsonl"]]),
    Change("update_batch", "3"), Change("micro_batch_tokens", "20"), Change("share_prompts", "false"),
    Change("slots", "1", shows: [.sft: ["eval_data=$held.jsonl", "sampling.max_tokens=200"]]),
    Change("recompute", "layers"),
  ]

  private static let training = [
    Change("lora.rank", "2"), Change("lora.alpha", "8", needs: ["lora.rank=2"]),
    Change("lora.targets", "[q_proj]", needs: ["lora.rank=2"]), Change("lora.init", "pissa", needs: ["lora.rank=2"]),
    Change("optimizer.kind", "sgd"),
    Change("optimizer.state", "8bit", shows: [.sft: ["steps=4"], .rft: ["steps=4"], .rl: ["steps=4"]]),
    Change("optimizer.learning_rate", "0.02"), Change("optimizer.betas", "[0.5, 0.6]"), Change("optimizer.eps", "0.1"),
    Change("optimizer.weight_decay", "0.5"), Change("optimizer.max_grad_norm", "0.000000001"),
    Change("optimizer.warmup_steps", "2"), Change("optimizer.schedule", "cosine"),
    Change("optimizer.min_learning_rate_ratio", "0.5", needs: ["optimizer.schedule=linear"]),
    // Right answers by hand: computation is delayed.
    Change(
      "rejection.filter", "correct",
      shows: [.rft: ["samples_per_prompt=8", "prompt.hint=null", "sampling.max_tokens=240"]]),
    Change("rejection.per_problem", "1", shows: [.rft: ["samples_per_prompt=12"]]),
    Change("rejection.max_tokens", "1"), Change("rejection.mix", "$mix.jsonl"),
  ]

  private static let sampling = [
    Change("sampling.temperature", "0.7", shows: [.sft: evaluation]),
    Change("sampling.top_p", "0.3", shows: [.sft: evaluation]),
    Change("sampling.top_k", "3", shows: [.sft: evaluation]),
    Change("sampling.max_tokens", "5", shows: [.sft: evaluation]),
    Change("sampling.tools", "code", shows: everywhere([code, "sampling.max_tokens=80", tools])),
    Change(
      "sampling.max_calls", "0",
      shows: everywhere([code, "sampling.max_tokens=80", tools, "interpreter.packages=[numpy, sympy]"])),
    Change("prompt.template", "chatml"), Change("prompt.system", "Be short."),
    // Problems with a prompt of their own have no use for it.
    Change(
      "prompt.instruction", "Be short.",
      shows: [
        .sft: evaluation, .eval: ["data=$p.jsonl"], .rft: ["data=$p.jsonl"],
        .hint: ["hint.mode=prompt", "data=$p.jsonl"],
      ]),
    Change("prompt.hint", "Well", shows: [.sft: evaluation]),
    Change(
      "prompt.overlong", "skip",
      shows: [
        .sft: evaluation + ["eval_data=$long.jsonl"], .rl: ["data=$long.jsonl"], .eval: ["data=$long.jsonl"],
        .rft: ["data=$long.jsonl"], .hint: ["data=$long.jsonl"],
      ]),
    // The models here have no template: both are refused as soon as the model is read.
    Change("prompt.date", "2026-01-02"), Change("prompt.template_variables", "{enable_thinking: false}"),
    interpreter("time_limit", "0.3", "import time; time.sleep(1); print(1)"),
    interpreter("memory", "300000000", "print(len(bytearray(600000000)))"),
    interpreter("output", "20", "print('a' * 60)"), interpreter("output_limit", "50", "print('a' * 60)"),
    interpreter(
      "processes", "3", "import os, time; p = [os.fork() or os._exit(time.sleep(0.5) or 0) for _ in range(9)]; print(7)"
    ),
    interpreter("packages", "[mailbox]", "import sys; print('mailbox' in sys.modules)"),
    interpreter("tier", "T1", "print(len(open('/proc/self/status').read()) > 0)"),
    interpreter(
      "readable", "[\(TrainProgram.root)/configs/demo]",
      "print(len(open('\(TrainProgram.root)/configs/demo/words.txt').read()))"),
    Change("test_hints.rounds", "1"), Change("test_hints.end", "Think again.", needs: ["test_hints.rounds=1"]),
    Change("hint.mode", "prompt"), Change("hint.count", "1"), Change("hint.rounds", "1"),
    Change("hint.delayed", "Let us use code."),
    Change("hint.prompt", "Let us use code.", needs: ["hint.mode=prompt"]), Change("hint.max_tokens", "1"),
    Change("hint.edits", "$edits.jsonl", shows: [.hint: ["prompts_per_step=8"]]),
    Change(
      "hint.episodes", "$episodes.jsonl", needs: ["hint.edits=$edits.jsonl"],
      shows: [.hint: ["prompts_per_step=8", "samples_per_prompt=8", "data=null"]]),
  ]

  private static let rewards = [
    Change("reward.accuracy", "2", shows: [.sft: solvingEvaluation, .rl: solving, .hint: solvingHint]),
    Change("reward.code_penalty", "-0.5", shows: everywhere([failing, "sampling.max_tokens=80", tools, unpacked])),
    Change("reward.code_penalty_without_code", "true", shows: everywhere(["sampling.max_tokens=12"])),
    Change("reward.format_reward", "0.5", shows: [.sft: solvingEvaluation, .rl: solving, .hint: solvingHint]),
    Change("reward.overlong_buffer", "10", shows: [.sft: evaluation]),
    Change(
      "reward.overlong_factor", "2",
      shows: [
        .sft: evaluation + ["reward.overlong_buffer=12"], .eval: ["reward.overlong_buffer=120"],
        .rft: ["reward.overlong_buffer=120"], .hint: ["reward.overlong_buffer=200"],
      ]),
    Change("reward.command", "[python3, $reward.py]", shows: everywhere(short)),
    Change("reward.command_weight", "2", needs: ["reward.command=[python3, $reward.py]"], shows: everywhere(short)),
    Change(
      "reward.command_time_limit", "1e-9", needs: ["reward.command=[python3, $reward.py]"], shows: everywhere(short)),
    Change("grader.command", "[python3, $grader.py]", shows: everywhere(short)),
    Change("grader.time_limit", "1e-9", needs: ["grader.command=[python3, $grader.py]"], shows: everywhere(short)),
    Change("task.command", "[python3, $task.py]", shows: few),
    Change("task.count", "3", needs: task, shows: few), Change("task.eval_count", "2", needs: task, shows: few),
    Change("task.time_limit", "1e-9", needs: task, shows: few),
    Change(
      "tools", "$tools.yaml", needs: ["sampling.tools=tool_call"],
      shows: everywhere([call, "sampling.max_tokens=120", unpacked])),
    Change("groups.refill", "2"), Change("groups.mask_truncated", "true"), Change("groups.mask_void", "true"),
    Change("groups.clean_successes", "true"),
    Change("groups.rate_band", "[0.3, 0.7]", shows: [.rl: many]),
    Change("groups.knapsack", "true", shows: [.rl: many]),
    Change("groups.knapsack_maximum", "3", needs: ["groups.knapsack=true"], shows: [.rl: many]),
  ]

  private static let losses = [
    Change("loss.kind", "reinforce"), Change("loss.advantage", "dr_grpo"), Change("loss.advantage_eps", "0.5"),
    Change("loss.advantage_clip", "0.1"), Change("loss.clip_low", "0"), Change("loss.clip_high", "0"),
    Change("loss.dual_clip", "1.0001", shows: [.rl: ["loss.clip_high=0.9"]]),
    Change("loss.cispo_cap", "1", needs: ["loss.kind=cispo"]),
    Change("loss.difference_clamp", "0.0001"), Change("loss.sapo_positive", "2", needs: ["loss.kind=sapo"]),
    Change("loss.sapo_negative", "2", needs: ["loss.kind=sapo"]),
    Change("loss.dro_beta", "0.5", needs: ["loss.kind=dro"]),
    Change("loss.kl", "k3", shows: [.rl: ["loss.kl=k1"]]), Change("loss.kl_coef", "0.2", needs: ["loss.kl=k3"]),
    Change("loss.kl_difference_clamp", "0.0001", needs: kl), Change("loss.kl_value_clamp", "0.0001", needs: kl),
    Change("loss.kl_importance", "true", needs: kl), Change("loss.kl_in_reward", "true", needs: kl),
    Change("loss.kl_target", "0.05", needs: rewardKL),
    Change("loss.kl_horizon", "10", needs: rewardKL + ["loss.kl_target=0.05"]),
    Change("loss.teacher_coef", "0.5", needs: ["teacher=$other.h5"]),
    Change("loss.teacher_top_k", "5", needs: ["teacher=$other.h5"]),
    Change("loss.teacher_turn_cap", "1.2", needs: ["teacher=$other.h5", tools], shows: [.rl: solving]),
    Change("loss.entropy_coef", "0.1"),
    Change("loss.observation_coef", "0.5", needs: [tools], shows: [.rl: solving]),
    Change("loss.aggregation", "seq_mean_token_mean"),
    Change(
      "loss.aggregation_length", "7",
      needs: ["loss.aggregation=seq_mean_token_sum_norm", "loss.aggregation_length=12"]),
    Change("loss.gamma", "0.5", needs: ["loss.advantage=gae"]),
    Change("loss.gae_lambda", "0.5", needs: ["loss.advantage=gae"]),
    Change(
      "loss.gae_observation", "zero", needs: ["loss.advantage=gae", tools],
      shows: [.rl: solving + ["loss.gamma=0.9", "loss.gae_lambda=0.5"]]),
    Change("loss.whiten", "false", needs: ["loss.advantage=gae"]),
    Change("loss.value_clip", "0.00001", needs: ["loss.advantage=gae"]),
    Change("loss.value_coef", "1", needs: ["loss.advantage=gae"]),
    Change("loss.remax_kl", "per_token", needs: ["loss.advantage=remax"] + rewardKL),
  ]
}
