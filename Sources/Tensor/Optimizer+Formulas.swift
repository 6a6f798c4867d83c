extension Optimizer {
  /// torch.optim.AdamW: w *= 1 - lr lambda; m += (1 - beta1) (g - m); v = beta2 v + (1 - beta2) g g;
  /// w -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps). Scalars are formed in fp64 and rounded once.
  func updateAdamW(
    _ weights: FloatBuffer, _ gradients: FloatBuffer, scale: Float, learningRate: Double, pool: WorkerPool
  ) {
    let (beta1, beta2) = (settings.betas[0], settings.betas[1])
    let kept = Float(1 - learningRate * settings.weightDecay)
    let firstShare = Float(1 - beta1)
    let secondKept = Float(beta2)
    let secondShare = Float(1 - beta2)
    let stepSize = Float(-(learningRate / (1 - Mathematics.power(beta1, step))))
    let root = Float((1 - Mathematics.power(beta2, step)).squareRoot())
    let eps = Float(settings.eps)
    let (w, g) = (weights.pointer, gradients.pointer)
    let (m, v) = (firstMoment!.pointer, secondMoment!.pointer)
    forEachPiece(pool: pool) { range, decays in
      let kept = decays ? kept : 1
      var index = range.lowerBound
      while index &+ 8 <= range.upperBound {
        let gradient = load(g + index) * scale
        var first = load(m + index)
        first += firstShare * (gradient - first)
        let second = load(v + index) * secondKept + (secondShare * gradient) * gradient
        let denominator = second.squareRoot() / root + eps
        store(first, m + index)
        store(second, v + index)
        store(load(w + index) * kept + (stepSize * first) / denominator, w + index)
        index &+= 8
      }
      while index < range.upperBound {
        let gradient = g[index] * scale
        m[index] += firstShare * (gradient - m[index])
        v[index] = v[index] * secondKept + (secondShare * gradient) * gradient
        let denominator = v[index].squareRoot() / root + eps
        w[index] = w[index] * kept + (stepSize * m[index]) / denominator
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
        let weight = load(w + index)
        store(weight + stepSize * (load(g + index) * scale + decay * weight), w + index)
        index &+= 8
      }
      while index < range.upperBound {
        w[index] += stepSize * (g[index] * scale + decay * w[index])
        index &+= 1
      }
    }
  }
}

@inline(__always)
private func load(_ pointer: UnsafePointer<Float>) -> SIMD8<Float> {
  UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<Float>.self)
}

@inline(__always)
private func store(_ value: SIMD8<Float>, _ pointer: UnsafeMutablePointer<Float>) {
  UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: SIMD8<Float>.self)
}
