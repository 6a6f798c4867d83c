import TensorBase

/// Turns every head of every row by its position's angles, in place: x [rows, heads, D] with `rowStride` floats from
/// row to row.
///
///     y[i] = x[i] cos - x[i + D/2] sin,   y[i + D/2] = x[i + D/2] cos + x[i] sin
public func applyRotary(
  _ x: UnsafeMutablePointer<Float>, rowStride: Int, rows: Int, heads: Int, positions: UnsafePointer<Int32>,
  table: RotaryTable, pool: WorkerPool
) {
  kernels.rotary(
    x, rowStride: rowStride, rows: rows, heads: heads, positions: positions, table: table, backwards: false, pool: pool)
}

/// Backward of `applyRotary`, in place: turns the gradients by minus the angle.
public func rotaryBackward(
  _ dX: UnsafeMutablePointer<Float>, rowStride: Int, rows: Int, heads: Int, positions: UnsafePointer<Int32>,
  table: RotaryTable, pool: WorkerPool
) {
  kernels.rotary(
    dX, rowStride: rowStride, rows: rows, heads: heads, positions: positions, table: table, backwards: true, pool: pool)
}
