import COpenBLAS
import Support
import TensorBase

/// Splits `weight` [outputs, inputs] into its best approximation of rank `rank` and the rest, for PiSSA (Meng et al.
/// 2024, arXiv:2404.02948, equations 2-4): weight becomes W - scale * B A, with
///
///     A = sqrt(S / scale) V^T  [rank, inputs],   B = U sqrt(S / scale)  [outputs, rank]
///
/// of the largest singular values S. They come from the eigenvalues of the smaller of W^T W and W W^T, in fp64 on one
/// thread: less work than a whole decomposition, and exact enough for the largest. Each vector's largest element is
/// positive in A, so the split is unique.
/// - Throws: `MartletError` when LAPACK fails.
public func extractPrincipalPart(
  _ weight: UnsafeMutablePointer<Float>, outputs: Int, inputs: Int, rank: Int, scale: Float,
  a: UnsafeMutablePointer<Float>, b: UnsafeMutablePointer<Float>
) throws {
  precondition(
    rank >= 1 && rank <= min(outputs, inputs), "extractPrincipalPart: rank \(rank) of [\(outputs), \(inputs)]")
  _ = BLAS.singleThreaded
  let (m, n) = (outputs, inputs)
  let w = (0..<m * n).map { Double(weight[$0]) }
  let (values, vectors) = try largestEigenvectors(w, outputs: m, inputs: n, rank: rank)
  let stride = blasint(n)
  let factor = Double(scale).squareRoot()
  for index in 0..<rank {
    let singular = max(values[index], 0).squareRoot()
    let vector = vectors[index]
    var (left, right) = ([Double](repeating: 0, count: m), [Double](repeating: 0, count: n))
    let inverse = singular > 0 ? 1 / singular : 0
    if m < n {
      left = vector
      cblas_dgemv(CblasRowMajor, CblasTrans, blasint(m), stride, inverse, w, stride, left, 1, 0, &right, 1)
    } else {
      right = vector
      cblas_dgemv(CblasRowMajor, CblasNoTrans, blasint(m), stride, inverse, w, stride, right, 1, 0, &left, 1)
    }
    let largest = right.max { abs($0) < abs($1) } ?? 0
    let sign = largest < 0 ? -1.0 : 1.0
    let length = singular.squareRoot() / factor
    for j in 0..<n { a[index * n + j] = Float(sign * length * right[j]) }
    for i in 0..<m { b[i * rank + index] = Float(sign * length * left[i]) }
  }
  for i in 0..<m {
    for j in 0..<n {
      var sum = 0.0
      for index in 0..<rank { sum += Double(b[i * rank + index]) * Double(a[index * n + j]) }
      weight[i * n + j] = Float(w[i * n + j] - Double(scale) * sum)
    }
  }
}

/// The `rank` largest eigenvalues, in descending order, and their eigenvectors, of the smaller of W^T W and W W^T; `w`
/// is [outputs, inputs].
private func largestEigenvectors(
  _ w: [Double], outputs m: Int, inputs n: Int, rank: Int
) throws -> (values: [Double], vectors: [[Double]]) {
  let size = min(m, n)
  // Row-major W is column-major W^T: its Gram matrix over the smaller side.
  var gram = [Double](repeating: 0, count: size * size)
  let (order, stride) = (blasint(size), blasint(n))
  cblas_dsyrk(
    CblasRowMajor, CblasUpper, m < n ? CblasNoTrans : CblasTrans, order, blasint(max(m, n)), 1, w, stride, 0, &gram,
    order)
  var (found, values) = (blasint(0), [Double](repeating: 0, count: size))
  var vectors = [Double](repeating: 0, count: size * rank)
  var support = [blasint](repeating: 0, count: 2 * rank)
  // Column-major, so that each vector's elements follow each other; the row-major upper half is the lower one there.
  let smallest = size - rank + 1
  let (vectorsToo, byIndex, lower) = (CChar(86), CChar(73), CChar(76))  // V, I, L
  let status = LAPACKE_dsyevr(
    LAPACK_COL_MAJOR, vectorsToo, byIndex, lower, order, &gram, order, 0, 0, blasint(smallest), order, 0, &found,
    &values, &vectors, order, &support)
  guard status == 0, found == blasint(rank) else {
    throw MartletError(
      .data, "PiSSA's start: LAPACK's dsyevr gave status \(status); weights must be finite and memory suffice")
  }
  // LAPACK's ascend.
  let columns = (0..<rank).reversed()
  return (columns.map { values[$0] }, columns.map { Array(vectors[$0 * size..<($0 + 1) * size]) })
}
