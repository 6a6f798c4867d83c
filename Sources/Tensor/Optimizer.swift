import Support
import TensorBase

/// Changes weights by their gradients: AdamW or SGD in PyTorch's formulas and order, after clipping to a global norm.
///
/// Weights, gradients and moments are flat buffers of the same length, walked in blocks of 65,536 elements; the result
/// does not depend on the thread count.
public final class Optimizer {
  /// The formulas and their numbers.
  public let settings: OptimizerSettings
  /// Steps done so far. A resumed run sets it, and the moments, to what was saved.
  public var step = 0
  /// Exponential averages of the gradient and of its square; nil for SGD, and where they are held in 8 bits.
  public let firstMoment, secondMoment: FloatBuffer?
  /// The same averages in 8 bits.
  public let quantized: (first: QuantizedMoment, second: QuantizedMoment)?

  private let parameterCount: Int
  /// Where weight decay applies, in order, without overlap.
  private let decayed: [Range<Int>]

  static let blockCount = 65_536

  /// - Parameter decayed: the ranges that weight decay applies to; nil, as in PyTorch's default, is all of them.
  public init(settings: OptimizerSettings, parameterCount: Int, decayed: [Range<Int>]? = nil) {
    precondition(parameterCount >= 0, "Optimizer: parameterCount \(parameterCount) is negative")
    self.settings = settings
    self.parameterCount = parameterCount
    self.decayed = (decayed ?? [0..<parameterCount]).filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
    for (range, following) in zip(self.decayed, self.decayed.dropFirst()) {
      precondition(range.upperBound <= following.lowerBound, "Optimizer: ranges \(range) and \(following) overlap")
    }
    precondition(
      (self.decayed.first?.lowerBound ?? 0) >= 0 && (self.decayed.last?.upperBound ?? 0) <= parameterCount,
      "Optimizer: a decayed range is outside of 0..<\(parameterCount)")
    let isPlain = settings.kind == .adamw && settings.state == .float32
    firstMoment = isPlain ? FloatBuffer(count: parameterCount) : nil
    secondMoment = isPlain ? FloatBuffer(count: parameterCount) : nil
    quantized =
      settings.kind == .adamw && settings.state == .eightBit
      ? (
        QuantizedMoment(count: parameterCount, isSigned: true), QuantizedMoment(count: parameterCount, isSigned: false)
      )
      : nil
  }

  /// The optimizer's state beside `step`, for a hash: the moments, or their codes and scales.
  public var stateBuffers: [FloatBuffer] {
    [firstMoment, secondMoment].compactMap(\.self)
      + (quantized.map { [$0.first.codes, $0.first.scales, $0.second.codes, $0.second.scales] } ?? [])
  }

  /// Bytes that an optimizer of these settings holds for so many parameters.
  public static func stateBytes(_ settings: OptimizerSettings, parameterCount: Int) -> Int {
    switch (settings.kind, settings.state) {
    case (.sgd, _): 0
    case (.adamw, .float32): 2 * parameterCount * MemoryLayout<Float>.stride
    case (.adamw, .eightBit): 2 * QuantizedMoment.byteCount(parameterCount)
    }
  }

  /// One step. Returns the gradient's norm before clipping and the learning rate of the step.
  ///
  /// The gradients are read, not changed. Throws `MartletError` when their norm is not finite; weights, moments and
  /// `step` are then as before.
  public func update(
    weights: FloatBuffer, gradients: FloatBuffer, totalSteps: Int, pool: WorkerPool
  ) throws -> (gradientNorm: Double, learningRate: Double) {
    precondition(
      weights.count == parameterCount && gradients.count == parameterCount,
      "Optimizer: \(weights.count) weights and \(gradients.count) gradients for \(parameterCount) parameters")
    let norm = Optimizer.norm(gradients, pool: pool)
    guard norm.isFinite else {
      throw MartletError(
        .data,
        "optimizer step \(step + 1): the gradient's norm is \(norm), so the weights were left as they are; "
          + "lower optimizer.learning_rate, or look for bad values in the data")
    }
    step += 1
    let learningRate = settings.learningRate(step: step, of: totalSteps)
    var scale = 1.0
    if settings.maxGradNorm > 0 { scale = min(1, settings.maxGradNorm / (norm + 1e-6)) }
    switch settings.kind {
    case .adamw where quantized != nil:
      updateEightBitAdamW(weights, gradients, scale: Float(scale), learningRate: learningRate, pool: pool)
    case .adamw: updateAdamW(weights, gradients, scale: Float(scale), learningRate: learningRate, pool: pool)
    case .sgd: updateSGD(weights, gradients, scale: Float(scale), learningRate: learningRate, pool: pool)
    }
    return (norm, learningRate)
  }

  /// The square root of the sum of squares: fp64, 8 lanes (index mod 8) and a tree in each block of 65,536, blocks in
  /// order.
  public static func norm(_ values: FloatBuffer, pool: WorkerPool) -> Double {
    let blocks = (values.count + blockCount - 1) / blockCount
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: max(blocks, 1)) { sums in
      nonisolated(unsafe) let sums = sums.baseAddress!
      pool.run(blocks) { block in
        let start = block * blockCount
        sums[block] = kernels.sumOfSquares(values.pointer + start, count: min(blockCount, values.count - start))
      }
      var sum = 0.0
      for block in 0..<blocks { sum += sums[block] }
      return sum.squareRoot()
    }
  }

  /// Calls `body` with pieces of at most a block, each wholly decayed or not at all.
  func forEachPiece(pool: WorkerPool, _ body: (Range<Int>, _ decays: Bool) -> Void) {
    let blocks = (parameterCount + Optimizer.blockCount - 1) / Optimizer.blockCount
    pool.run(blocks) { forEachPiece(ofBlock: $0, body) }
  }

  /// Those of one block of 65,536.
  func forEachPiece(ofBlock block: Int, _ body: (Range<Int>, _ decays: Bool) -> Void) {
    let end = min((block + 1) * Optimizer.blockCount, parameterCount)
    var start = block * Optimizer.blockCount
    // The first decayed range that reaches beyond `start`.
    var (low, high) = (0, decayed.count)
    while low < high {
      let middle = (low + high) / 2
      if decayed[middle].upperBound <= start { low = middle + 1 } else { high = middle }
    }
    while start < end {
      let range = low < decayed.count ? decayed[low] : end..<end
      let decays = range.lowerBound <= start && !range.isEmpty
      let stop = min(end, decays ? range.upperBound : max(range.lowerBound, start + 1))
      body(start..<stop, decays)
      if decays, stop == range.upperBound { low += 1 }
      start = stop
    }
  }
}
