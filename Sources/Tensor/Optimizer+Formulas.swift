import TensorBase

extension Optimizer {
  func updateAdamW(
    _ weights: FloatBuffer, _ gradients: FloatBuffer, scale: Float, learningRate: Double, pool: WorkerPool
  ) {
    let formula = AdamWStep(settings, step: step, learningRate: learningRate)
    let pointers = OptimizerPointers(
      weights: weights.pointer, gradients: gradients.pointer, first: firstMoment?.pointer, second: secondMoment?.pointer
    )
    forEachPiece(pool: pool) { range, decays in
      kernels.updateAdamW(pointers, range: range, scale: scale, kept: decays ? formula.kept : 1, formula: formula)
    }
  }

  /// w -= lr (g scale + lambda w), the decay coupled as in torch.optim.SGD.
  func updateSGD(
    _ weights: FloatBuffer, _ gradients: FloatBuffer, scale: Float, learningRate: Double, pool: WorkerPool
  ) {
    let (stepSize, decay) = (Float(-learningRate), Float(settings.weightDecay))
    let pointers = OptimizerPointers(weights: weights.pointer, gradients: gradients.pointer)
    forEachPiece(pool: pool) { range, decays in
      kernels.updateSGD(pointers, range: range, scale: scale, stepSize: stepSize, decay: decays ? decay : 0)
    }
  }
}
