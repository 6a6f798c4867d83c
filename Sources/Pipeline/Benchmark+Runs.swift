import Checkpoint
import Foundation
import PPO
import Rollout
import Synchronization
import Tensor
import Transformer

/// The measurements that need a model.
struct ModelBench {
  let model: LanguageModel
  let pool: WorkerPool
  let speed: MachineSpeed
  let effort: Double

  private var scale: ModelScale { ModelScale(model.configuration) }
  private var flops: Double { speed.gflops * 1e9 }

  /// Median seconds of `body` after one run to warm up; fewer repeats of what takes long.
  private func seconds(repeats: Int, _ body: () throws -> Void) rethrows -> Double {
    let first = try elapsed(body)
    let count = max(1, min(Int(Double(repeats) * effort), Int(10 * effort / max(first, 1e-6))))
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
      linear(y.pointer, yStride: size, x: x.pointer, xStride: size, rows: size, weights: packed, bias: nil, pool: pool)
    }
    withExtendedLifetime(storage) {}
    return Benchmark.Result("gemm", 2 * pow(Double(size), 3) / taken / 1e9, "GFLOP/s", limit: speed.gflops)
  }

  /// Tokens a second of `rows` sequences at contexts of about 128 tokens, draws included.
  /// - Parameter group: sequences that have a prompt of 120 tokens in common, as GRPO's have.
  func decode(_ name: String, rows: Int, group: Int = 8) -> Benchmark.Result {
    let V = model.configuration.vocabularySize
    let steps = 16
    let start = max(1, min(120, model.configuration.contextLength - steps))
    let pass = SamplingPass(model: model, pool: pool, slotCount: rows, capacity: start + steps)
    for first in stride(from: 0, to: rows, by: group) {
      pass.run(
        (0..<start).map { SamplingPass.Row(slot: first, token: token(first + $0), position: $0, wantsLogits: false) },
        consume: { _, _ in })
      for slot in first + 1..<max(first + 1, min(first + group, rows)) {
        pass.copyCache(from: first, to: slot, length: start)
      }
    }
    let drawn = UnsafeMutableBufferPointer<Int32>.allocate(capacity: rows)
    defer { drawn.deallocate() }
    let settings = SamplingSettings()
    let taken = seconds(repeats: 7) {
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
    let context = start + steps / 2
    let operations = Double(rows) * (scale.forwardOperations(contextLength: context) + scale.headOperations)
    let bytes = scale.packedBytes + rows * context * scale.cacheBytesPerToken
    return Benchmark.Result(
      name, Double(rows * steps) / taken, "tokens/s",
      limit: Double(rows) / slower(operations: operations, bytes: bytes))
  }

  /// Tokens a second of one prompt of up to 512 tokens.
  func prefill() -> Benchmark.Result {
    let count = min(512, model.configuration.contextLength)
    let pass = SamplingPass(model: model, pool: pool, slotCount: 1, capacity: count)
    let rows = (0..<count).map { SamplingPass.Row(slot: 0, token: token($0), position: $0, wantsLogits: false) }
    let taken = seconds(repeats: 7) { pass.run(rows, consume: { _, _ in }) }
    let operations = Double(count) * scale.forwardOperations(contextLength: count / 2)
    return Benchmark.Result(
      "prefill", Double(count) / taken, "tokens/s",
      limit: Double(count) / slower(operations: operations, bytes: scale.packedBytes))
  }

  /// Tokens a second of a fine-tuning step: forward, backward and AdamW over packed sequences of 128 tokens, 32 of them for a
  /// small model and 8 for one whose 32 would take minutes. `train_blas` does without the contract.
  /// - Parameter adapters: trained instead of the weights.
  func train(
    _ name: String, _ matmul: MatmulMode, adapters: LowRankAdapters? = nil
  ) throws -> Benchmark.Result {
    let model = try adapters.map { try self.model.adapted($0, seed: 0) } ?? self.model
    let length = min(128, model.configuration.contextLength)
    let sequences = scale.parameterCount < 50_000_000 ? 32 : 8
    let gradients = FloatBuffer(count: model.table.trainable.count)
    let pass = TrainingPass(model: model, gradients: gradients, matmul: matmul, pool: pool)
    let optimizer = Optimizer(settings: OptimizerSettings(learningRate: 1e-6), parameterCount: gradients.count)
    let batch = PackedTokens((0..<sequences).map { s in (0..<length).map { token(s * length + $0) } })
    // Each row but the last of its sequence is asked for the next one's token.
    let targets = batch.sequences.flatMap { sequence in
      sequence.rows.dropLast().map { Target(row: $0, token: batch.tokens[$0 + 1]) }
    }
    let coefficient = TargetCoefficients(logProb: -1 / Float(targets.count))
    let taken = try seconds(repeats: 5) {
      gradients.zero()
      pass.forward(batch)
      pass.scoreAndBackpropagate(targets) { range, _, _ in range.map { _ in coefficient } }
      pass.backward()
      pass.finishGradients()
      _ = try optimizer.update(weights: model.trainableWeights, gradients: gradients, totalSteps: 1000, pool: pool)
      pass.weightsChanged()
    }
    // Without dW two thirds are left.
    let each = (adapters == nil ? 3 : 2) * (scale.forwardOperations(contextLength: length / 2) + scale.headOperations)
    return Benchmark.Result(name, Double(batch.tokens.count) / taken, "tokens/s", limit: flops / each)
  }

  /// Seconds of a GRPO step without tools: 4 prompts of 64 tokens, 8 responses of 64 each, one update of all weights.
  func grpoStep() throws -> Benchmark.Result {
    let (prompts, samples, length) = (4, 8, min(64, model.configuration.contextLength / 2))
    var configuration = Configuration()
    configuration.optimizer.learningRate = 1e-6
    configuration.loss.kind = .grpo
    configuration.loss.advantage = .grpo
    let learner = Learner(model: model, configuration: configuration, pool: pool)
    let pass = SamplingPass(
      model: model, pool: pool, slotCount: prompts * samples, capacity: 2 * length, packedStorage: learner.gradients,
      matmul: configuration.matmul)
    let loss = configuration.loss
    let taken = try seconds(repeats: 5) {
      pass.weightsChanged()
      var batch = sample(pass, prompts: prompts, samples: samples, length: length)
      let advantages = loss.advantages(PolicyBatch(batch.map(\.policy)))
      for index in batch.indices { batch[index].advantages = advantages.perToken[index] }
      let weights = loss.aggregation.weights(batch.map(\.policy), length: loss.aggregationLength)
      _ = try learner.update(batch, weights: weights, totalSteps: 1000)
    }
    let read = Double(prompts * length) * scale.forwardOperations(contextLength: length / 2)
    let drawn = Double(prompts * samples * length)
    let stepOperations =
      Double(prompts * samples) * (scale.forwardOperations(contextLength: 3 * length / 2) + scale.headOperations)
    let training =
      3
      * ((drawn + Double(prompts * length)) * scale.forwardOperations(contextLength: length)
        + drawn * scale.headOperations) / flops
    let limit =
      read / flops + Double(length) * slower(operations: stepOperations, bytes: scale.packedBytes) + training
    return Benchmark.Result("grpo_step", taken, "s", limit: limit)
  }

  /// Groups of `samples` responses, each `length` tokens long after a prompt that is as long, every other one right.
  private func sample(_ pass: SamplingPass, prompts: Int, samples: Int, length: Int) -> [LearningSample] {
    let V = model.configuration.vocabularySize
    let rows = prompts * samples
    var tokens = (0..<rows).map { row in (0..<length).map { token(row / samples * length + $0) } }
    var logProbs = [[Float]](repeating: [], count: rows)
    for first in stride(from: 0, to: rows, by: samples) {
      pass.run(
        (0..<length - 1).map {
          SamplingPass.Row(slot: first, token: tokens[first][$0], position: $0, wantsLogits: false)
        },
        consume: { _, _ in })
      for slot in first + 1..<first + samples { pass.copyCache(from: first, to: slot, length: length - 1) }
    }
    var draws = [Draw?](repeating: nil, count: rows)
    for position in length - 1..<2 * length - 1 {
      draws.withUnsafeMutableBufferPointer { draws in
        pass.run(
          (0..<rows).map {
            SamplingPass.Row(slot: $0, token: tokens[$0][position], position: position, wantsLogits: true)
          }
        ) { row, logits in
          var random = CounterRandom(seed: 1, path: [UInt64(row), UInt64(position)])
          draws[row] = draw(logits, count: V, settings: SamplingSettings(), uniform: random.uniform())
        }
      }
      for (row, draw) in draws.enumerated() {
        guard let draw else { continue }
        tokens[row].append(draw.token)
        logProbs[row].append(draw.logProb)
      }
    }
    return (0..<rows).map { row in
      LearningSample(
        tokens: tokens[row], responseStart: length,
        policy: PolicySample(
          group: row / samples, reward: Double(row % 2), responseMask: [Bool](repeating: true, count: length),
          oldLogProbs: logProbs[row]),
        advantages: [])
    }
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

  /// Seconds that the machine needs at least. What fits in its last cache need not be read from memory.
  private func slower(operations: Double, bytes: Int) -> Double {
    let reading = bytes > MachineMemory.lastLevelCache ? Double(bytes) / (speed.readGigabytes * 1e9) : 0
    return max(operations / flops, reading)
  }

  private func token(_ place: Int) -> Int32 { Int32((place * 31 + 7) % model.configuration.vocabularySize) }
}

/// The measurements that need the interpreter.
struct ToolBench {
  private let host, impatient: InterpreterHost
  private let effort: Double
  private static let limit = 0.5

  init(python: String?, effort: Double) throws {
    host = try InterpreterHost(settings: InterpreterSettings(python: python))
    impatient = try InterpreterHost(settings: InterpreterSettings(python: python, timeLimit: Self.limit))
    self.effort = effort
  }

  /// Latency of a small block in an open session, and how many of them a second all sessions get through.
  func calls() throws -> [Benchmark.Result] {
    let session = try host.open(key: 1)
    _ = session.run("x = 1")
    let count = max(20, Int(200 * effort))
    let times = try (0..<count).map { index in
      try elapsed { try Self.check(session.run("x = \(index) * 7\nprint(x)")) } * 1000
    }.sorted()
    session.close()
    let sessions = 2 * WorkerPool.physicalCoreCount
    let each = max(5, count / sessions)
    let open = try (0..<sessions).map { try host.open(key: UInt64($0)) }
    let failure = Mutex<(any Error)?>(nil)
    let taken = elapsed {
      DispatchQueue.concurrentPerform(iterations: sessions) { index in
        do {
          for _ in 0..<each { try Self.check(open[index].run("print(6 * 7)")) }
        } catch {
          failure.withLock { $0 = error }
        }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return [
      Benchmark.Result("tool_call_p50", times[(count - 1) / 2], "ms"),
      Benchmark.Result("tool_call_p99", times[min(count - 1, Int((0.99 * Double(count)).rounded(.up)) - 1)], "ms"),
      Benchmark.Result("snippets_per_second", Double(sessions * each) / taken, "1/s"),
    ]
  }

  /// Milliseconds after its wall-clock limit until an endless block is gone and its verdict here.
  func killOvershoot() throws -> Benchmark.Result {
    let session = try impatient.open(key: 1)
    defer { session.close() }
    _ = session.run("x = 1")
    let times = try (0..<max(1, Int(5 * effort))).map { _ in
      var status = CallResult.Status.ok
      let taken = elapsed { status = session.run("while True: pass").status }
      guard status == .timeout else {
        throw MartletError(.configuration, "sandbox: an endless block ended as \(status.rawValue); see `train doctor`")
      }
      return (taken - Self.limit) * 1000
    }
    return Benchmark.Result("kill_overshoot", median(times), "ms")
  }

  private static func check(_ result: CallResult) throws {
    guard result.status == .ok else {
      throw MartletError(
        .configuration,
        "sandbox: a small block ended as \(result.status.rawValue) (\(result.detail)); see `train doctor`")
    }
  }
}
