import Testing

@testable import Tensor

/// The split against what defines it, not against another decomposition.
@Suite struct PrincipalPartTests {
  /// A matrix of known singular values: U S V^T with orthonormal columns.
  private func matrix(_ m: Int, _ n: Int, _ singular: [Double]) throws -> [Float] {
    let r = singular.count
    func columns(_ rows: Int, _ seed: UInt64) throws -> [Float] {
      var random = CounterRandom(seed: seed, path: [])
      var q = [Float](repeating: 0, count: rows * r)
      try q.withUnsafeMutableBufferPointer {
        try orthogonalInitialization($0.baseAddress!, rows: rows, columns: r, gain: 1, random: &random)
      }
      return q
    }
    let (u, v) = (try columns(m, 3), try columns(n, 4))
    return (0..<m * n).map { place in
      let (i, j) = (place / n, place % n)
      return Float((0..<r).reduce(0.0) { $0 + Double(u[i * r + $1]) * singular[$1] * Double(v[j * r + $1]) })
    }
  }

  @Test(arguments: [(7, 7), (12, 5), (5, 12), (40, 9)], [Float(1), 0.5, 4])
  func theLargestSingularValuesAreTaken(_ shape: (Int, Int), scale: Float) throws {
    let (m, n) = shape
    let singular = [5, 3, 2, 0.75, 0.25]
    let whole = try matrix(m, n, singular)
    for rank in [1, 3, 5] {
      var rest = whole
      var (a, b) = ([Float](repeating: .nan, count: rank * n), [Float](repeating: .nan, count: m * rank))
      try extractPrincipalPart(&rest, outputs: m, inputs: n, rank: rank, scale: scale, a: &a, b: &b)
      var squares = 0.0
      for i in 0..<m {
        for j in 0..<n {
          let product = (0..<rank).reduce(0.0) { $0 + Double(b[i * rank + $1]) * Double(a[$1 * n + j]) }
          let sum = Double(rest[i * n + j]) + Double(scale) * product
          #expect(abs(sum - Double(whole[i * n + j])) < 2e-6)
          squares += Double(rest[i * n + j]) * Double(rest[i * n + j])
        }
      }
      // The best approximation leaves exactly the smaller singular values (Eckart and Young).
      let left = singular.dropFirst(rank).reduce(0) { $0 + $1 * $1 }
      #expect(abs(squares - left) < 1e-5)
      for index in 0..<rank {
        let row = a[index * n..<(index + 1) * n].map(Double.init)
        let column = (0..<m).map { Double(b[$0 * rank + index]) }
        let share = singular[index] / Double(scale)
        #expect(abs(row.reduce(0) { $0 + $1 * $1 } - share) < 1e-5 * share + 1e-6)
        #expect(abs(column.reduce(0) { $0 + $1 * $1 } - share) < 1e-5 * share + 1e-6)
        #expect(row.max { abs($0) < abs($1) }! > 0)
      }
    }
  }

  @Test func aMatrixWithoutThatRankLeavesNothing() throws {
    var rest = try matrix(6, 8, [2])
    var (a, b) = ([Float](repeating: .nan, count: 3 * 8), [Float](repeating: .nan, count: 6 * 3))
    try extractPrincipalPart(&rest, outputs: 6, inputs: 8, rank: 3, scale: 1, a: &a, b: &b)
    #expect(rest.allSatisfy { abs($0) < 1e-5 } && (a + b).allSatisfy(\.isFinite))
  }
}
