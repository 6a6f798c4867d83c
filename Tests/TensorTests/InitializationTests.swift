import Tensor
import Testing

@Suite struct InitializationTests {
  /// The same matrix gives what torch.nn.init.orthogonal_ makes of it.
  @Test func orthogonalFactorsFollowPyTorch() throws {
    let cases = try OptimizerTests.Fixture.load().orthogonal
    #expect(cases.count == 5)
    for c in cases {
      var matrix = c.matrix
      try orthogonalize(&matrix, rows: c.rows, columns: c.columns, gain: 1)
      for (value, expected) in zip(matrix, c.result) {
        #expect(value.isFinite && abs(value - expected) < 2e-6, "\(c.rows) x \(c.columns)")
      }
    }
  }

  @Test(arguments: [(64, 64), (100, 30), (30, 100), (1, 5), (5, 1)]) func orthogonalMatricesAreOrthonormal(
    rows: Int, columns: Int
  ) throws {
    var random = CounterRandom(seed: 3, path: [UInt64(rows)])
    var matrix = [Float](repeating: 0, count: rows * columns)
    try orthogonalInitialization(&matrix, rows: rows, columns: columns, gain: 3, random: &random)
    let short = min(rows, columns)
    for i in 0..<short {
      for j in 0..<short {
        var dot = 0.0
        for k in 0..<max(rows, columns) {
          let (a, b) = rows < columns ? (i * columns + k, j * columns + k) : (k * columns + i, k * columns + j)
          dot += Double(matrix[a]) * Double(matrix[b])
        }
        #expect(abs(dot - (i == j ? 9 : 0)) < 1e-5, "(\(i), \(j))")
      }
    }
  }

  @Test func normalWeightsDependOnTheStreamAlone() {
    let count = 100_001
    func fill(_ pool: WorkerPool?) -> ([Float], UInt64) {
      var random = CounterRandom(seed: 5, path: [1])
      _ = random.next()
      var values = [Float](repeating: 0, count: count + 1)
      values[count] = canary
      values.withUnsafeMutableBufferPointer {
        normalInitialization(
          UnsafeMutableBufferPointer(rebasing: $0[0..<count]), deviation: 0.02, random: &random, pool: pool)
      }
      #expect(values.removeLast().bitPattern == canary.bitPattern)
      return (values, random.next())
    }
    let (alone, next) = fill(nil)
    for threads in [1, 2, 3, 8] {
      let (shared, following) = fill(WorkerPool(threadCount: threads))
      #expect(bits(shared) == bits(alone))
      #expect(following == next)
    }
    let n = Double(count)
    let mean = alone.reduce(0.0) { $0 + Double($1) } / n
    let variance = alone.reduce(0.0) { $0 + Double($1) * Double($1) } / n
    #expect(abs(mean) < 6 * 0.02 / n.squareRoot())
    #expect(abs(variance / 0.0004 - 1) < 6 * (2 / n).squareRoot())
    // Neighbours of a pair must not go together.
    let product = stride(from: 0, to: count - 1, by: 2).reduce(0.0) { $0 + Double(alone[$1]) * Double(alone[$1 + 1]) }
    #expect(abs(product / (n / 2) / 0.0004) < 6 / (n / 2).squareRoot())
  }
}
