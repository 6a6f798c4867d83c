import TensorBase

extension AttentionRun {
  /// totals[row][0..<D] = sum over the row's keys at `positions` of weights[row][p] * values[p], restarted every 512
  /// positions.
  ///
  /// `positions` begins with a page. Where it begins or ends between two restarts, the chain goes on from, or waits in,
  /// `block.open`, which lies as `block.totals` does; with `closes` it is ended.
  /// - Parameters:
  ///   - weights: `block.plan.scoreStride` floats from row to row.
  ///   - valueStride: floats from position to position.
  func weightedRows(
    _ block: AttentionBlock, _ weights: UnsafePointer<Float>, _ rows: Range<Int>, _ positions: Range<Int>,
    values: PositionPages, valueStride: Int, closes: Bool = true, fillsUp: Bool = true
  ) {
    let tiled = rows.lowerBound &+ tiledCount(rows.count, fillsUp: fillsUp)
    let limit = min(positions.upperBound, block.counts[rows.upperBound - 1])
    var start = positions.lowerBound
    while start < limit {
      let size = AttentionBlockPlan.bandPositions
      let end = min((start / size + 1) * size, positions.upperBound)
      let band = ValueBand(
        block: block, weights: weights, values: values, valueStride: valueStride, lastPage: (limit &- 1) >> 4,
        start: start, end: end, limit: positions.upperBound, closes: closes)
      band.add(rows, tiled: tiled)
      start = end
    }
  }
}

/// What the sums over values take from positions start..<end, which all rows and columns pass over together.
private struct ValueBand {
  let block: AttentionBlock
  let weights: UnsafePointer<Float>
  let values: PositionPages
  let valueStride: Int
  let lastPage: Int
  let start: Int
  let end: Int
  /// The end of the last band.
  let limit: Int
  let closes: Bool

  /// - Parameter tiled: rows before it go through tiles of six.
  func add(_ rows: Range<Int>, tiled: Int) {
    let (D, counts) = (block.plan.headWidth, block.counts)
    let wide = D / 16 * 16
    var row = rows.lowerBound
    while row < tiled {
      var column = 0
      while column < wide && start < counts[row &+ 5] {
        AttentionTile.valuesOfSix(chains(row, column), part(row &+ 5))
        column &+= 16
      }
      row &+= AttentionTile.rows
    }
    while row &+ 2 <= rows.upperBound {
      var column = 0
      while column &+ 32 <= D && start < counts[row &+ 1] {
        AttentionTile.valuesOfTwo(chains(row, column), part(row &+ 1))
        column &+= 32
      }
      for row in row...row &+ 1 where start < counts[row] && column < D {
        AttentionTile.valuesOfOne(chains(row, column), part(row), columns: D - column)
      }
      row &+= 2
    }
    if row < rows.upperBound && start < counts[row] {
      AttentionTile.valuesOfOne(chains(row, 0), part(row), columns: D)
    }
    if wide < D {
      for row in rows.lowerBound..<min(tiled, rows.upperBound) where start < counts[row] {
        AttentionTile.valuesOfOne(chains(row, wide), part(row), columns: D - wide)
      }
    }
  }

  /// What tiles do whose last row is `last`.
  @inline(__always)
  private func part(_ last: Int) -> AttentionTile.Part {
    let restart = AttentionShape.restart
    let isLast = closes && end >= min(block.counts[last], limit)
    return AttentionTile.Part(
      start: start, end: end, goesOn: start % restart != 0, closes: isLast || end % restart == 0,
      isFirst: start < restart)
  }

  @inline(__always)
  private func chains(_ row: Int, _ column: Int) -> AttentionTile.Chains {
    let D = block.plan.headWidth
    return AttentionTile.Chains(
      total: block.totals + row &* D + column, open: block.open + row &* D + column, width: D,
      weights: weights + row &* block.plan.scoreStride, stride: block.plan.scoreStride, ends: block.counts + row,
      values: values, lastPage: lastPage, column: column, valueStride: valueStride)
  }
}
