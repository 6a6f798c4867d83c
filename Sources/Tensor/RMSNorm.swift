import TensorBase

/// Root mean square layer normalisation (Zhang & Sennrich 2019): y = weight * (x * r), r = 1 / sqrt(mean(x^2) +
/// epsilon).
///
/// A row has `groups` runs of `width` elements, one behind the other, each normalised by itself with the same `weight`
/// [width]: one group for the model's norms, one a head for query and key norms. `y` may be `x`.
/// - Parameter rstd: receives r, [rows, groups]; the backward pass needs it.
public func rmsNorm(
  _ y: UnsafeMutablePointer<Float>, yStride: Int, x: UnsafePointer<Float>, xStride: Int, weight: UnsafePointer<Float>,
  rows: Int, groups: Int = 1, width: Int, epsilon: Float, rstd: UnsafeMutablePointer<Float>?, pool: WorkerPool
) {
  kernels.rmsNorm(
    y, yStride: yStride, x: x, xStride: xStride, weight: weight, rows: rows, groups: groups, width: width,
    epsilon: epsilon, rstd: rstd, pool: pool)
}

/// Backward of `rmsNorm`: adds to `dX` and, if given, to `dWeight` [width].
///
///     dX += r (w dY - x r^2 mean(w dY x)),   dWeight += sum over rows of dY (x r)
///
/// dWeight is one chain over rows (and groups inside a row) that goes on from the value it has, so neither threads nor
/// cuts into micro-batches matter. `x` is the input of the forward pass, `rstd` what it saved.
public func rmsNormBackward(
  dX: UnsafeMutablePointer<Float>, dXStride: Int, dWeight: UnsafeMutablePointer<Float>?, dY: UnsafePointer<Float>,
  dYStride: Int, x: UnsafePointer<Float>, xStride: Int, weight: UnsafePointer<Float>, rstd: UnsafePointer<Float>,
  rows: Int, groups: Int = 1, width: Int, pool: WorkerPool
) {
  kernels.rmsNormBackward(
    dX: dX, dXStride: dXStride, dWeight: dWeight, dY: dY, dYStride: dYStride, x: x, xStride: xStride, weight: weight,
    rstd: rstd, rows: rows, groups: groups, width: width, pool: pool)
}

/// The twin of `rmsNorm` for one run, lanes written out: equal bits.
package func scalarRMSNorm(_ x: [Float], weight: [Float], epsilon: Float) -> (y: [Float], reciprocal: Float) {
  var sums = [Float](repeating: 0, count: laneCount)
  for (index, value) in x.enumerated() { sums[index % laneCount].addProduct(value, value) }
  let reciprocal = 1 / (scalarTreeSum(sums) / Float(x.count) + epsilon).squareRoot()
  return (zip(weight, x).map { $0 * ($1 * reciprocal) }, reciprocal)
}
