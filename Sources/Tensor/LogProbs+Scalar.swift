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
    var sums = [Float](repeating: 0, count: Lanes.count)
    var weighted = sums
    for (index, x) in row.enumerated() {
      let d = x - maximum
      let e = exactExp(d)
      sums[index % Lanes.count] += e
      if e != 0 { weighted[index % Lanes.count].addProduct(e, d) }
    }
    let sum = scalarTreeSum(sums)
    let logSum = exactLog(sum)
    return RowStatistics(maximum: maximum, logSum: logSum, entropy: logSum - scalarTreeSum(weighted) / sum)
  }
}
