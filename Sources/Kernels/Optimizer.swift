import TensorBase

extension AdamWStep {
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

extension Table {
  package static func sumOfSquares(_ values: UnsafePointer<Float>, count: Int) -> Double {
    var (low, high) = (SIMD4<Double>.zero, SIMD4<Double>.zero)
    var index = 0
    while index &+ 8 <= count {
      let raw = UnsafeRawPointer(values + index)
      let first = SIMD4<Double>(raw.loadUnaligned(as: SIMD4<Float>.self))
      let second = SIMD4<Double>(raw.loadUnaligned(fromByteOffset: 16, as: SIMD4<Float>.self))
      low += first * first
      high += second * second
      index &+= 8
    }
    while index < count {
      let value = Double(values[index])
      if index & 7 < 4 { low[index & 3] += value * value } else { high[index & 3] += value * value }
      index &+= 1
    }
    let pairs = low + high
    return (pairs[0] + pairs[2]) + (pairs[1] + pairs[3])
  }

  package static func updateAdamW(
    _ p: OptimizerPointers, range: Range<Int>, scale: Float, kept: Float, formula: AdamWStep
  ) {
    guard let m = p.first, let v = p.second else { return }
    let (w, g) = (p.weights, p.gradients)
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

  package static func updateSGD(
    _ p: OptimizerPointers, range: Range<Int>, scale: Float, stepSize: Float, decay: Float
  ) {
    let (w, g) = (p.weights, p.gradients)
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
