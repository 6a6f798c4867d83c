import TensorBase

/// y[m, n] = the fused-multiply-add chain over k = 0, 1, ... of x[m, k] * w[n, k], from 0, in fp32; then + bias[n].
///
/// A row's result depends on that row alone: any row count, split or thread count gives the same bits. y is [rows,
/// outputs], x [rows, inputs]; they must not overlap.
public func linear(
  _ y: MutableRows, _ x: Rows, weights: PackedWeights, bias: UnsafePointer<Float>?, pool: WorkerPool
) {
  kernels.linear(y, x, weights: weights, bias: bias, pool: pool)
}

/// Packs `weight` [outputs, inputs], row-major, into panels.
/// - Parameter narrow: hold the upper half of each number only; all lower halves must be 0.
public func packWeights(
  _ weight: UnsafePointer<Float>, outputs: Int, inputs: Int, into storage: UnsafeMutablePointer<Float>,
  narrow: Bool = false, pool: WorkerPool
) -> PackedWeights {
  kernels.packWeights(weight, outputs: outputs, inputs: inputs, into: storage, narrow: narrow, pool: pool)
}

/// Whether all of `count` numbers are also numbers of bfloat16.
package func areBFloat16(_ numbers: UnsafePointer<Float>, count: Int, pool: WorkerPool) -> Bool {
  kernels.areBFloat16(numbers, count: count, pool: pool)
}
