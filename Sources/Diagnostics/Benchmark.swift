import Foundation
import Reports
import Rollout
import Support
import Tensor
import Training
import Transformer

/// How fast this program is here, compared with the machine's limits: `train bench`.
public struct Benchmark: Codable, Sendable, Equatable {
  /// One figure.
  public struct Result: Codable, Sendable, Equatable {
    /// What was measured.
    public var name: String
    /// The median of several repeats.
    public var value: Double
    /// `GFLOPS`, `tokens/s`, `s`, ...
    public var unit: String
    /// The machine's limit, measured in the same run: the slower of memory bandwidth and a large sgemm, for the bytes
    /// and operations needed. nil where neither is the limit.
    public var limit: Double?
    /// How much of `limit` is reached, from 0 to 1.
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
      // For durations the limit is the smaller number.
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

  /// The figures, in the order they were measured.
  public var results: [Result]
  /// How costs grow; nil: not asked for.
  public var growth: [Growth]?
  /// Where the time of each measurement went, if it has parts; nil: not asked for.
  public var profile: [Profile]?

  /// The shape of the model that `make demo` trains.
  public static let demoShape = ModelConfiguration(
    architecture: .qwen2, hiddenSize: 192, intermediateSize: 512, layerCount: 5, heads: .init(6, keyValue: 3),
    vocabularySize: 467, contextLength: 1024, tiedHead: true)

  /// What can be measured.
  public enum Part: String, CaseIterable, Sendable {
    case gemm, decode, prefill, train
    case trainExact = "train_exact"
    case trainBLAS = "train_blas"
    case trainLoRA = "train_lora"
    case grpoStep = "grpo_step"
    case tools, rollout, save
  }

  /// What to measure, and how.
  public struct Request: Sendable {
    /// Everything if empty, or nothing where `growth` asks for something.
    public var only: [Part] = []
    /// How much work each measurement does.
    public var sizes = Sizes()
    /// The axes along which costs are measured at several sizes.
    public var growth: [Growth.Axis] = []
    /// Whether the parts of the measurements are timed.
    public var profile = false
    /// The folder where a model file is saved and loaded; the file is removed again.
    public var folder = NSTemporaryDirectory()
    /// The Python to use, as in `InterpreterSettings`.
    public var python: String?
    /// Scales the repeats.
    var effort = 1.0

    /// Everything, with the sizes of `train bench` without options.
    public init() {}
  }

  /// Measures everything that is asked for, one thing after another.
  ///
  /// - Parameter model: what decodes and trains; its weights are changed. nil: random weights of the demo's shape.
  /// - Throws: `MartletError` when no sandbox holds here, the folder cannot be written, or the model's context is too
  ///   short for the sizes.
  public static func run(
    _ request: Request = Request(), model given: LanguageModel? = nil, pool: WorkerPool,
    onEvent: EventHandler = { _ in }
  ) throws -> Benchmark {
    let (sizes, growth, effort) = (request.sizes, request.growth, request.effort)
    let all = growth.isEmpty ? Part.allCases : []
    let chosen = request.only.isEmpty ? all : Part.allCases.filter(request.only.contains)
    let model = given ?? LanguageModel(configuration: demoShape)
    if given == nil { model.initialize(seed: 0, pool: pool) }
    try sizes.check(chosen, model.configuration)
    // The interpreter's process is forked while this one is still small.
    let needsTools = chosen.contains(.tools) || chosen.contains(.rollout)
    let tools = needsTools ? try ToolBench(python: request.python, effort: effort) : nil
    let speed = MachineSpeed.measure(pool: pool)
    let bench = ModelBench(
      model: model, pool: pool, speed: speed, sizes: sizes, effort: effort,
      profiler: request.profile ? Profiler() : nil)
    let total = chosen.count + growth.count
    func report(_ what: String, _ done: Int) {
      onEvent(.progress(Progress(what: what, done: done, total: total, unit: "measurements")))
    }
    var results: [Result] = []
    for (index, part) in chosen.enumerated() {
      report(part.rawValue, index)
      results += try bench.run(part, tools: tools, folder: request.folder)
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
            result.name, shortNumber(result.value), result.unit, result.limit.map(shortNumber) ?? "-",
            result.shareOfLimit.map { decimals(100 * $0, 0) + " %" } ?? "-",
          ]
        })
  }
}

/// The median of `values`.
func median(_ values: [Double]) -> Double {
  precondition(!values.isEmpty, "median: no values")
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
