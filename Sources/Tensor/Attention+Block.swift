/// Sizes of one block of query rows, and where its parts lie in scratch memory.
///
/// Rows of a block are pairs (position, query head of the group), positions outermost, so that all of them read the
/// same keys and values.
struct AttentionBlockPlan {
  /// Rows of a block, a multiple of 6.
  let rows: Int
  /// Floats from one row of scores to the next.
  let scoreStride: Int
  let headWidth: Int

  /// Positions after which the sum over values starts anew.
  static let restart = 512

  init(shape: AttentionShape, keyCount: Int, rowCount: Int) {
    let panels = (keyCount + 15) / 16
    // An odd number of cache lines keeps the six rows of a tile in different sets.
    scoreStride = (panels | 1) * 16
    let wanted = (rowCount * shape.groupSize + 5) / 6 * 6
    let fitting = max(6, min(48, 65_536 / scoreStride / 6 * 6))
    rows = min(wanted, fitting)
    headWidth = shape.headWidth
  }

  var floatCount: Int { scores + packed + totals }
  var scores: Int { rows * scoreStride }
  var packed: Int { rows * headWidth }
  var totals: Int { rows * headWidth }
}

/// One key head of one run of rows: everything `forward` needs.
struct AttentionRun {
  let out: UnsafeMutablePointer<Float>
  let outStride: Int
  let query: UnsafePointer<Float>
  let queryStride: Int
  let keyPanels: UnsafePointer<Float>
  let values: UnsafePointer<Float>
  let valueStride: Int
  let statistics: UnsafeMutablePointer<Float>?
  let shape: AttentionShape
  let keyValueHead: Int
  let firstPosition: Int

  /// Keys that block row `row` sees.
  @inline(__always)
  func keyCount(_ row: Int) -> Int { firstPosition &+ row / shape.groupSize &+ 1 }

  /// Offset of block row `row` in a [rows, H, D] array.
  @inline(__always)
  func offset(_ row: Int, stride: Int) -> Int {
    let group = shape.groupSize
    let position = row / group
    return position &* stride &+ (keyValueHead &* group &+ row &- position &* group) &* shape.headWidth
  }

  func forward(rows: Range<Int>, plan: AttentionBlockPlan, memory: UnsafeMutablePointer<Float>) {
    let D = shape.headWidth
    let scores = memory
    let packed = memory + plan.scores
    let totals = packed + plan.packed
    scoreRows(scores, rows, plan, packed)
    for row in rows {
      let local = row - rows.lowerBound
      let (maximum, sum) = exponentials(scores + local * plan.scoreStride, count: keyCount(row))
      if let statistics {
        let group = shape.groupSize
        let place = (row / group * shape.headCount + keyValueHead * group + row % group) * 2
        statistics[place] = maximum
        statistics[place + 1] = sum
      }
      // Where the sum is kept until the division: behind the row's last panel nothing is read.
      packed[local] = sum
    }
    weightedRows(totals, scores, rows, plan, values: values, valueStride: valueStride)
    for row in rows {
      let local = row - rows.lowerBound
      divide(out + offset(row, stride: outStride), totals + local * D, by: packed[local], count: D)
    }
  }

  /// scores[row][p] = (q . k_p) * scale for all panels the row sees some of.
  private func scoreRows(
    _ scores: UnsafeMutablePointer<Float>, _ rows: Range<Int>, _ plan: AttentionBlockPlan,
    _ packed: UnsafeMutablePointer<Float>
  ) {
    tileScores(
      scores, rows, plan, packed, source: query, sourceStride: queryStride, panels: keyPanels, scale: shape.scale)
  }

  /// The product of block rows of `source` [rows, H, D] with panels, times `scale`.
  func tileScores(
    _ scores: UnsafeMutablePointer<Float>, _ rows: Range<Int>, _ plan: AttentionBlockPlan,
    _ packed: UnsafeMutablePointer<Float>, source: UnsafePointer<Float>, sourceStride: Int,
    panels: UnsafePointer<Float>, scale: Float
  ) {
    let D = shape.headWidth
    let tiled = tiledCount(rows.count)
    packTiles(packed, rows, tiled, source, sourceStride)
    let last = (keyCount(rows.upperBound - 1) + 15) >> 4
    // A panel stays in the first cache while all tiles pass over it.
    for panel in 0..<last {
      var tile = 0
      while tile < tiled {
        let bottom = rows.lowerBound + min(tile + AttentionTile.rows, rows.count) - 1
        if panel &* 16 < keyCount(bottom) {
          AttentionTile.scoresOfSix(
            scores + tile &* plan.scoreStride + panel &* 16, stride: plan.scoreStride, query: packed + tile &* D,
            panel: panels + panel &* 16 &* D, width: D, scale: scale)
        }
        tile &+= AttentionTile.rows
      }
    }
    for local in min(tiled, rows.count)..<rows.count {
      let row = rows.lowerBound + local
      AttentionTile.scoresOfOne(
        scores + local * plan.scoreStride, query: source + offset(row, stride: sourceStride), keyPanels: panels,
        panels: (keyCount(row) + 15) >> 4, width: D, scale: scale)
    }
  }

