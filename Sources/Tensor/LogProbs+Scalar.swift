import TensorBase

/// The twins of the kernels in LogProbs.swift with the sixteen lanes written out one element at a time: equal bits.
package enum ScalarLogProbs {
  package static func maximum(_ row: [Float]) -> Float {
    row.reduce(-Float.infinity) { exactMaximum($0, $1) } + 0
  }

  package static func logSumExp(_ row: [Float]) -> (maximum: Float, logSum: Float) {
    let statistics = statistics(row)
    return (statistics.maximum, statistics.logSum)
  }

  package static func statistics(_ row: [Float]) -> RowStatistics {
    let maximum = maximum(row)
    var sums = [Float](repeating: 0, count: laneCount)
    var weighted = sums
    for (index, x) in row.enumerated() {
      let d = x - maximum
      let e = exactExp(d)
      sums[index % laneCount] += e
      if e != 0 { weighted[index % laneCount].addProduct(e, d) }
    }
    let sum = scalarTreeSum(sums)
    let logSum = exactLog(sum)
    return RowStatistics(maximum: maximum, logSum: logSum, entropy: logSum - scalarTreeSum(weighted) / sum)
  }
}

/// Lanes of every sum over a row.
package let laneCount = 16

/// The kernels' tree over sixteen partial sums, written out: lane i with i + 8, then i + 4, i + 2, i + 1.
package func scalarTreeSum(_ partial: [Float]) -> Float {
  precondition(partial.count == laneCount, "\(partial.count) partial sums; the tree joins \(laneCount)")
  var sums = partial
  var half = laneCount / 2
  while half > 0 {
    for lane in 0..<half { sums[lane] += sums[lane + half] }
    half /= 2
  }
  return sums[0]
}

/// The larger of both, NaN where either is NaN.
private func exactMaximum(_ a: Float, _ b: Float) -> Float {
  b > a || b.isNaN ? b : a
}
