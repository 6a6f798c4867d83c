import TensorBase

/// Turns every head of every row by its position's angles, in place: x is [rows, heads, D], `positions` [rows].
///
///     y[i] = x[i] cos - x[i + D/2] sin,   y[i + D/2] = x[i + D/2] cos + x[i] sin
public func applyRotary(
  _ x: MutableRows, positions: UnsafePointer<Int32>, table: RotaryTable, pool: WorkerPool
) {
  kernels.rotary(x, positions: positions, table: table, backwards: false, pool: pool)
}

/// Backward of `applyRotary`, in place: turns the gradients by minus the angle.
public func rotaryBackward(
  _ dX: MutableRows, positions: UnsafePointer<Int32>, table: RotaryTable, pool: WorkerPool
) {
  kernels.rotary(dX, positions: positions, table: table, backwards: true, pool: pool)
}
