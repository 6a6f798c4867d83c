import CIntrinsics

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

  /// Floats a forward block needs.
  var floatCount: Int { counts + scores + 2 * vectors }
  /// Floats a backward block needs: one more of scores, two more of vectors.
  var backwardFloatCount: Int { counts + 2 * scores + 3 * vectors }
  /// One Int a row, in whole cache lines.
  var counts: Int { (2 * rows + 15) & ~15 }
  var scores: Int { rows * scoreStride }
  /// One vector of width D a row.
  var vectors: Int { (rows * headWidth + 15) & ~15 }
}

/// One key head of one run of rows: everything a block needs.
struct AttentionRun {
  let query: UnsafePointer<Float>
  let queryStride: Int
  let keyPanels: UnsafePointer<Float>
  let shape: AttentionShape
  let keyValueHead: Int
  let firstPosition: Int
  /// Block rows of the whole run.
  let rowCount: Int

  /// The first query head that reads this key head.
  var firstHead: Int { keyValueHead &* shape.groupSize }

  /// Calls `body` with the index in the block, the position in the run and the query head of each row.
  @inline(__always)
  func forEach(_ rows: Range<Int>, _ body: (_ local: Int, _ position: Int, _ head: Int) -> Void) {
    let group = shape.groupSize
    var position = rows.lowerBound / group
    var member = rows.lowerBound - position * group
    for local in 0..<rows.count {
      body(local, position, firstHead &+ member)
      member &+= 1
      if member == group {
        member = 0
        position &+= 1
      }
    }
  }

  /// Calls `body` with the run of floats in `source`, [rows, H, D], that each position of the rows has.
  @inline(__always)
  func forEachPosition(
    _ rows: Range<Int>, _ source: UnsafePointer<Float>, stride: Int, _ body: (UnsafePointer<Float>, Int) -> Void
  ) {
    let (D, group) = (shape.headWidth, shape.groupSize)
    var row = rows.lowerBound
    var position = row / group
    var member = row - position * group
    while row < rows.upperBound {
      let count = min(group &- member, rows.upperBound &- row)
      body(source + position &* stride + (firstHead &+ member) &* D, count &* D)
      row &+= count
      position &+= 1
      member = 0
    }
  }

  /// Writes how many keys each row sees; the rows that fill up the last tile see what its last row sees.
  func countKeys(_ rows: Range<Int>, _ plan: AttentionBlockPlan, _ memory: UnsafeMutablePointer<Float>)
    -> UnsafePointer<Int>
  {
    let counts = UnsafeMutableRawPointer(memory).bindMemory(to: Int.self, capacity: plan.rows)
    forEach(rows) { local, position, _ in counts[local] = firstPosition &+ position &+ 1 }
    for local in rows.count..<max(rows.count, tiledCount(rows.count)) { counts[local] = counts[rows.count - 1] }
    return UnsafePointer(counts)
  }

  /// Copies the rows of `source` [rows, H, D] one behind the other, zeros for the rows that fill up the last tile, and
  /// asks for the next block's.
  func gather(
    _ target: UnsafeMutablePointer<Float>, _ rows: Range<Int>, _ plan: AttentionBlockPlan,
    _ source: UnsafePointer<Float>, stride: Int
  ) {
    let D = shape.headWidth
    var to = target
    forEachPosition(rows, source, stride: stride) { from, count in
      copyFloats(to, from, count)
      to += count
    }
    for index in rows.count * D..<max(rows.count, tiledCount(rows.count)) * D { target[index] = 0 }
    let following = rows.upperBound..<min(rows.upperBound + plan.rows, rowCount)
    forEachPosition(following, source, stride: stride) { from, count in
      var d = 0
      while d < count {
        martlet_prefetch(from + d)
        d &+= 16
      }
    }
  }

  /// scores[row][p] = (vector of the row . column p of the panels) * scale, for all panels the row sees some of.
  func tileScores(
    _ scores: UnsafeMutablePointer<Float>, _ rows: Int, _ counts: UnsafePointer<Int>, _ plan: AttentionBlockPlan,
    vectors: UnsafePointer<Float>, panels: UnsafePointer<Float>, scale: Float
  ) {
    let D = shape.headWidth
    let tiled = tiledCount(rows)
    // A panel stays in the first cache while all tiles pass over it.
    var panel = 0
    while tiled > 0 && panel &* 16 < counts[rows - 1] {
      var tile = 0
      while tile < tiled {
        if panel &* 16 < counts[tile &+ 5] {
          AttentionTile.scoresOfSix(
            scores + tile &* plan.scoreStride + panel &* 16, stride: plan.scoreStride, query: vectors + tile &* D,
            panel: panels + panel &* 16 &* D, width: D, scale: scale)
        }
        tile &+= AttentionTile.rows
      }
      panel &+= 1
    }
    for row in min(tiled, rows)..<rows {
      AttentionTile.scoresOfOne(
        scores + row * plan.scoreStride, query: vectors + row * D, keyPanels: panels,
        panels: (counts[row] + 15) >> 4, width: D, scale: scale)
    }
  }

  /// Rows that go through tiles of six, the last filled up with empty rows if at least three are real.
  @inline(__always)
  func tiledCount(_ count: Int) -> Int {
    let whole = count / AttentionTile.rows * AttentionTile.rows
    return count - whole >= 3 ? whole + AttentionTile.rows : whole
  }

  /// totals[row][0..<D] = sum over the keys of the row of weights[row][p] * values[p], restarted every 512 positions.
  func weightedRows(
    _ totals: UnsafeMutablePointer<Float>, _ weights: UnsafePointer<Float>, _ rows: Int,
    _ counts: UnsafePointer<Int>, _ plan: AttentionBlockPlan, values: UnsafePointer<Float>, valueStride: Int
  ) {
    let D = shape.headWidth
    let tiled = tiledCount(rows)
    let wide = D / 16 * 16
    var start = 0
    while start < counts[rows - 1] {
      let end = start + AttentionBlockPlan.restart
      var tile = 0
      while tile < tiled {
        var column = 0
        while column < wide && start < counts[tile &+ 5] {
          AttentionTile.valuesOfSix(
            totals + tile &* D + column, totalStride: D, weights: weights + tile &* plan.scoreStride,
            stride: plan.scoreStride, values: values + column, valueStride: valueStride, start: start, end: end,
            ends: counts + tile, first: start == 0)
          column &+= 16
        }
        tile &+= AttentionTile.rows
      }
      for row in (wide < D ? 0 : min(tiled, rows))..<rows where start < counts[row] {
        let column = row < tiled ? wide : 0
        AttentionTile.valuesOfOne(
          totals + row * D + column, weights: weights + row * plan.scoreStride, values: values + column,
          valueStride: valueStride, start: start, end: min(end, counts[row]), columns: D - column, first: start == 0)
      }
      start = end
    }
  }
}

@inline(__always)
func copyFloats(_ target: UnsafeMutablePointer<Float>, _ source: UnsafePointer<Float>, _ count: Int) {
  var index = 0
  while index &+ 8 <= count {
    SwiGLUKernel.store(SwiGLUKernel.load(source + index), target + index)
    index &+= 8
  }
  while index < count {
    target[index] = source[index]
    index &+= 1
  }
}
