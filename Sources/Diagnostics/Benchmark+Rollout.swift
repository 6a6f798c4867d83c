import Foundation
import Reports
import Rollout
import Support
import Tensor
import Tokenization
import Training
import Transformer

/// What tool calls cost a rollout: the same rollout with the interpreter, and with recorded outputs.
struct RolloutBench {
  let model: LanguageModel
  let pool: WorkerPool
  let interpreter: InterpreterHost
  let sizes: Benchmark.Sizes
  let effort: Double
  var profiler: Profiler?

  static let problems = 8
  static let samples = 8
  static let calls = 2
  /// How many blocks a trajectory would write without a limit. With this many, two calls rarely fail to happen, and
  /// rarely both at the start.
  private static let blocks = 6

  /// 64 trajectories of 256 tokens with two calls each. The vocabulary makes any weights write code: some of its tokens
  /// are small blocks, and a high temperature makes all tokens equally likely.
  func run() throws -> [Benchmark.Result] {
    let (prompt, tokens) = sizes.lengths(.rollout, context: model.configuration.contextLength)
    var settings = SamplerSettings(seed: 1, maxTokens: tokens, maxCalls: Self.calls)
    settings.temperature = 1000
    let V = model.configuration.vocabularySize
    let sampler = Sampler(
      model: model, tokenizer: try Self.tokenizer(V, blocks: max(1, V * Self.blocks / tokens)), stopTokens: [],
      pool: pool, interpreter: interpreter, slots: Self.problems * Self.samples)
    var requests = (0..<Self.problems * Self.samples).map { index in
      let (problem, sample) = (index / Self.samples, index % Self.samples)
      return SampleRequest(
        problem: Problem(id: "bench-\(problem)", problem: "", gold: ""), sample: sample,
        promptTokens: (0..<prompt).map { Int32((problem * 7919 + $0 * 31) % V) })
    }
    let recorded = try sampler.run(requests, settings: settings)
    var (real, replayed): ([Double], [Double]) = ([], [])
    for _ in 0..<(sizes.repeats ?? max(1, Int(5 * effort))) {
      for index in requests.indices { requests[index].recordedCalls = [] }
      profiler?.begin("rollout")
      sampler.timer = profiler?.timer
      real.append(try elapsed { _ = try sampler.run(requests, settings: settings) })
      profiler?.end()
      sampler.timer = nil
      for (index, episode) in recorded.enumerated() { requests[index].recordedCalls = episode.calls }
      replayed.append(try elapsed { _ = try sampler.run(requests, settings: settings) })
    }
    let calls = recorded.reduce(0) { $0 + $1.calls.count }
    return [
      Benchmark.Result("rollout", median(real), "s"),
      Benchmark.Result("rollout_calls", Double(calls) / Double(recorded.count), "calls/trajectory"),
      Benchmark.Result("tool_overhead", 100 * (1 - median(replayed) / median(real)), "%"),
    ]
  }

  /// A vocabulary of the 256 bytes, blocks of code, and words that occur in no text.
  static func tokenizer(_ V: Int, blocks: Int) throws -> Tokenizer {
    guard V >= 256 + blocks else {
      throw MartletError(.configuration, "rollout: a vocabulary of \(V) is too small for every byte and some code")
    }
    let names = byteNames
    var vocabulary: [String: Int] = [:]
    for (byte, name) in names.enumerated() { vocabulary[name] = byte }
    for index in 256..<V {
      let text = index < 256 + blocks ? "\n```python\nprint(\(index) * 31)\n```\n" : "word\(index)"
      vocabulary[text.utf8.map { names[Int($0)] }.joined()] = index
    }
    let json: [String: Any] = [
      "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true],
      "decoder": ["type": "ByteLevel"], "model": ["type": "BPE", "vocab": vocabulary, "merges": [String]()],
    ]
    return try Tokenizer(json: JSONSerialization.data(withJSONObject: json), path: "rollout: tokenizer.json")
  }

  /// How a byte-level vocabulary spells each byte: printable Latin-1 as itself, the others from U+0100 on.
  private static let byteNames: [String] = {
    var next: UInt32 = 0x100
    return (0..<256).map { (byte: UInt32) in
      let printable = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
      if !printable { next += 1 }
      return String(Character(Unicode.Scalar(printable ? byte : next - 1) ?? "?"))
    }
  }()
}
