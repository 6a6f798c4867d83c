extension Optimizer {
  func updateAdamW(
    _ weights: FloatBuffer, _ gradients: FloatBuffer, scale: Float, learningRate: Double, pool: WorkerPool
  ) {
    let formula = AdamWStep(settings, step: step, learningRate: learningRate)
    let (w, g) = (weights.pointer, gradients.pointer)
    let (m, v) = (firstMoment!.pointer, secondMoment!.pointer)
    forEachPiece(pool: pool) { range, decays in
      let kept = decays ? formula.kept : 1
      var index = range.lowerBound
      while index &+ 8 <= range.upperBound {
        var (weight, first, second) = (loadEight(w + index), loadEight(m + index), loadEight(v + index))
        formula.apply(&weight, &first, &second, gradient: loadEight(g + index) * scale, kept: kept)
        storeEight(first, m + index)
        storeEight(second, v + index)
        storeEight(weight, w + index)
        index &+= 8
      }
      // The rest of a piece goes alone through the same lanes.
      while index < range.upperBound {
        var (weight, first, second) = (
          SIMD8(repeating: w[index]), SIMD8(repeating: m[index]), SIMD8(repeating: v[index])
        )
        formula.apply(&weight, &first, &second, gradient: SIMD8(repeating: g[index] * scale), kept: kept)
        (w[index], m[index], v[index]) = (weight[0], first[0], second[0])
        index &+= 1
      }
    }
  }

  /// torch.optim.SGD without momentum: w -= lr (g + lambda w).
  func updateSGD(
    _ weights: FloatBuffer, _ gradients: FloatBuffer, scale: Float, learningRate: Double, pool: WorkerPool
  ) {
    let stepSize = Float(-learningRate)
    let decay = Float(settings.weightDecay)
    let (w, g) = (weights.pointer, gradients.pointer)
    forEachPiece(pool: pool) { range, decays in
      let decay = decays ? decay : 0
      var index = range.lowerBound
      while index &+ 8 <= range.upperBound {
        let weight = loadEight(w + index)
        storeEight(weight + stepSize * (loadEight(g + index) * scale + decay * weight), w + index)
        index &+= 8
      }
      while index < range.upperBound {
        w[index] += stepSize * (g[index] * scale + decay * w[index])
        index &+= 1
      }
    }
  }
}

/// torch.optim.AdamW: w *= 1 - lr lambda; m += (1 - beta1) (g - m); v = beta2 v + (1 - beta2) g g;
/// w -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps). Scalars are formed in fp64 and rounded once.
struct AdamWStep {
  /// What is left of a weight that decays.
  let kept: Float
  private let firstShare, secondKept, secondShare, stepSize, root, eps: Float

  init(_ settings: OptimizerSettings, step: Int, learningRate: Double) {
    let (beta1, beta2) = (settings.betas[0], settings.betas[1])
    kept = Float(1 - learningRate * settings.weightDecay)
    firstShare = Float(1 - beta1)
    secondKept = Float(beta2)
    secondShare = Float(1 - beta2)
    stepSize = Float(-(learningRate / (1 - Mathematics.power(beta1, step))))
    root = Float((1 - Mathematics.power(beta2, step)).squareRoot())
    eps = Float(settings.eps)
  }

  @inline(__always)
  func apply(
    _ weight: inout SIMD8<Float>, _ first: inout SIMD8<Float>, _ second: inout SIMD8<Float>, gradient: SIMD8<Float>,
    kept: Float
  ) {
    first += firstShare * (gradient - first)
    second = second * secondKept + (secondShare * gradient) * gradient
    let denominator = second.squareRoot() / root + eps
    weight = weight * kept + (stepSize * first) / denominator
  }
}
