import CIntrinsics

/// What the forward pass writes, and the values it sums.
struct AttentionOutput {
  let out: UnsafeMutablePointer<Float>
  let outStride: Int
  let values: UnsafePointer<Float>
  let valueStride: Int
  /// [rows, H, 2]: largest score and sum of exponentials.
  let statistics: UnsafeMutablePointer<Float>?
}

extension AttentionRun {
  /// All rows `every`-th block of the run, beginning with block `first`.
  func forward(
    _ output: AttentionOutput, plan: AttentionBlockPlan, memory: UnsafeMutablePointer<Float>, first: Int = 0,
    every: Int = 1
  ) {
    var start = first * plan.rows
    while start < rowCount {
      forward(rows: start..<min(start + plan.rows, rowCount), output, plan, memory)
      start += every * plan.rows
    }
  }

  private func forward(
    rows: Range<Int>, _ output: AttentionOutput, _ plan: AttentionBlockPlan, _ memory: UnsafeMutablePointer<Float>
  ) {
    let D = shape.headWidth
    let counts = countKeys(rows, plan, memory)
    let scores = memory + plan.counts
    let vectors = scores + plan.scores
    let totals = vectors + plan.vectors
    gather(vectors, rows, plan, query, stride: queryStride)
    tileScores(scores, rows.count, counts, plan, vectors: vectors, panels: keyPanels, scale: shape.scale)
    forEach(rows) { local, position, head in
      let next = output.out + position &* output.outStride + head &* D
      for d in stride(from: 0, to: D, by: 16) { martlet_prefetch(next + d) }
      let (maximum, sum) = exponentials(scores + local &* plan.scoreStride, count: counts[local])
      if let statistics = output.statistics {
        let place = (position &* shape.headCount &+ head) &* 2
        statistics[place] = maximum
        statistics[place &+ 1] = sum
      }
      // The queries are done with: the sum waits in their place for the division.
      vectors[local] = sum
    }
    weightedRows(
      totals, scores, rows.count, counts, plan, values: output.values, valueStride: output.valueStride)
    forEach(rows) { local, position, head in
      divide(
        output.out + position &* output.outStride + head &* D, totals + local &* D, by: vectors[local], count: D)
    }
  }

  /// Scores to exponentials in place; the largest score and the sum, lanes by position mod 16. What stands behind the
  /// last key of its panel becomes 0.
  @inline(__always)
  private func exponentials(_ scores: UnsafeMutablePointer<Float>, count: Int) -> (maximum: Float, sum: Float) {
    let padded = (count &+ 15) & ~15
    let last = padded &- 16
    maskTail(scores + last, visible: count &- last, with: -.infinity)
    var largest = Lanes(scores)
    var index = 16
    while index < padded {
      largest = largest.maximum(Lanes(scores + index))
      index &+= 16
    }
    let maximum = largest.treeMaximum + 0
    let shift = Lanes(repeating: maximum)
    var sums = Lanes(repeating: 0)
    index = 0
    while index < padded {
      let e = vectorExpOfNonPositive(Lanes(scores + index) - shift)
      e.store(scores + index)
      sums = sums + e
      index &+= 16
    }
    return (maximum, sums.treeSum)
  }

  @inline(__always)
  private func divide(
    _ target: UnsafeMutablePointer<Float>, _ source: UnsafePointer<Float>, by divisor: Float, count: Int
  ) {
    var index = 0
    while index &+ 16 <= count {
      (Lanes(source + index) / Lanes(repeating: divisor)).store(target + index)
      index &+= 16
    }
    while index < count {
      target[index] = source[index] / divisor
      index &+= 1
    }
  }
}

/// Overwrites lanes visible..<16 of a panel with `value`.
@inline(__always)
func maskTail(_ panel: UnsafeMutablePointer<Float>, visible: Int, with value: Float) {
  let limit = SIMD8<Int32>(repeating: Int32(truncatingIfNeeded: visible))
  let first = SIMD8<Int32>(0, 1, 2, 3, 4, 5, 6, 7)
  let all = Lanes(panel)
  Lanes(
    all.low.replacing(with: value, where: first .>= limit),
    all.high.replacing(with: value, where: (first &+ 8) .>= limit)
  ).store(panel)
}
