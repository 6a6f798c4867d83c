@testable import Pipeline

extension KeyUseTests {
  private static let base = ["model=$base", "data=$m.jsonl"]
  private static let code = "prompt.hint=\"```python\\nprint(6 * 7)\\n```\\n\""
  private static let failing = "prompt.hint=\"```python\\nprint(1 / 0)\\n```\\n\""
  private static let tools = ["sampling.tools=python", "interpreter.packages=[]"]
  private static let new = [
    "model=null",
    "new_model={tokenizer: \(TrainProgram.root)/configs/demo, shape: {architecture: qwen2, hidden_size: 24, "
      + "intermediate_size: 40, layer_count: 2, head_count: 4, key_value_head_count: 2, context_length: 256, "
      + "stop_tokens: [3, 8, 13, 18, 23, 28, 33, 38, 43, 48, 53, 58, 63, 68, 73, 78, 83, 88, 93, 98, 200, 300, 400]}}",
  ]
  private static let kl = ["loss.kl=k3", "loss.kl_coef=0.1"]
  private static let evaluation: [StageKind: [String]] = [
    .sft: ["eval_data=$held.jsonl", "sampling.tools=none", "sampling.max_tokens=12", "samples_per_prompt=2"]
  ]

  /// An interpreter's setting and a block that shows it.
  private static func interpreter(_ key: String, _ value: String, _ block: String) -> Change {
    let hint = "prompt.hint=\"```python\\n\(block)\\n```\\n\""
    let packages = key == "packages" ? [] : ["interpreter.packages=[]"]
    return Change(
      "interpreter." + key, value, ["sampling.tools=python", "sampling.max_tokens=120", hint] + packages,
      [.sft: ["eval_data=$held.jsonl"], .hint: ["model=$tiny.h5"]])
  }

  private static func shape(_ key: String, _ value: String) -> Change { Change("new_model.shape." + key, value, new) }

  static let changes: [Change] = general + training + sampling + rewards + losses

  private static let general = [
    Change("model", "$other.h5", [], [.hint: ["sampling.tools=none"]]),
    Change("new_model.tokenizer", "nowhere", new),
    shape("architecture", "llama"), shape("hidden_size", "32"), shape("intermediate_size", "48"),
    shape("layer_count", "1"), shape("head_count", "2"), shape("key_value_head_count", "4"), shape("head_width", "8"),
    shape("vocabulary_size", "500"), shape("context_length", "18"), shape("rms_norm_epsilon", "0.1"),
    shape("rope_theta", "10"), shape("rope_scaling", "{rope_type: linear, factor: 2}"), shape("tied_head", "false"),
    shape("stop_tokens", "[3]"), shape("begin_token", "5"),
    Change("ref_model", "$other.h5", kl),
    Change("data", "$held.jsonl", [], [.sft: ["prompt.system=go"]]),
    Change("eval_data", "$held.jsonl", [], [.sft: []]),
    Change("steps", "1"), Change("seed", "7"), Change("save_every", "1"),
    Change("keep_last", "1", ["steps=4", "save_every=1"]),
    Change("keep_every", "1", ["steps=4", "save_every=1", "keep_last=1"]),
    Change("eval_every", "1", ["eval_data=$held.jsonl"]),
    Change("train_authors", "[model, hint]", [], [.rft: ["prompt.hint=Well"]]),
    Change("matmul", "exact"), Change("gradient_shards", "2"),
    Change("prompts_per_step", "1"), Change("samples_per_prompt", "3", [], [.sft: ["eval_data=$held.jsonl"]]),
    Change("update_batch", "3"), Change("micro_batch_tokens", "20"), Change("share_prompts", "false"),
    Change("slots", "1", [], [.sft: ["eval_data=$held.jsonl", "sampling.max_tokens=200"]]),
    Change("recompute", "layers"),
  ]

  private static let training = [
    Change("lora.rank", "2"), Change("lora.alpha", "8", ["lora.rank=2"]),
    Change("lora.targets", "[q_proj]", ["lora.rank=2"]), Change("lora.init", "pissa", ["lora.rank=2"]),
    Change("optimizer.kind", "sgd"), Change("optimizer.state", "8bit", ["steps=4"]),
    Change("optimizer.learning_rate", "0.02"), Change("optimizer.betas", "[0.5, 0.6]"), Change("optimizer.eps", "0.1"),
    Change("optimizer.weight_decay", "0.5"), Change("optimizer.max_grad_norm", "1e-9", ["optimizer.eps=0.001"]),
    Change("optimizer.warmup_steps", "1", ["steps=3"]), Change("optimizer.schedule", "cosine"),
    Change("optimizer.min_learning_rate_ratio", "0.5", ["optimizer.schedule=linear"]),
    Change("rejection.filter", "efficient", ["rejection.filter=correct"]),
    Change("rejection.per_problem", "1", ["samples_per_prompt=4"]), Change("rejection.max_tokens", "1"),
    Change("rejection.mix", "$mix.jsonl"),
  ]

