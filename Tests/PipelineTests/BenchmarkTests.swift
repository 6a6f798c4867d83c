import Foundation
import Tensor
import Testing
import Transformer

@testable import Pipeline

@Suite struct BenchmarkTests {
  private let pool = WorkerPool(threadCount: 2)
  private let model = LanguageModel(
    configuration: ModelConfiguration(
      architecture: .qwen2, hiddenSize: 32, intermediateSize: 48, layerCount: 2, headCount: 2, vocabularySize: 50,
      contextLength: 160))

  init() { model.initialize(seed: 3, pool: pool) }

  @Test func everythingIsMeasured() throws {
    let folder = try ScratchFolder()
    let benchmark = try Benchmark.run(
      model: model, pool: pool, folder: folder.path, python: nil, effort: 0.2, onEvent: { _ in })
    #expect(
      benchmark.results.map(\.name) == [
        "gemm", "decode_1", "decode_8", "decode_32", "decode_64", "decode_64_apart", "prefill", "train", "train_exact",
        "train_blas",
        "train_lora", "grpo_step",
        "tool_call_p50", "tool_call_p99", "snippets_per_second", "kill_overshoot", "save", "load",
      ])
    for result in benchmark.results {
      #expect(result.value.isFinite && result.value > 0, "\(result)")
      #expect(result.shareOfLimit == result.limit.map { result.unit == "s" ? $0 / result.value : result.value / $0 })
    }
    #expect(benchmark.results.prefix(11).allSatisfy { ($0.limit ?? 0) > 0 })
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(benchmark)) as? [String: Any]
    let first = try #require((object?["results"] as? [[String: Any]])?.last)
    #expect(Set(first.keys) == ["name", "value", "unit", "limit", "share_of_limit"] && first["limit"] is NSNull)
  }

  @Test func partsAreMeasuredAlone() throws {
    let benchmark = try Benchmark.run(
      model: model, pool: pool, folder: "/nowhere", python: "/nowhere", only: [.prefill, .gemm], effort: 0.2,
      onEvent: { _ in })
    #expect(benchmark.results.map(\.name) == ["gemm", "prefill"])
  }

  @Test func medianIsTheMiddle() {
    #expect(median([3, 1, 2]) == 2)
    #expect(median([4, 1, 2, 3]) == 2.5)
  }
}
