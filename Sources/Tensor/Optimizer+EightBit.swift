import TensorBase

extension Optimizer {
  /// AdamW with moments in 8 bits, block by block: decoded, updated, used in full precision, encoded again.
  func updateEightBitAdamW(
    _ weights: FloatBuffer, _ gradients: FloatBuffer, scale: Float, learningRate: Double, pool: WorkerPool
  ) {
    let (first, second) = quantized!
    let (count, size) = (weights.count, QuantizedMoment.blockCount)
    let (w, g) = (weights.pointer, gradients.pointer)
    let (formula, step) = (AdamWStep(settings, step: step, learningRate: learningRate), step)
    pool.run((count + Optimizer.blockCount - 1) / Optimizer.blockCount) { task in
      let end = min((task + 1) * Optimizer.blockCount, count)
      forEachPiece(ofBlock: task) { range, decays in
        guard decays, formula.kept != 1 else { return }
        for index in range { w[index] *= formula.kept }
      }
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 4 * size) { room in
        func update(_ block: Int, _ weights: UnsafeMutablePointer<Float>, _ gradients: UnsafePointer<Float>) {
          kernels.updateEightBitAdamW(
            OptimizerPointers(weights: weights, gradients: gradients), block: block, scale: scale, step: step,
            first: first,
            second: second, room: room.baseAddress!, formula: formula)
        }
        for start in stride(from: task * Optimizer.blockCount, to: end, by: size) {
          if start + size <= end {
            update(start / size, w + start, g + start)
          } else {
            // The last block of all may be a part: the rest of it is zeros, whose codes stay 0.
            let rest = end - start
            let (weights, gradients) = (room.baseAddress! + 2 * size, room.baseAddress! + 3 * size)
            weights.update(repeating: 0, count: 2 * size)
            weights.update(from: w + start, count: rest)
            gradients.update(from: g + start, count: rest)
            update(start / size, weights, gradients)
            (w + start).update(from: weights, count: rest)
          }
        }
      }
    }
  }
}