  private static let sampling = [
    Change("sampling.temperature", "0.5", [], evaluation), Change("sampling.top_p", "0.3", [], evaluation),
    Change("sampling.top_k", "3", [], evaluation), Change("sampling.max_tokens", "5", [], evaluation),
    Change("sampling.tools", "code", [code, "interpreter.packages=[]", "sampling.tools=python"], evaluation),
    Change("sampling.max_calls", "0", [code] + tools, [.sft: ["eval_data=$held.jsonl", "sampling.max_tokens=80"]]),
    Change("prompt.template", "chatml"), Change("prompt.system", "Be short."),
    Change("prompt.instruction", "Be short.", [], evaluation), Change("prompt.hint", "Well", [], evaluation),
    interpreter("time_limit", "0.3", "import time; time.sleep(1); print(1)"),
    interpreter("memory", "300000000", "print(len(bytearray(600000000)))"),
    interpreter("output", "20", "print('a' * 99)"), interpreter("output_limit", "50", "print('a' * 99)"),
    interpreter("processes", "1", "import os; print(os.fork() >= 0)"),
    interpreter("packages", "[colorsys]", "import sys; print('colorsys' in sys.modules)"),
    interpreter("tier", "T1", "print(len(open('/proc/self/status').read()) > 0)"),
    interpreter("readable", "[$read]", "print(open('$read/me.txt').read())"),
    Change("hint.mode", "prompt"), Change("hint.count", "2"), Change("hint.rounds", "1"),
    Change("hint.delayed", "Let us use code."),
    Change("hint.prompt", "Let us use code.", ["hint.mode=prompt"]), Change("hint.max_tokens", "1"),
    Change("hint.edits", "$edits.jsonl", ["hint.count=30"]),
    Change("hint.episodes", "$episodes.jsonl", ["hint.edits=$edits.jsonl"]),
  ]

  private static let rewards = [
    Change("reward.accuracy", "2", base + ["sampling.max_tokens=160"], evaluation),
    Change("reward.code_penalty", "-0.5", [failing] + tools, evaluation),
    Change("reward.code_penalty_without_code", "true", [], evaluation),
    Change("reward.format_reward", "0.5", base + ["sampling.max_tokens=160"], evaluation),
    Change("reward.overlong_buffer", "10", [], evaluation),
    Change("reward.overlong_factor", "2", ["reward.overlong_buffer=12"], evaluation),
    Change("groups.refill", "2"), Change("groups.mask_truncated", "true"),
    Change("groups.knapsack", "true", base + ["sampling.max_tokens=160", "prompts_per_step=4", "reward.overlong_buffer=0"]),
    Change(
      "groups.knapsack_maximum", "3",
      base + ["sampling.max_tokens=160", "prompts_per_step=4", "groups.knapsack=true", "reward.overlong_buffer=0"]),
  ]

  private static let losses = [
    Change("loss.kind", "reinforce"), Change("loss.advantage", "dr_grpo"), Change("loss.advantage_eps", "0.5"),
    Change("loss.advantage_clip", "0.1"), Change("loss.clip_low", "0"), Change("loss.clip_high", "0"),
    Change("loss.dual_clip", "1.0001", ["loss.clip_high=0.9"]), Change("loss.cispo_cap", "1", ["loss.kind=cispo"]),
    Change("loss.difference_clamp", "0.0001"), Change("loss.sapo_positive", "2", ["loss.kind=sapo"]),
    Change("loss.sapo_negative", "2", ["loss.kind=sapo"]), Change("loss.dro_beta", "0.5", ["loss.kind=dro"]),
    Change("loss.kl", "k3", ["loss.kl_coef=0.1"]), Change("loss.kl_coef", "0.2", ["loss.kl=k3"]),
    Change("loss.kl_difference_clamp", "0.0001", kl), Change("loss.kl_value_clamp", "0.0001", kl),
    Change("loss.kl_importance", "true", kl), Change("loss.kl_in_reward", "true", kl),
    Change("loss.kl_target", "0.05", ["loss.kl=k1", "loss.kl_coef=0.1", "loss.kl_in_reward=true"]),
    Change(
      "loss.kl_horizon", "10",
      ["loss.kl=k1", "loss.kl_coef=0.1", "loss.kl_in_reward=true", "loss.kl_target=0.05"]),
    Change("loss.entropy_coef", "0.1"), Change("loss.aggregation", "seq_mean_token_mean"),
    Change("loss.aggregation_length", "7", ["loss.aggregation=seq_mean_token_sum_norm", "loss.aggregation_length=12"]),
    Change("loss.gamma", "0.5", ["loss.advantage=gae"]), Change("loss.gae_lambda", "0.5", ["loss.advantage=gae"]),
    Change(
      "loss.gae_observation", "zero",
      base + tools + [
        "loss.advantage=gae", "sampling.max_tokens=96",
        "prompt.hint=Let us use python code to solve this problem.",
      ]),
    Change("loss.whiten", "false", ["loss.advantage=gae"]),
    Change("loss.value_clip", "0.00001", ["loss.advantage=gae"]),
    Change("loss.value_coef", "1", ["loss.advantage=gae"]),
    Change(
      "loss.remax_kl", "per_token",
      ["loss.advantage=remax", "loss.kl=k1", "loss.kl_coef=0.1", "loss.kl_in_reward=true"]),
  ]
}
