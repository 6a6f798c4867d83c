import Foundation
import PPO
import Support
import Testing

@testable import Training

@Suite struct ConfigurationTests {
  private func file(_ text: String) throws -> String {
    let path = NSTemporaryDirectory() + "/martlet-configuration-\(UUID().uuidString).yaml"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  private func load(_ text: String, _ overrides: [String] = []) throws -> Configuration {
    try Configuration.load(file(text), overrides: overrides)
  }

  private func message(_ text: String, _ overrides: [String] = []) -> String {
    do {
      _ = try load(text, overrides)
      return "nothing was thrown"
    } catch let error as MartletError {
      #expect(error.status == .configuration || error.status == .usage)
      return error.message
    } catch { return "another error: \(error)" }
  }

  @Test func everyKeyIsReadAndWrittenBack() throws {
    let text = """
      run: a
      model: m.h5
      data: one.jsonl
      steps: 12
      seed: 18446744073709551615
      matmul: exact
      train_authors: [model, hint]
      optimizer: {kind: sgd, learning_rate: 2.5e-4, betas: [0.8, 0.9], schedule: cosine}
      sampling: {temperature: 0.6, top_p: 0.95, max_tokens: 77, tools: none}
      loss: {kind: grpo, advantage: dr_grpo, clip_high: 0.28, kl: k3}
      interpreter: {time_limit: 3, packages: []}
      reward: {code_penalty: -0.2}
      hint: {mode: prompt, count: 7}
      rejection: {filter: correct, per_problem: 3}
      """
    let first = try load(text)
    #expect(first.data == ["one.jsonl"])
    #expect(first.seed == .max)
    #expect(first.matmul == .exact)
    #expect(first.trainAuthors == [.model, .hint])
    #expect(first.optimizer.kind == .sgd && first.optimizer.learningRate == 2.5e-4)
    #expect(first.sampling.temperature == 0.6 && first.sampling.topP == 0.95 && first.sampling.tools == .none)
    #expect(first.loss.advantage == .drGRPO && first.loss.clipHigh == 0.28 && first.loss.clipLow == 0.2)
    #expect(first.interpreter.timeLimit == 3 && first.interpreter.packages.isEmpty)
    #expect(first.reward.codePenalty == -0.2)
    #expect(first.hint.mode == .prompt && first.hint.count == 7)
    #expect(first.rejection.filter == .correct && first.rejection.perProblem == 3)
    #expect(try load(first.yaml()) == first)
  }

  @Test func overridesComeLast() throws {
    let configuration = try load(
      "run: a\noptimizer: {learning_rate: 1}\n",
      ["optimizer.learning_rate=3e-5", "data=[x.jsonl, y.jsonl]", "model=\"12\"", "prompt.hint=Okay, go: now"])
    #expect(configuration.optimizer.learningRate == 3e-5)
    #expect(configuration.data == ["x.jsonl", "y.jsonl"])
    #expect(configuration.model == "12")
    #expect(configuration.prompt.hint == "Okay, go: now")
  }

  @Test func absentAndNullAreTheSame() throws {
    #expect(try load("run: a\ndata: null\nsteps: null\nloss: {kind: null}\noptimizer: null\n") == load("run: a\n"))
    #expect(try load("run: a\ndata: x\n", ["data=null", "sampling.tools=null"]) == load("run: a\n"))
  }

  @Test func unknownKeysNameTheNearest() {
    #expect(message("run: a\noptimzer: {}\n").contains("unknown key optimzer; did you mean optimizer?"))
    #expect(message("loss: {clip_hi: 1}").contains("unknown key loss.clip_hi; did you mean loss.clip_high?"))
    #expect(message("run: a", ["sampling.topp=1"]).contains("did you mean sampling.top_p?"))
  }

  /// What a few lines can make enormous is refused before it is made.
  @Test func whatGrowsIsRefused() {
    let laughs =
      "a0: &b0 [x, x, x, x, x, x, x, x, x, x]\n"
      + (1...4).map {
        "a\($0): &b\($0) [" + [String](repeating: "*b\($0 - 1)", count: 10).joined(separator: ", ") + "]\n"
      }
      .joined()
    #expect(message(laughs).contains("anchors and aliases are not supported"))
    #expect(message("run: &a x\nmodel: *a\n").contains("anchors"))
    for key in ["slots", "sampling.max_tokens", "hint.rounds"] {
      #expect(message("run: a", ["\(key)=9223372036854775807"]).contains("\(key): 9223372036854775807 is beyond 2^31"))
    }
    for key in ["save_minutes", "optimizer.learning_rate", "interpreter.time_limit"] {
      #expect(message("run: a", ["\(key)=1e308"]).contains("\(key): 1e+308 is beyond 2^53"))
    }
    #expect(message("run: a", ["interpreter.time_limit=1e9"]).contains("time_limit"))
    #expect(message("loss: {kl: k1, kl_in_reward: true, kl_target: 1, kl_horizon: 12}").contains("kl_horizon"))
    #expect(
      message("{prompts_per_step: 1000000, samples_per_prompt: 1000000}").contains("responses a step"))
    #expect(message("run: a", ["seed=18446744073709551615", "interpreter.memory=8589934592"]) == "nothing was thrown")
  }

  @Test func wrongKindsNameTheKeyAndWhatIsThere() {
    let number = message("steps: many")
    #expect(number.contains("steps") && number.contains("whole number") && number.contains("\"many\""))
    #expect(message("matmul: fast").contains("matmul"))
    #expect(message("optimizer: {betas: 3}").contains("optimizer.betas"))
    #expect(message("sampling: {top_p: 1.5}").contains("top_p"))
    for (key, value) in [
      ("steps", "1.5"), ("seed", "-1"), ("sampling.top_k", "0.5"), ("lora.rank", "2.5"),
      ("new_model.shape.stop_tokens[1]", "2.5"),
    ] {
      let shape = "architecture: llama, hidden_size: 8, intermediate_size: 8, layer_count: 1, head_count: 2"
      let text =
        key.hasPrefix("new_model")
        ? message("new_model: {tokenizer: t, shape: {\(shape), stop_tokens: [3, \(value), 4]}}")
        : message("{save_minutes: 0.5, slots: 3}", ["\(key)=\(value)"])
      #expect(text.contains("\(key): must be a whole number") && text.contains(value), "\(text)")
    }
    let shape = "architecture: llama, hidden_size: 8, intermediate_size: 8, layer_count: 1, head_count: 2"
    #expect(
      message("new_model: {tokenizer: t, shape: {\(shape), rms_norm_epsilon: 1e-300}}").contains(
        "new_model.shape.rms_norm_epsilon: must be 0, or a larger number"))
    let twice = message("run: a\nrun: b\n")
    #expect(twice.contains("unique") && twice.contains("run"))
    #expect(message("run: [").contains("not YAML"))
    #expect(message("a", ["novalue"]).contains("section") || message("run: a", ["novalue"]).contains("key.path=value"))
  }

  @Test func everyEpochIsAPermutation() {
    let order = DataOrder(count: 7, seed: 3)
    let items = order.items(from: 0, count: 21)
    for epoch in 0..<3 { #expect(Set(items[epoch * 7..<epoch * 7 + 7]) == Set(0..<7)) }
    #expect(items[0..<7] != items[7..<14])
    #expect(order.items(from: 5, count: 9) == Array(items[5..<14]))
    #expect(DataOrder(count: 7, seed: 4).items(from: 0, count: 21) != items)
  }
}
