import TensorBase

/// Root mean square layer normalisation (Zhang & Sennrich 2019): y = weight * (x * r), r = 1 / sqrt(mean(x^2) +
/// epsilon).
///
/// A row has `groups` runs of equal width, one behind the other, each normalised by itself with the same `weight`
/// [width]: one group for the model's norms, one a head for query and key norms. `y` may be `x`.
/// - Parameter rstd: receives r, [rows, groups]; the backward pass needs it. PyTorch's name.
public func rmsNorm(
  _ y: MutableRows, _ x: Rows, weight: UnsafePointer<Float>, groups: Int = 1, epsilon: Float,
  rstd: UnsafeMutablePointer<Float>?, pool: WorkerPool
) {
  kernels.rmsNorm(y, x, weight: weight, groups: groups, epsilon: epsilon, rstd: rstd, pool: pool)
}

/// Backward of `rmsNorm`: adds to `dX` and, if given, to `dWeight` [width].
///
///     dX += r (w dY - x r^2 mean(w dY x)),   dWeight += sum over rows of dY (x r)
///
/// dWeight is one chain over rows (and groups inside a row) that goes on from the value it has, so neither threads nor
/// cuts into micro-batches matter. `x` is the input of the forward pass, `rstd` the r it saved.
public func rmsNormBackward(
  dX: MutableRows, dWeight: UnsafeMutablePointer<Float>?, dY: Rows, x: Rows, weight: UnsafePointer<Float>,
  rstd: UnsafePointer<Float>, groups: Int = 1, pool: WorkerPool
) {
  kernels.rmsNormBackward(
    dX: dX, dWeight: dWeight, dY: dY, x: x, weight: weight, rstd: rstd, groups: groups, pool: pool)
}

/// The twin of `rmsNorm` for one run, lanes written out: equal bits.
package func scalarRMSNorm(_ x: [Float], weight: [Float], epsilon: Float) -> (y: [Float], rstd: Float) {
  var sums = [Float](repeating: 0, count: laneCount)
  for (index, value) in x.enumerated() { sums[index % laneCount].addProduct(value, value) }
  let rstd = 1 / (scalarTreeSum(sums) / Float(x.count) + epsilon).squareRoot()
  return (zip(weight, x).map { $0 * ($1 * rstd) }, rstd)
}
