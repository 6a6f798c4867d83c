import TensorBase

extension Table {
  package static func swiGLU(
    _ y: UnsafeMutablePointer<Float>, yStride: Int, gate: UnsafePointer<Float>, gateStride: Int,
    up: UnsafePointer<Float>, upStride: Int, rows: Int, width: Int, pool: WorkerPool
  ) {
    forEachRow(rows, elements: 2 * width, pool: pool) { row in
      SwiGLUKernel.forward(
        y + row &* yStride, gate: gate + row &* gateStride, up: up + row &* upStride, count: width)
    }
  }
}

extension Table {
  package static func swiGLUBackward(
    dGate: UnsafeMutablePointer<Float>, dGateStride: Int, dUp: UnsafeMutablePointer<Float>, dUpStride: Int,
    dY: UnsafePointer<Float>, dYStride: Int, gate: UnsafePointer<Float>, gateStride: Int,
    up: UnsafePointer<Float>, upStride: Int, rows: Int, width: Int, pool: WorkerPool
  ) {
    forEachRow(rows, elements: 3 * width, pool: pool) { row in
      SwiGLUKernel.backward(
        dGate: dGate + row &* dGateStride, dUp: dUp + row &* dUpStride, dY: dY + row &* dYStride,
        gate: gate + row &* gateStride, up: up + row &* upStride, count: width)
    }
  }
}

enum SwiGLUKernel {
  /// sigmoid(x) = 1 / (1 + e^-|x|) for x >= 0, e^-|x| / (1 + e^-|x|) below: no overflow, no lost digits.
  @inline(__always)
  static func sigmoid(_ x: SIMD8<Float>) -> SIMD8<Float> {
    let negative = x .< 0
    let e = vectorExpOfNonPositive((-x).replacing(with: x, where: negative))
    return SIMD8(repeating: 1).replacing(with: e, where: negative) / (e + 1)
  }

  @inline(__always)
  static func forward(_ gate: SIMD8<Float>, _ up: SIMD8<Float>) -> SIMD8<Float> {
    (gate * sigmoid(gate)) * up
  }

  /// dGate = dY up s (1 + g (1 - s)), dUp = dY g s, s = sigmoid(g).
  @inline(__always)
  static func backward(
    _ dY: SIMD8<Float>, gate: SIMD8<Float>, up: SIMD8<Float>
  ) -> (dGate: SIMD8<Float>, dUp: SIMD8<Float>) {
    let s = sigmoid(gate)
    let slope = s * SIMD8(repeating: 1).addingProduct(gate, 1 - s)
    return ((dY * up) * slope, dY * (gate * s))
  }

  static func forward(
    _ y: UnsafeMutablePointer<Float>, gate: UnsafePointer<Float>, up: UnsafePointer<Float>, count: Int
  ) {
    var index = 0
    while index &+ 8 <= count {
      storeEight(forward(loadEight(gate + index), loadEight(up + index)), y + index)
      index &+= 8
    }
    while index < count {
      y[index] = forward(SIMD8(repeating: gate[index]), SIMD8(repeating: up[index]))[0]
      index &+= 1
    }
  }

  static func backward(
    dGate: UnsafeMutablePointer<Float>, dUp: UnsafeMutablePointer<Float>, dY: UnsafePointer<Float>,
    gate: UnsafePointer<Float>, up: UnsafePointer<Float>, count: Int
  ) {
    var index = 0
    while index &+ 8 <= count {
      let d = backward(loadEight(dY + index), gate: loadEight(gate + index), up: loadEight(up + index))
      storeEight(d.dGate, dGate + index)
      storeEight(d.dUp, dUp + index)
      index &+= 8
    }
    while index < count {
      let d = backward(
        SIMD8(repeating: dY[index]), gate: SIMD8(repeating: gate[index]), up: SIMD8(repeating: up[index]))
      dGate[index] = d.dGate[0]
      dUp[index] = d.dUp[0]
      index &+= 1
    }
  }
}
