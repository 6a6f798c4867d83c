import TensorBase

extension Table {
  package static func swiGLU(_ y: MutableRows, gate: Rows, up: Rows, pool: WorkerPool) {
    checkShapes(y.hasShape(of: gate) && up.hasShape(of: gate), "swiGLU: y is \(y), gate \(gate), up \(up)")
    forEachRow(y.count, elements: 2 * y.width, pool: pool) { row in
      SwiGLUKernel.forward(y[row], gate: gate[row], up: up[row], count: y.width)
    }
  }

  package static func swiGLUBackward(
    dGate: MutableRows, dUp: MutableRows, dY: Rows, gate: Rows, up: Rows, pool: WorkerPool
  ) {
    checkShapes(
      dGate.hasShape(of: gate) && dUp.hasShape(of: gate) && dY.hasShape(of: gate) && up.hasShape(of: gate),
      "swiGLUBackward: dGate is \(dGate), dUp \(dUp), dY \(dY), gate \(gate), up \(up)")
    forEachRow(dY.count, elements: 3 * dY.width, pool: pool) { row in
      SwiGLUKernel.backward(
        dGate: dGate[row], dUp: dUp[row], dY: dY[row], gate: gate[row], up: up[row], count: dY.width)
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
