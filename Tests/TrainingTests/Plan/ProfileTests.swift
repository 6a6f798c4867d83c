import Foundation
import Testing
@testable import Reports

/// `--profile` times the parts of a step and changes nothing else.
@Suite(.serialized) struct ProfileTests {
  let program: TrainProgram

  init() throws { program = try TrainProgram() }

  @Test func aTimedRunIsTheSameRun() throws {
    #expect(try program.run("problems", "--seed", "3", "--count", "4", "--output", "p.jsonl").status == 0)
    let config = try program.write(
      "rl.yaml",
      """
      run: ./plain
      model: \(TrainProgram.root)/configs/demo/base.h5
      data: p.jsonl
      steps: 2
      save_every: 1
      prompts_per_step: 2
      samples_per_prompt: 2
      sampling: {temperature: 1.0, max_tokens: 64, max_calls: 1}
      prompt: {template: none, hint: "Let us use python code to solve this problem."}
      interpreter: {packages: [], time_limit: 3}
      # Without a KL, steps whose groups have equal rewards would train on nothing.
      loss: {kind: grpo, kl: k3, kl_coef: 0.001}

      """)
    let plain = try program.run("rl", config)
    #expect(plain.status == 0 && !plain.output.contains("share"), "\(plain.errors)")
    let timed = try program.run("rl", config, "--set", "run=./timed", "--profile")
    #expect(timed.status == 0 && timed.output.hasPrefix("all steps"), "\(timed.output) \(timed.errors)")
    let lines = try program.lines("timed/metrics.jsonl")
    let hashes = lines.map { $0["state_hash"] as? String }
    #expect(try hashes.count == 2 && hashes == program.lines("plain/metrics.jsonl").map { $0["state_hash"] as? String })
    for line in lines {
      let parts = Set(line.keys.filter { $0.hasPrefix("profile_") }.map { $0.dropFirst("profile_".count) })
      // Checkpoints and waiting may take no time that a clock sees.
      #expect(
        parts.isSuperset(of: [
          "packing", "prefill", "decode", "decode_attention", "decode_head", "draw", "forward", "forward_attention",
          "head", "backward", "backward_attention", "optimizer", "other",
        ]), "\(parts)")
    }
    #expect(try program.lines("plain/metrics.jsonl").allSatisfy { !$0.keys.contains { $0.hasPrefix("profile_") } })
  }

  @Test func sharesAreOfTheWhole() {
    let profile = Profile("work", [.head: 1, .forward: 3])
    #expect(
      profile.parts == [
        Profile.Part(part: .forward, seconds: 3, share: 0.75), Profile.Part(part: .head, seconds: 1, share: 0.25),
      ])
    #expect(profile.table.contains("75.0 %"))
  }
}
