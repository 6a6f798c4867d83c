import Foundation
import Rollout
import Support
import Tensor
import TestSupport
import Testing
import Transformer
@testable import Diagnostics

@testable import Training

@Suite struct BenchmarkTests {
  private let pool = WorkerPool(threadCount: 2)
  private let model = LanguageModel(
    configuration: ModelConfiguration(
      architecture: .qwen2, hiddenSize: 32, intermediateSize: 48, layerCount: 2, heads: .init(2), vocabularySize: 300,
      contextLength: 160))

  init() { model.initialize(seed: 3, pool: pool) }

  /// Few repeats, and neither a folder nor a Python unless `change` gives them.
  private func run(_ change: (inout Benchmark.Request) -> Void) throws -> Benchmark {
    var request = Benchmark.Request()
    (request.folder, request.python, request.effort) = ("/nowhere", "/nowhere", 0.2)
    change(&request)
    return try Benchmark.run(request, model: model, pool: pool)
  }

  @Test func everythingIsMeasured() throws {
    let folder = try ScratchFolder()
    let benchmark = try run { ($0.folder, $0.python) = (folder.path, nil) }
    #expect(
      benchmark.results.map(\.name) == [
        "gemm", "decode_1", "decode_8", "decode_32", "decode_64", "decode_64_apart", "prefill", "train", "train_exact",
        "train_blas",
        "train_lora", "grpo_step",
        "tool_call_p50", "tool_call_p99", "snippets_per_second", "kill_overshoot", "rollout",
        "rollout_calls", "tool_overhead", "save", "load",
      ])
    for result in benchmark.results {
      // A difference of two times may fall below 0.
      #expect(result.value.isFinite && (result.value > 0 || result.name == "tool_overhead"), "\(result)")
      #expect(result.shareOfLimit == result.limit.map { result.unit == "s" ? $0 / result.value : result.value / $0 })
    }
    #expect(benchmark.results.prefix(11).allSatisfy { ($0.limit ?? 0) > 0 })
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(benchmark)) as? [String: Any]
    let first = try #require((object?["results"] as? [[String: Any]])?.last)
    #expect(Set(first.keys) == ["name", "value", "unit", "limit", "share_of_limit"] && first["limit"] is NSNull)
  }

  @Test func partsAreMeasuredAlone() throws {
    let benchmark = try run { $0.only = [.prefill, .gemm] }
    #expect(benchmark.results.map(\.name) == ["gemm", "prefill"])
  }

  @Test func sizesAreThoseAskedFor() throws {
    var sizes = Benchmark.Sizes()
    (sizes.rows, sizes.prompt, sizes.tokens) = ([2, 3], 20, 4)
    (sizes.prompts, sizes.samples, sizes.repeats) = (1, 2, 1)
    func run(_ only: [Benchmark.Part]) throws -> [Benchmark.Result] {
      try self.run { ($0.only, $0.sizes) = (only, sizes) }.results
    }
    #expect(try run([.decode, .grpoStep]).map(\.name) == ["decode_2", "decode_3", "decode_3_apart", "grpo_step"])
    sizes.tokens = 141
    for part in [Benchmark.Part.decode, .grpoStep, .rollout] {
      #expect(throws: MartletError.self, "\(part)") { _ = try run([part]) }
    }
    sizes.tokens = 140
    #expect(try run([.decode]).count == 3)
    sizes.rows = [0]
    #expect(throws: MartletError.self) { _ = try run([.decode]) }
  }

  @Test func growthHasItsPoints() throws {
    let benchmark = try run { $0.growth = Growth.Axis.allCases }
    #expect(benchmark.results.isEmpty)
    let curves = try #require(benchmark.growth)
    #expect(
      curves.map { "\($0.name) \($0.along.rawValue) \($0.points.map(\.at))" } == [
        "train tokens [256, 1024, 4096, 16384]", "decode rows [1, 4, 8, 16, 32, 64, 128]", "decode_8 context [128]",
        "prefill context [128]", "train length [128]", "decode_1 threads [1, 2]", "decode_64 threads [1, 2]",
        "train threads [1, 2]",
      ])
    #expect(curves.allSatisfy { $0.points.allSatisfy { $0.value > 0 } && $0.unit == "tokens/s" })
    let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(benchmark)) as? [String: Any]
    let first = try #require((object?["growth"] as? [[String: Any]])?.first)
    #expect(Set(first.keys) == ["name", "unit", "along", "points"])
    var bench = GrowthBench(
      given: nil, pool: pool, speed: MachineSpeed.measure(pool: pool), sizes: Benchmark.Sizes(), effort: 0.2)
    bench.widths = [64, 96]
    let sizes = try bench.run(.parameters).map { $0.points.map(\.at) }
    #expect(sizes.count == 3 && sizes.allSatisfy { $0.count == 2 && $0[0] < $0[1] })
  }

  @Test func profilesNameTheParts() throws {
    var sizes = Benchmark.Sizes()
    (sizes.rows, sizes.repeats) = ([2, 3], 1)
    let benchmark = try run { ($0.only, $0.sizes, $0.profile) = ([.gemm, .decode, .train], sizes, true) }
    let profiles = try #require(benchmark.profile)
    #expect(profiles.map(\.name) == ["decode_2", "decode_3", "train"])
    let drawing: Set<PartTimer.Part> = [.decode, .decodeAttention, .decodeHead, .draw]
    #expect(drawing.isSubset(of: profiles[0].parts.map(\.part)))
    let training: Set<PartTimer.Part> = [
      .packing, .forward, .forwardAttention, .head, .backward, .backwardAttention, .optimizer,
    ]
    #expect(training.isSubset(of: profiles[2].parts.map(\.part)))
  }

  /// The words of the rollout: 256 bytes, blocks that the scanner takes for calls, and others.
  @Test func rolloutWritesCode() throws {
    let tokenizer = try RolloutBench.tokenizer(300, blocks: 10)
    #expect(tokenizer.encode("a\u{0}\n ü").map { Array(tokenizer.bytes($0)) } == [[97], [0], [10], [32], [195], [188]])
    var scanner = FencedPython().scanner()
    let calls = (256..<300).map { id in tokenizer.bytes(Int32(id)).compactMap { scanner.push($0) } }
    #expect(calls.map(\.count) == [Int](repeating: 1, count: 10) + [Int](repeating: 0, count: 34))
    #expect(calls[0][0] == ToolCall(code: "print(256 * 31)\n"))
    #expect(throws: MartletError.self) { _ = try RolloutBench.tokenizer(260, blocks: 10) }
  }

  @Test func medianIsTheMiddle() {
    #expect(median([3, 1, 2]) == 2)
    #expect(median([4, 1, 2, 3]) == 2.5)
  }
}
