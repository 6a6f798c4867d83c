import Foundation
import Reports
import Rollout
import Support
import Tensor
import Training
import Transformer

/// How fast this program is here, beside what the machine could do at best: `train bench`.
public struct Benchmark: Codable, Sendable, Equatable {
  public struct Result: Codable, Sendable, Equatable {
    public var name: String
    /// The median of several repeats.
    public var value: Double
    public var unit: String
    /// What the machine allows, measured in the same run: the slower of memory bandwidth and a large sgemm for the
    /// bytes and operations needed. nil where neither is what holds it up.
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
  /// How costs grow, where that was asked for.
  public var growth: [Growth]?
  /// Where the time of each measurement of `results` went, those apart that have no parts; where that was asked for.
  public var profile: [Profile]?

  /// The shape of the model that `make demo` trains.
  public static let demoShape = ModelConfiguration(
    architecture: .qwen2, hiddenSize: 192, intermediateSize: 512, layerCount: 5, heads: .init(6, keyValue: 3),
    vocabularySize: 467, contextLength: 1024, tiedHead: true)

  /// Measures everything, one thing after another.
  ///
  /// - Parameters:
  ///   - model: what decodes and trains; its weights are changed. nil: random weights of the demo's shape.
  ///   - folder: where a model file is saved and loaded; it is removed again.
  ///   - python: as in `InterpreterSettings`.
  ///   - only: everything if empty, or nothing where `growth` is asked for.
  ///   - sizes: how much work.
  ///   - profile: whether the parts of the measurements are timed.
  ///   - growth: along what costs are measured at several sizes.
  /// - Throws: `MartletError` when no sandbox holds here, the folder cannot be written, or the model's context is too
  ///   short for the sizes.
  public static func run(
    model: LanguageModel? = nil, pool: WorkerPool, folder: String = NSTemporaryDirectory(), python: String? = nil,
    only: [Part] = [], sizes: Sizes = Sizes(), growth: [Growth.Axis] = [], profile: Bool = false,
    onEvent: EventHandler = { _ in }
  ) throws -> Benchmark {
    try run(
      model: model, pool: pool, folder: folder, python: python, only: only, sizes: sizes, growth: growth,
      profile: profile, effort: 1, onEvent: onEvent)
  }

  /// What can be measured apart.
  public enum Part: String, CaseIterable, Sendable {
    case gemm, decode, prefill, train
    case trainExact = "train_exact"
    case trainBLAS = "train_blas"
    case trainLoRA = "train_lora"
    case grpoStep = "grpo_step"
    case tools, rollout, save
  }

  /// - Parameter effort: scales the repeats.
  static func run(
    model given: LanguageModel?, pool: WorkerPool, folder: String, python: String?, only: [Part] = [],
    sizes: Sizes = Sizes(), growth: [Growth.Axis] = [], profile: Bool = false, effort: Double, onEvent: EventHandler
  ) throws -> Benchmark {
    let all = growth.isEmpty ? Part.allCases : []
    let chosen = only.isEmpty ? all : Part.allCases.filter(only.contains)
    let model = given ?? LanguageModel(configuration: demoShape)
    if given == nil { model.initialize(seed: 0, pool: pool) }
    try sizes.check(chosen, model.configuration)
    // The interpreter's process is forked while this one is still small.
    let needsTools = chosen.contains(.tools) || chosen.contains(.rollout)
    let tools = needsTools ? try ToolBench(python: python, effort: effort) : nil
    let speed = MachineSpeed.measure(pool: pool)
    let bench = ModelBench(
      model: model, pool: pool, speed: speed, sizes: sizes, effort: effort, profiler: profile ? Profiler() : nil)
    let total = chosen.count + growth.count
    func report(_ what: String, _ done: Int) {
      onEvent(.progress(Progress(what: what, done: done, total: total, unit: "measurements")))
    }
    var results: [Result] = []
    for (index, part) in chosen.enumerated() {
      report(part.rawValue, index)
      results += try bench.run(part, tools: tools, folder: folder)
    }
    var curves: [Growth] = []
    let growing = GrowthBench(given: given, pool: pool, speed: speed, sizes: sizes, effort: effort)
    for (index, axis) in growth.enumerated() {
      report(axis.rawValue, chosen.count + index)
      curves += try growing.run(axis).filter { !$0.points.isEmpty }
    }
    report("done", total)
    return Benchmark(
      results: results, growth: growth.isEmpty ? nil : curves, profile: bench.profiler?.profiles)
  }

  /// The tables for a terminal.
  public var table: String {
    let measured = results.isEmpty ? [] : [resultTable]
    let profiles = (profile ?? []).map(\.table)
    return (measured + profiles + (growth ?? []).map { alignedTable($0.rows) }).joined(separator: "\n")
  }

  private var resultTable: String {
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