  /// Rows that go through tiles of six, the last filled up with empty rows if at least three are real.
  @inline(__always)
  private func tiledCount(_ count: Int) -> Int {
    let whole = count / AttentionTile.rows * AttentionTile.rows
    return count - whole >= 3 ? whole + AttentionTile.rows : whole
  }

  /// [tile][D][6]; empty rows are zeros.
  private func packTiles(
    _ packed: UnsafeMutablePointer<Float>, _ rows: Range<Int>, _ tiled: Int, _ source: UnsafePointer<Float>,
    _ stride: Int
  ) {
    let D = shape.headWidth
    for local in 0..<tiled {
      let target = packed + local / AttentionTile.rows * AttentionTile.rows * D + local % AttentionTile.rows
      if local < rows.count {
        let from = source + offset(rows.lowerBound + local, stride: stride)
        for d in 0..<D { target[d &* 6] = from[d] }
      } else {
        for d in 0..<D { target[d &* 6] = 0 }
      }
    }
  }

  /// totals[row][0..<D] = sum over the keys of the row of weights[row][p] * values[p], restarted every 512 positions.
  func weightedRows(
    _ totals: UnsafeMutablePointer<Float>, _ weights: UnsafePointer<Float>, _ rows: Range<Int>,
    _ plan: AttentionBlockPlan, values: UnsafePointer<Float>, valueStride: Int
  ) {
    let D = shape.headWidth
    let tiled = tiledCount(rows.count)
    let wide = D / 16 * 16
    var ends: (Int, Int, Int, Int, Int, Int) = (0, 0, 0, 0, 0, 0)
    var start = 0
    while start < keyCount(rows.upperBound - 1) {
      let end = start + AttentionBlockPlan.restart
      var tile = 0
      while tile < tiled {
        let top = rows.lowerBound + tile
        let bottom = rows.upperBound - 1
        let lastCount = keyCount(min(top + 5, bottom))
        if start < lastCount {
          ends = (
            keyCount(top), keyCount(min(top + 1, bottom)), keyCount(min(top + 2, bottom)),
            keyCount(min(top + 3, bottom)), keyCount(min(top + 4, bottom)), lastCount
          )
          withUnsafeBytes(of: &ends) { raw in
            let ends = raw.baseAddress!.assumingMemoryBound(to: Int.self)
            var column = 0
            while column < wide {
              AttentionTile.valuesOfSix(
                totals + tile &* D + column, totalStride: D, weights: weights + tile &* plan.scoreStride,
                stride: plan.scoreStride, values: values + column, valueStride: valueStride, start: start, end: end,
                ends: ends, first: start == 0)
              column &+= 16
            }
          }
        }
        tile &+= AttentionTile.rows
      }
      for local in 0..<rows.count {
        let count = keyCount(rows.lowerBound + local)
        let column = local < tiled ? wide : 0
        if start < count && column < D {
          AttentionTile.valuesOfOne(
            totals + local * D + column, weights: weights + local * plan.scoreStride, values: values + column,
            valueStride: valueStride, start: start, end: min(end, count), columns: D - column, first: start == 0)
        }
      }
      start = end
    }
  }

  /// Scores to exponentials in place; the largest score and the sum, lanes by position mod 16.
  @inline(__always)
  private func exponentials(_ scores: UnsafeMutablePointer<Float>, count: Int) -> (maximum: Float, sum: Float) {
    let maximum = rowMaximum(scores, count: count)
    let shift = Lanes(repeating: maximum)
    var sums = Lanes(repeating: 0)
    var index = 0
    while index &+ 16 <= count {
      let e = vectorExpOfNonPositive(Lanes(scores + index) - shift)
      e.store(scores + index)
      sums = sums + e
      index &+= 16
    }
    if index < count {
      let rest = count &- index
      let e = vectorExpOfNonPositive(Lanes(scores + index, count: rest, padding: -.infinity) - shift)
      e.store(scores + index)
      sums = sums + e
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
