import CIntrinsics
import TensorBase

/// What the forward pass writes.
struct AttentionOutput {
  /// [rows, H, D].
  let out: MutableRows
  /// [rows, H, 2]: largest score and sum of exponentials.
  let statistics: UnsafeMutablePointer<Float>?
}

extension AttentionRun {
  /// All rows `every`-th block of the run, beginning with block `first`.
  func forward(
    _ output: AttentionOutput, keys: PositionPages, values: PositionPages, valueStride: Int, plan: AttentionBlockPlan,
    memory: UnsafeMutablePointer<Float>, first: Int = 0, every: Int = 1
  ) {
    var start = first * plan.rows
    while start < rowCount {
      let rows = start..<min(start + plan.rows, rowCount)
      let block = AttentionBlock(plan, memory)
      let all = 0..<rows.count
      countKeys(rows, block)
      let positions = 0..<block.counts[rows.count - 1]
      gather(block.vectors, rows, plan, query)
      tileScores(
        block.scores, block, all, 0..<KeyValueStore.pageCount(length: positions.count), vectors: block.vectors,
        panels: keys, scale: shape.scale)
      takeExponentials(block, rows, output)
      weightedRows(block, block.scores, all, positions, values: values, valueStride: valueStride)
      divide(block, rows, output)
      start += every * plan.rows
    }
  }

  /// The rows of spans that begin with the same pages: those are read once, then each span's own.
  func forward(
    _ spans: ArraySlice<AttentionSpan>, sharedPages: Int, _ output: AttentionOutput, plan: AttentionBlockPlan,
    memory: UnsafeMutablePointer<Float>
  ) {
    let rows = 0..<spans.count * shape.groupSize
    let block = AttentionBlock(plan, memory)
    countKeys(spans, block)
    let shared = 0..<sharedPages
    gather(block.vectors, rows, plan, query)
    let store = spans[spans.startIndex].store
    tileScores(
      block.scores, block, rows, shared, vectors: block.vectors, panels: store.keys(head: keyValueHead, shape: shape),
      scale: shape.scale)
    forEachMember(spans) { span, own in
      tileScores(
        block.scores, block, own, sharedPages..<KeyValueStore.pageCount(length: span.firstPosition + 1),
        vectors: block.vectors, panels: span.store.keys(head: keyValueHead, shape: shape), scale: shape.scale,
        fillsUp: false)
    }
    takeExponentials(block, rows, output)
    let border = sharedPages * KeyValueStore.pageLength
    weightedRows(
      block, block.scores, rows, 0..<border, values: store.values(head: keyValueHead, shape: shape),
      valueStride: shape.headWidth, closes: false)
    forEachMember(spans) { span, own in
      weightedRows(
        block, block.scores, own, border..<span.firstPosition + 1,
        values: span.store.values(head: keyValueHead, shape: shape), valueStride: shape.headWidth, fillsUp: false)
    }
    divide(block, rows, output)
  }

  @inline(__always)
  private func forEachMember(_ spans: ArraySlice<AttentionSpan>, _ body: (AttentionSpan, Range<Int>) -> Void) {
    for (member, span) in spans.enumerated() {
      body(span, member * shape.groupSize..<(member + 1) * shape.groupSize)
    }
  }

  private func takeExponentials(_ block: AttentionBlock, _ rows: Range<Int>, _ output: AttentionOutput) {
    let (D, counts, plan) = (shape.headWidth, block.counts, block.plan)
    forEach(rows) { local, position, head in
      let next = output.out[position] + head &* D
      for d in stride(from: 0, to: D, by: 16) { martlet_prefetch(next + d) }
      let (maximum, sum) = exponentials(block.scores + local &* plan.scoreStride, count: counts[local])
      if let statistics = output.statistics {
        let place = (position &* shape.headCount &+ head) &* 2
        statistics[place] = maximum
        statistics[place &+ 1] = sum
      }
      // The queries are done with: the sum waits in their place for the division.
      block.vectors[local] = sum
    }
  }

  private func divide(_ block: AttentionBlock, _ rows: Range<Int>, _ output: AttentionOutput) {
    let D = shape.headWidth
    forEach(rows) { local, position, head in
      divide(
        output.out[position] + head &* D, block.totals + local &* D, by: block.vectors[local],
        count: D)
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
