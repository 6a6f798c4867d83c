import TensorBase

/// dX[m, k] = (accumulate ? dX[m, k] : 0) + sum over n of dY[m, n] w[n, k].
///
/// `exact`: one fused-multiply-add chain over n = 0, 1, ..., from 0 or from dX's value, so a row's result depends on
/// that row alone and a reduction may be continued by a second call. `mixed` and `blas`: OpenBLAS, but for the few
/// inputs of an adapter's rank, for which its packing of dY costs more than the product. dX is [rows, inputs], dY
/// [rows, outputs], `weight` [outputs, inputs] as the parameter table holds it, unpacked.
public func linearBackwardInput(
  _ dX: MutableRows, dY: Rows, weight: Rows, accumulate: Bool, mode: MatmulMode, pool: WorkerPool
) {
  kernels.linearBackwardInput(dX, dY: dY, weight: weight, accumulate: accumulate, mode: mode, pool: pool)
}

/// dW[n, k] += sum over m of dY[m, n] x[m, k].
///
/// `exact`: one fused-multiply-add chain over m = 0, 1, ... that goes on from dW's value, so the gradient does not
/// depend on how a batch is cut into calls. `mixed` and `blas`: OpenBLAS. dW is [outputs, inputs], dY [rows, outputs],
/// x [rows, inputs].
public func linearBackwardWeight(
  _ dW: MutableRows, dY: Rows, x: Rows, mode: MatmulMode, pool: WorkerPool
) {
  kernels.linearBackwardWeight(dW, dY: dY, x: x, mode: mode, pool: pool)
}

/// dBias[n] += sum over m of dY[m, n]: one chain over m = 0, 1, ... that goes on from dBias's value, in every mode.
/// dBias is [outputs], dY [rows, outputs].
public func biasBackward(_ dBias: UnsafeMutablePointer<Float>, dY: Rows, pool: WorkerPool) {
  kernels.biasBackward(dBias, dY: dY, pool: pool)
}
