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
  ///   - only: everything if empty.
  /// - Throws: `MartletError` when no sandbox holds here, or the folder cannot be written.
  public static func run(
    model: LanguageModel? = nil, pool: WorkerPool, folder: String = NSTemporaryDirectory(), python: String? = nil,
    only: [Part] = [], onEvent: EventHandler = { _ in }
  ) throws -> Benchmark {
    try run(
      model: model, pool: pool, folder: folder, python: python, only: only, effort: 1, onEvent: onEvent)
  }

  /// What can be measured apart.
  public enum Part: String, CaseIterable, Sendable {
    case gemm, decode, prefill, train
    case trainExact = "train_exact"
    case trainBLAS = "train_blas"
    case trainLoRA = "train_lora"
    case grpoStep = "grpo_step"
    case tools, save
  }

  /// - Parameter effort: scales the repeats.
  static func run(
    model given: LanguageModel?, pool: WorkerPool, folder: String, python: String?, only: [Part] = [],
    effort: Double, onEvent: EventHandler
  ) throws -> Benchmark {
    let chosen = only.isEmpty ? Part.allCases : Part.allCases.filter(only.contains)
    let model = given ?? LanguageModel(configuration: demoShape)
    if given == nil { model.initialize(seed: 0, pool: pool) }
    // The interpreter's process is forked while this one is still small.
    let tools = chosen.contains(.tools) ? try ToolBench(python: python, effort: effort) : nil
    let speed = MachineSpeed.measure(pool: pool)
    let bench = ModelBench(model: model, pool: pool, speed: speed, effort: effort)
    var results: [Result] = []
    for (index, part) in chosen.enumerated() {
      onEvent(.progress(Progress(what: part.rawValue, done: index, total: chosen.count, unit: "measurements")))
      let measured: [Result] =
        switch part {
        case .gemm: [bench.gemm()]
        case .decode:
          [1, 8, 32, 64].map { bench.decode("decode_\($0)", rows: $0) }
            + [bench.decode("decode_64_apart", rows: 64, group: 1)]
        case .prefill: [bench.prefill()]
        case .train: [try bench.train(part.rawValue, .mixed)]
        case .trainExact: [try bench.train(part.rawValue, .exact)]
        case .trainBLAS: [try bench.train(part.rawValue, .blas)]
        case .trainLoRA: [try bench.train(part.rawValue, .mixed, adapters: LowRankAdapters(rank: 16))]
        case .grpoStep: [try bench.grpoStep()]
        case .tools: try tools.map { try $0.calls() + [$0.killOvershoot()] } ?? []
        case .save: try bench.saveAndLoad(folder: folder)
        }
      results += measured
    }
    onEvent(.progress(Progress(what: "done", done: chosen.count, total: chosen.count, unit: "measurements")))
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
