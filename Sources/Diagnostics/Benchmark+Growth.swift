import Reports
import Support
import Tensor
import Training
import Transformer

/// How a cost grows: one measurement at several sizes.
public struct Growth: Codable, Sendable, Equatable {
  /// What grows.
  public enum Axis: String, Codable, CaseIterable, Sendable {
    /// Tokens of a training batch.
    case tokens
    /// How many sequences decode together.
    case rows
    /// Tokens of the context: of 8 sequences that decode, each with its own context, and of a prompt that is read.
    case context
    /// Tokens of one sequence of a training batch.
    case length
    /// The number of parameters; only with random weights.
    case parameters
    case threads
  }

  /// One size and its figure.
  public struct Point: Codable, Sendable, Equatable {
    /// The size: tokens, rows, positions or threads.
    public var at: Int
    /// The figure, in `unit`.
    public var value: Double
  }

  /// As in `Benchmark.Result`.
  public var name: String
  /// The unit of the figures.
  public var unit: String
  /// What grows.
  public var along: Axis
  /// The sizes, from small to large.
  public var points: [Point]

  /// Three rows for a table: the sizes, the figures, and their shares of the first.
  var rows: [[String]] {
    let first = points.first?.value ?? 1
    return [
      [name, along.rawValue] + points.map { String($0.at) },
      ["", unit] + points.map { shortNumber($0.value) },
      ["", "of the first"] + points.map { decimals(100 * $0.value / first, 0) + " %" },
    ]
  }
}

/// Measures growth on one model, or on random weights of the demo's shape.
struct GrowthBench {
  /// nil: the demo's shape, with a context that fits all points.
  let given: LanguageModel?
  let pool: WorkerPool
  let speed: MachineSpeed
  let sizes: Benchmark.Sizes
  let effort: Double
  var widths = [96, 192, 384, 768]
  /// A point whose operations alone would take longer than this many seconds is left out.
  static let patience = 60.0

  func run(_ axis: Growth.Axis) throws -> [Growth] {
    let model = given ?? Self.random(Self.demoShape(width: Benchmark.demoShape.hiddenSize), pool)
    let bench = self.bench(model, pool)
    let contexts = [128, 512, 1024, 4096].filter { $0 + 16 <= model.configuration.contextLength }
    /// Whether the machine at its best can compute that many tokens' forward passes in time.
    func isBearable(_ tokens: Int) -> Bool {
      let each = bench.scale.forwardOperations(contextLength: 128) + bench.scale.headOperations
      return Double(tokens) * each / bench.flops < Self.patience
    }
    func train(_ bench: ModelBench, length: Int = 128, tokens: Int? = nil) throws -> Benchmark.Result {
      try bench.train("train", .mixed, length: length, tokens: tokens)
    }
    switch axis {
    case .tokens:
      let places = [256, 1024, 4096, 16384].filter { isBearable(3 * $0) }
      return [try curve("train", axis, places) { try train(bench, tokens: $0) }]
    case .rows: return [curve("decode", axis, [1, 4, 8, 16, 32, 64, 128]) { bench.decode(rows: $0) }]
    case .context:
      return [
        curve("decode_8", axis, contexts) { bench.decode(rows: 8, prompt: $0, apart: true) },
        curve("prefill", axis, contexts) { bench.prefill(length: $0) },
      ]
    case .length:
      let places = isBearable(3 * 4096) ? contexts : []
      return [try curve("train", axis, places) { try train(bench, length: $0, tokens: 4096) }]
    case .parameters: return try given == nil ? bySize() : []
    case .threads:
      let counts = (0..<12).map { 1 << $0 }.filter { $0 < pool.threadCount } + [pool.threadCount]
      let benches = counts.map { self.bench(model, $0 == pool.threadCount ? pool : WorkerPool(threadCount: $0)) }
      func bench(_ count: Int) -> ModelBench { benches[counts.firstIndex(of: count) ?? 0] }
      return [
        curve("decode_1", axis, counts) { bench($0).decode(rows: 1) },
        curve("decode_64", axis, counts) { bench($0).decode(rows: 64) },
        try curve("train", axis, counts) { try train(bench($0)) },
      ]
    }
  }

  private func bySize() throws -> [Growth] {
    var curves = ["decode_1", "decode_64", "train"].map {
      Growth(name: $0, unit: "tokens/s", along: .parameters, points: [])
    }
    for width in widths {
      let model = Self.random(Self.demoShape(width: width), pool)
      let bench = self.bench(model, pool)
      let results = [bench.decode(rows: 1), bench.decode(rows: 64), try bench.train("train", .mixed, tokens: 1024)]
      for (index, result) in results.enumerated() {
        curves[index].points.append(Growth.Point(at: bench.scale.parameterCount, value: result.value))
      }
    }
    return curves
  }

  private func curve(
    _ name: String, _ axis: Growth.Axis, _ places: [Int], _ measure: (Int) throws -> Benchmark.Result
  ) rethrows -> Growth {
    Growth(
      name: name, unit: "tokens/s", along: axis,
      points: try places.map { Growth.Point(at: $0, value: try measure($0).value) })
  }

  private func bench(_ model: LanguageModel, _ pool: WorkerPool) -> ModelBench {
    var own = Benchmark.Sizes()
    own.repeats = sizes.repeats
    return ModelBench(model: model, pool: pool, speed: speed, sizes: own, effort: effort)
  }

  /// The demo's shape, wider or narrower, with heads of the same width.
  private static func demoShape(width: Int) -> ModelConfiguration {
    var shape = Benchmark.demoShape
    shape.headCount = shape.headCount * width / shape.hiddenSize
    shape.keyValueHeadCount = shape.headCount / 2
    shape.intermediateSize = shape.intermediateSize * width / shape.hiddenSize
    shape.hiddenSize = width
    shape.contextLength = 8192
    return shape
  }

  private static func random(_ shape: ModelConfiguration, _ pool: WorkerPool) -> LanguageModel {
    let model = LanguageModel(configuration: shape)
    model.initialize(seed: 0, pool: pool)
    return model
  }
}
