import TensorBase

/// The gated unit of Shazeer 2020, element by element: y = silu(gate) * up, silu(g) = g * sigmoid(g). All of one shape;
/// `y` may be `gate` or `up`.
public func swiGLU(_ y: MutableRows, gate: Rows, up: Rows, pool: WorkerPool) {
  kernels.swiGLU(y, gate: gate, up: up, pool: pool)
}

/// Backward of `swiGLU`; dGate and dUp are overwritten and may be the memory of `gate`, `up` or `dY`.
///
///     dGate = dY up s (1 + gate (1 - s)),   dUp = dY gate s,   s = sigmoid(gate)
public func swiGLUBackward(
  dGate: MutableRows, dUp: MutableRows, dY: Rows, gate: Rows, up: Rows, pool: WorkerPool
) {
  kernels.swiGLUBackward(dGate: dGate, dUp: dUp, dY: dY, gate: gate, up: up, pool: pool)
}

/// The twin of `swiGLU`, one element: equal bits.
package func scalarSwiGLU(gate: Float, up: Float) -> Float {
  let e = exactExp(gate < 0 ? gate : -gate)
  return (gate * ((gate < 0 ? e : 1) / (e + 1))) * up
}
