import Foundation
import Testing

@testable import Training

/// What `plan` says beside what the program takes.
@Suite(.serialized) struct PlanMemoryTests {
  let program: TrainProgram

  init() throws { program = try TrainProgram() }

  /// A model of 101 MB, so that what every program takes does not count for much.
  private func makeStage() throws -> String {
    let line = (1...30).map { "\($0 * 7) + \($0 * 5) = \($0 * 12)." }.joined(separator: " ")
    try program.write(
      "texts.jsonl", (1...4).map { "{\"prompt\": \"Add \($0).\", \"response\": \"\(line)\"}\n" }.joined())
    return try program.write(
      "sft.yaml",
      """
      run: ./sft
      new_model:
        tokenizer: \(TrainProgram.root)/configs/demo
        shape:
          architecture: qwen2
          hidden_size: 512
          intermediate_size: 1408
          layer_count: 8
          head_count: 8
          key_value_head_count: 4
          vocabulary_size: 2048
          context_length: 1024
      data: texts.jsonl
      steps: 2
      save_every: 1
      update_batch: 2
      micro_batch_tokens: 1024
      prompt: {template: none}

      """)
  }

  /// The largest resident set of a process that ends well.
  private func peak(_ arguments: [String]) throws -> Int {
    let process = try program.start(arguments)
    var largest = 0
    while process.isRunning {
      let status = (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)) ?? ""
      for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
        let kilobytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
        largest = max(largest, (kilobytes ?? 0) << 10)
      }
      usleep(5000)
    }
    let outcome = try program.end(process)
    #expect(outcome.status == 0, "\(outcome.errors)")
    return largest
  }

  @Test(arguments: [
    ["recompute=none"], ["optimizer.state=8bit", "recompute=layers"], ["lora.rank=8", "recompute=none"],
  ])
  func theMeasuredPeakIsWithinATenth(settings: [String]) throws {
    let stage = try makeStage()
    let more = settings.flatMap { ["--set", $0] }
    let outcome = try program.end(program.start(["plan", stage, "--stage", "sft", "--json"] + more))
    #expect(outcome.status == 0, "\(outcome.errors)")
    let plan = try JSONDecoder().decode(Plan.self, from: Data(outcome.output.utf8))
    #expect(plan.recomputes == settings.contains("recompute=layers"))
    let measured = try peak(["sft", stage] + more)
    let ratio = Double(plan.peakBytes) / Double(measured)
    #expect(abs(ratio - 1) < 0.1, "\(plan.peakBytes) planned, \(measured) measured: \(plan.text)")
  }
}
