import COpenBLAS
import Support
import TensorBase

/// Fills `buffer` with draws of a normal distribution around 0 with standard deviation `deviation`.
///
/// Elements 2 i and 2 i + 1 come from block i of the stream, so any number of threads gives the same bits; the stream
/// moves on by ceil(count / 2) blocks.
public func normalInitialization(
  _ buffer: UnsafeMutableBufferPointer<Float>, deviation: Float, random: inout CounterRandom, pool: WorkerPool? = nil
) {
  let count = buffer.count
  guard count > 0 else { return }
  let pairs = (count + 1) / 2
  let first = random.reserveBlocks(pairs)
  let stream = random
  nonisolated(unsafe) let target = buffer.baseAddress!
  let fill: (Range<Int>) -> Void = { range in
    for pair in range {
      let (a, b) = stream.block(at: first &+ UInt64(pair))
      let (even, odd) = CounterRandom.normals(a, b)
      target[2 * pair] = Float(even * Double(deviation))
      if 2 * pair + 1 < count { target[2 * pair + 1] = Float(odd * Double(deviation)) }
    }
  }
  guard let pool else { return fill(0..<pairs) }
  let pairsPerTask = 4096
  pool.run((pairs + pairsPerTask - 1) / pairsPerTask) { task in
    fill(task * pairsPerTask..<min((task + 1) * pairsPerTask, pairs))
  }
}

/// Fills `matrix` [rows, columns] with a random matrix whose rows or columns, whichever are fewer, are orthonormal,
/// times `gain` (Saxe, McClelland and Ganguli, arXiv:1312.6120; `torch.nn.init.orthogonal_`).
public func orthogonalInitialization(
  _ matrix: UnsafeMutablePointer<Float>, rows: Int, columns: Int, gain: Float, random: inout CounterRandom
) throws {
  normalInitialization(
    UnsafeMutableBufferPointer(start: matrix, count: rows * columns), deviation: 1, random: &random)
  try orthogonalize(matrix, rows: rows, columns: columns, gain: gain)
}

/// Replaces `matrix` [rows, columns] by gain * Q of its QR factorisation (of its transpose's, when it has fewer rows
/// than columns), each column of Q times the sign of R's diagonal element: so Q is unique.
///
/// In fp64, one thread: rounding to fp32 hides what differs between processors' kernels.
package func orthogonalize(_ matrix: UnsafeMutablePointer<Float>, rows: Int, columns: Int, gain: Float) throws {
  precondition(rows >= 1 && columns >= 1, "orthogonalize: shape [\(rows), \(columns)] must be positive")
  _ = BLAS.singleThreaded
  // Column-major [tall, short]: for a wide matrix that is the matrix as it lies.
  let (tall, short) = (max(rows, columns), min(rows, columns))
  func place(_ row: Int, _ column: Int) -> Int { rows < columns ? row * tall + column : column * tall + row }
  var q = [Double](repeating: 0, count: tall * short)
  for row in 0..<rows {
    for column in 0..<columns { q[place(row, column)] = Double(matrix[row * columns + column]) }
  }
  var reflections = [Double](repeating: 0, count: short)
  let (m, n) = (Int32(tall), Int32(short))
  try check(LAPACKE_dgeqrf(LAPACK_COL_MAJOR, m, n, &q, m, &reflections), "dgeqrf")
  let signs = (0..<short).map { q[$0 * tall + $0] < 0 ? -1.0 : q[$0 * tall + $0] > 0 ? 1.0 : 0.0 }
  try check(LAPACKE_dorgqr(LAPACK_COL_MAJOR, m, n, n, &q, m, reflections), "dorgqr")
  for row in 0..<rows {
    for column in 0..<columns {
      let sign = signs[rows < columns ? row : column]
      matrix[row * columns + column] = Float(Double(gain) * sign * q[place(row, column)])
    }
  }
}

private func check(_ status: Int32, _ routine: String) throws {
  guard status == 0 else {
    throw MartletError(
      .data,
      "orthogonal initialisation: LAPACK's \(routine) gave status \(status); weights must be finite and memory suffice")
  }
}
