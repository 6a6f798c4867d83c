import TensorBase

/// The gated unit of Shazeer 2020: y = silu(gate) * up, silu(g) = g * sigmoid(g), for `rows` rows of `width` elements.
/// `y` may be `gate` or `up`.
public func swiGLU(
  _ y: UnsafeMutablePointer<Float>, yStride: Int, gate: UnsafePointer<Float>, gateStride: Int, up: UnsafePointer<Float>,
  upStride: Int, rows: Int, width: Int, pool: WorkerPool
) {
  kernels.swiGLU(
    y, yStride: yStride, gate: gate, gateStride: gateStride, up: up, upStride: upStride, rows: rows, width: width,
    pool: pool)
}

/// Backward of `swiGLU`; dGate and dUp are overwritten and may be the memory of `gate`, `up` or `dY`.
///
///     dGate = dY up s (1 + gate (1 - s)),   dUp = dY gate s,   s = sigmoid(gate)
public func swiGLUBackward(
  dGate: UnsafeMutablePointer<Float>, dGateStride: Int, dUp: UnsafeMutablePointer<Float>, dUpStride: Int,
  dY: UnsafePointer<Float>, dYStride: Int, gate: UnsafePointer<Float>, gateStride: Int, up: UnsafePointer<Float>,
  upStride: Int, rows: Int, width: Int, pool: WorkerPool
) {
  kernels.swiGLUBackward(
    dGate: dGate, dGateStride: dGateStride, dUp: dUp, dUpStride: dUpStride, dY: dY, dYStride: dYStride, gate: gate,
    gateStride: gateStride, up: up, upStride: upStride, rows: rows, width: width, pool: pool)
}

/// The twin of `swiGLU`, one element: equal bits.
package func scalarSwiGLU(gate: Float, up: Float) -> Float {
  let e = exactExp(gate < 0 ? gate : -gate)
  return (gate * ((gate < 0 ? e : 1) / (e + 1))) * up
}
