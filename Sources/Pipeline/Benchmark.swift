import Foundation
import Rollout
import Tensor
import Transformer

/// How fast this program is here, beside what the machine could do at best: `train bench`.
public struct Benchmark: Codable, Sendable, Equatable {
  public struct Result: Codable, Sendable, Equatable {
    public var name: String
    /// The median of several repeats.
    public var value: Double
    public var unit: String
    /// What the machine allows, measured in the same run: the slower of memory bandwidth and a large sgemm for the bytes and
    /// operations needed. nil where neither is what holds it up.
    public var limit: Double?
    public var shareOfLimit: Double?

    enum CodingKeys: String, CodingKey {
      case name, value, unit, limit
      case shareOfLimit = "share_of_limit"
    }

    init(_ name: String, _ value: Double, _ unit: String, limit: Double? = nil) {
      self.name = name
      self.value = value
      self.unit = unit
      self.limit = limit
      // Of two durations the limit is the shorter one.
      shareOfLimit = limit.map { unit == "s" ? $0 / value : value / $0 }
    }

    public func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(name, forKey: .name)
      try values.encode(value, forKey: .value)
      try values.encode(unit, forKey: .unit)
      try values.encode(limit, forKey: .limit)
      try values.encode(shareOfLimit, forKey: .shareOfLimit)
    }
  }

  public var results: [Result]

  /// The shape of the model that `make demo` trains.
  public static let demoShape = ModelConfiguration(
    architecture: .qwen2, hiddenSize: 192, intermediateSize: 512, layerCount: 5, headCount: 6, keyValueHeadCount: 3,
    vocabularySize: 467, contextLength: 1024, tiedHead: true)

  /// Measures everything, one thing after another.
  ///
  /// - Parameters:
  ///   - model: what decodes and trains; its weights are changed. nil: random weights of the demo's shape.
  ///   - folder: where a model file is saved and loaded; it is removed again.
  ///   - python: as in `InterpreterSettings`.
  /// - Throws: `MartletError` when no sandbox holds here, or the folder cannot be written.
  public static func run(
    model: LanguageModel? = nil, pool: WorkerPool, folder: String = NSTemporaryDirectory(), python: String? = nil,
    onEvent: EventHandler = { _ in }
  ) throws -> Benchmark {
    try run(
      model: model, pool: pool, folder: folder, python: python, effort: 1, onEvent: onEvent)
  }

  /// - Parameter effort: scales the repeats.
  static func run(
    model given: LanguageModel?, pool: WorkerPool, folder: String, python: String?, effort: Double,
    onEvent: EventHandler
  ) throws -> Benchmark {
    let model = given ?? LanguageModel(configuration: demoShape)
    if given == nil { model.initialize(seed: 0, pool: pool) }
    // The interpreter's process is forked while this one is still small.
    let tools = try ToolBench(python: python, effort: effort)
    let speed = MachineSpeed.measure(pool: pool)
    let bench = ModelBench(model: model, pool: pool, speed: speed, effort: effort)
    let runs: [(String, () throws -> [Result])] = [
      ("gemm", { [bench.gemm()] }), ("decode", { [1, 8, 32, 64].map(bench.decode) }),
      ("prefill", { [bench.prefill()] }),
      ("train", { [try bench.train("train", .mixed)] }), ("exact", { [try bench.train("train_exact", .exact)] }),
      ("BLAS", { [try bench.train("train_blas", .blas)] }),
      ("LoRA", { [try bench.train("train_lora", .mixed, adapters: LowRankAdapters(rank: 16))] }),
      ("GRPO step", { [try bench.grpoStep()] }), ("tool calls", tools.calls),
      ("kill", { [try tools.killOvershoot()] }), ("save and load", { try bench.saveAndLoad(folder: folder) }),
    ]
    var results: [Result] = []
    for (index, (name, measure)) in runs.enumerated() {
      onEvent(.progress(Progress(what: name, done: index, total: runs.count, unit: "measurements")))
      results += try measure()
    }
    onEvent(.progress(Progress(what: "done", done: runs.count, total: runs.count, unit: "measurements")))
    return Benchmark(results: results)
  }

  /// The table for a terminal.
  public var table: String {
    alignedTable(
      [["name", "value", "unit", "limit", "share"]]
        + results.map { result in
          [
            result.name, HTML.short(result.value), result.unit, result.limit.map(HTML.short) ?? "-",
            result.shareOfLimit.map { decimals(100 * $0, 0) + " %" } ?? "-",
          ]
        })
  }
}

/// The middle of `values`.
func median(_ values: [Double]) -> Double {
  precondition(!values.isEmpty, "median: no values")
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
