import Checkpoint
import Foundation
import Reports
import Support
import Tensor
import Training
import Transformer

/// The measurements that need a model.
struct ModelBench {
  let model: LanguageModel
  let pool: WorkerPool
  let speed: MachineSpeed
  var sizes = Benchmark.Sizes()
  let effort: Double
  var profiler: Profiler?

  var scale: ModelScale { ModelScale(model.configuration) }
  var flops: Double { speed.gflops * 1e9 }

  func run(_ part: Benchmark.Part, tools: ToolBench?, folder: String) throws -> [Benchmark.Result] {
    switch part {
    case .gemm: [gemm()]
    case .decode:
      sizes.rows.map { decode(rows: $0) }
        + sizes.rows.suffix(1).filter { $0 > 1 }.map { decode(rows: $0, apart: true) }
    case .prefill: [prefill()]
    case .train: [try train(part.rawValue, .mixed)]
    case .trainExact: [try train(part.rawValue, .exact)]
    case .trainBLAS: [try train(part.rawValue, .blas)]
    case .trainLoRA: [try train(part.rawValue, .mixed, adapters: LowRankAdapters(rank: 16))]
    case .grpoStep: [try grpoStep()]
    case .tools: try tools.map { try $0.calls() + [$0.killOvershoot()] } ?? []
    case .rollout:
      try tools.map {
        try RolloutBench(
          model: model, pool: pool, interpreter: $0.host, sizes: sizes, effort: effort, profiler: profiler
        ).run()
      } ?? []
    case .save: try saveAndLoad(folder: folder)
    }
  }

  /// Median seconds of `body`, after one run to warm up. Without `--repeats`, slow work is repeated less often.
  func seconds(_ name: String = "", repeats: Int, _ body: () throws -> Void) rethrows -> Double {
    let first = try elapsed(body)
    profiler?.begin(name)
    defer { profiler?.end() }
    let count = sizes.repeats ?? max(1, min(Int(Double(repeats) * effort), Int(10 * effort / max(first, 1e-6))))
    return median(try (0..<count).map { _ in try elapsed(body) })
  }

  /// The forward product of the numeric contract, 1,024 x 1,024 x 1,024, against OpenBLAS.
  func gemm() -> Benchmark.Result {
    let size = 1024
    let (x, w, y) = (FloatBuffer(count: size * size), FloatBuffer(count: size * size), FloatBuffer(count: size * size))
    for index in 0..<size * size {
      x.pointer[index] = Float(index % 17) * 0.01
      w.pointer[index] = Float(index % 13) * 0.01
    }
    let storage = FloatBuffer(count: PackedWeights.floatCount(outputs: size, inputs: size))
    let packed = packWeights(w.pointer, outputs: size, inputs: size, into: storage.pointer, pool: pool)
    let taken = seconds(repeats: 9) {
      linear(
        MutableRows(y.pointer, count: size, width: size), Rows(x.pointer, count: size, width: size), weights: packed,
        bias: nil, pool: pool)
    }
    withExtendedLifetime(storage) {}
    return Benchmark.Result("gemm", 2 * pow(Double(size), 3) / taken / 1e9, "GFLOP/s", limit: speed.gflops)
  }

  /// Tokens a second of `rows` sequences that decode after contexts of `prompt` tokens. Draws are included, reading the
  /// context is not.
  /// - Parameter apart: whether each row has its own context; else eight rows share one, as the samples of a prompt do.
  func decode(rows: Int, prompt: Int? = nil, apart: Bool = false) -> Benchmark.Result {
    let V = model.configuration.vocabularySize
    let (usual, steps) = sizes.lengths(.decode, context: model.configuration.contextLength)
    let start = prompt ?? usual
    let pass = SamplingPass(model: model, pool: pool, slotCount: rows, capacity: start + steps)
    for slot in 0..<rows {
      let first = apart ? slot : slot / 8 * 8
      if slot > first {
        pass.copyCache(from: first, to: slot, length: start)
        continue
      }
      pass.run(
        (0..<start).map {
          SamplingPass.Row(slot: slot, token: token(slot * start + $0), position: $0, wantsLogits: false)
        },
        consume: { _, _ in })
    }
    pass.timer = profiler?.timer
    let drawn = UnsafeMutableBufferPointer<Int32>.allocate(capacity: rows)
    defer { drawn.deallocate() }
    let settings = SamplingSettings()
    let taken = seconds("decode_\(rows)", repeats: 7) {
      for row in 0..<rows { drawn[row] = token(row) }
      for position in start..<start + steps {
        pass.run(
          (0..<rows).map { SamplingPass.Row(slot: $0, token: drawn[$0], position: position, wantsLogits: true) }
        ) { row, logits in
          var random = CounterRandom(seed: 1, path: [UInt64(row), UInt64(position)])
          drawn[row] = draw(logits, count: V, settings: settings, uniform: random.uniform()).token
        }
      }
    }
    let middle = start + steps / 2
    let operations = Double(rows) * (scale.forwardOperations(contextLength: middle) + scale.headOperations)
    let bytes = pass.packedBytes + rows * middle * scale.cacheBytesPerToken
    return Benchmark.Result(
      "decode_\(rows)\(apart ? "_apart" : "")", Double(rows * steps) / taken, "tokens/s",
      limit: Double(rows) / slower(operations: operations, bytes: bytes))
  }

  /// Tokens a second of one prompt, of up to 512 tokens unless `length` or `--prompt` says otherwise.
  func prefill(length: Int? = nil) -> Benchmark.Result {
    let count = length ?? sizes.lengths(.prefill, context: model.configuration.contextLength).prompt
    let pass = SamplingPass(model: model, pool: pool, slotCount: 1, capacity: count)
    pass.timer = profiler?.timer
    let rows = (0..<count).map { SamplingPass.Row(slot: 0, token: token($0), position: $0, wantsLogits: false) }
    let taken = seconds("prefill", repeats: 7) { pass.run(rows, consume: { _, _ in }) }
    let operations = Double(count) * scale.forwardOperations(contextLength: count / 2)
    return Benchmark.Result(
      "prefill", Double(count) / taken, "tokens/s",
      limit: Double(count) / slower(operations: operations, bytes: pass.packedBytes))
  }

  /// Megabytes a second of writing a model file, synced, and of reading it back, verified.
  func saveAndLoad(folder: String) throws -> [Benchmark.Result] {
    let path = "\(folder)/martlet-bench-\(getpid()).h5"
    defer { unlink(path) }
    let save = try seconds(repeats: 3) { try ModelFile.write(model, files: ModelFiles(), to: path) }
    let load = try seconds(repeats: 3) { _ = try ModelFile.read(path) }
    let megabytes = Double(scale.weightBytes) / 1e6
    return [Benchmark.Result("save", megabytes / save, "MB/s"), Benchmark.Result("load", megabytes / load, "MB/s")]
  }

  /// The least seconds that the machine needs. What fits in its last cache need not be read from memory.
  func slower(operations: Double, bytes: Int) -> Double {
    let reading = bytes > MachineMemory.lastLevelCache ? Double(bytes) / (speed.readGigabytes * 1e9) : 0
    return max(operations / flops, reading)
  }

  func token(_ place: Int) -> Int32 { Int32((place * 31 + 7) % model.configuration.vocabularySize) }
}
