import CIntrinsics
import TensorBase

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

  /// Pages of keys that all rows of a block pass over together.
  static let bandPages = 16
  /// Positions whose values all rows and columns pass over together, a divisor of `AttentionShape.restart`.
  static let bandPositions = 64

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
  var floatCount: Int { counts + scores + 3 * vectors }
  /// Floats a backward block needs: one more of scores.
  var backwardFloatCount: Int { counts + 2 * scores + 4 * vectors }
  /// One Int a row, in whole cache lines.
  var counts: Int { (2 * rows + 15) & ~15 }
  var scores: Int { rows * scoreStride }
  /// One vector of width D a row.
  var vectors: Int { (rows * headWidth + 15) & ~15 }
}

/// Where the parts of a block lie in scratch memory.
struct AttentionBlock {
  let plan: AttentionBlockPlan
  /// How many keys each row sees.
  let counts: UnsafeMutablePointer<Int>
  let scores: UnsafeMutablePointer<Float>
  /// Queries.
  let vectors: UnsafeMutablePointer<Float>
  let totals: UnsafeMutablePointer<Float>
  /// Sums that are still to go on.
  let open: UnsafeMutablePointer<Float>

  init(_ plan: AttentionBlockPlan, _ memory: UnsafeMutablePointer<Float>) {
    self.plan = plan
    counts = UnsafeMutableRawPointer(memory).bindMemory(to: Int.self, capacity: plan.rows)
    scores = memory + plan.counts
    vectors = scores + plan.scores
    totals = vectors + plan.vectors
    open = totals + plan.vectors
  }
}

/// One key head of one run of rows: everything a block needs.
struct AttentionRun {
  /// [rows, H, D], from the run's first row on.
  let query: Rows
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
    _ rows: Range<Int>, _ source: Rows, _ body: (UnsafePointer<Float>, Int) -> Void
  ) {
    let (D, group) = (shape.headWidth, shape.groupSize)
    var row = rows.lowerBound
    var position = row / group
    var member = row - position * group
    while row < rows.upperBound {
      let count = min(group &- member, rows.upperBound &- row)
      body(source[position] + (firstHead &+ member) &* D, count &* D)
      row &+= count
      position &+= 1
      member = 0
    }
  }

  /// Writes how many keys each row sees; the rows that fill up the last tile see what its last row sees.
  func countKeys(_ rows: Range<Int>, _ block: AttentionBlock) {
    let counts = block.counts
    forEach(rows) { local, position, _ in counts[local] = firstPosition &+ position &+ 1 }
    fillUp(counts, rows.count)
  }

  /// The same for rows that are members of a group, one position each.
  func countKeys(_ spans: ArraySlice<AttentionSpan>, _ block: AttentionBlock) {
    let counts = block.counts
    forEach(0..<spans.count * shape.groupSize) { local, position, _ in
      counts[local] = spans[spans.startIndex &+ position].firstPosition &+ 1
    }
    fillUp(counts, spans.count * shape.groupSize)
  }

  private func fillUp(_ counts: UnsafeMutablePointer<Int>, _ rows: Int) {
    for local in rows..<max(rows, tiledCount(rows)) { counts[local] = counts[rows - 1] }
  }

  /// Copies the rows of `source` [rows, H, D] one behind the other, zeros for the rows that fill up the last tile, and
  /// asks for the next block's.
  func gather(
    _ target: UnsafeMutablePointer<Float>, _ rows: Range<Int>, _ plan: AttentionBlockPlan, _ source: Rows
  ) {
    let D = shape.headWidth
    var to = target
    forEachPosition(rows, source) { from, count in
      copyFloats(to, from, count)
      to += count
    }
    for index in rows.count * D..<max(rows.count, tiledCount(rows.count)) * D { target[index] = 0 }
    let following = rows.upperBound..<min(rows.upperBound + plan.rows, rowCount)
    forEachPosition(following, source) { from, count in
      var d = 0
      while d < count {
        martlet_prefetch(from + d)
        d &+= 16
      }
    }
  }

  /// scores[row][p] = (vector of the row . column p of the panels) * scale, for those of `pages` that the row sees some
  /// of.
  /// - Parameter fillsUp: whether rows behind the last may be written to fill up a tile.
  func tileScores(
    _ scores: UnsafeMutablePointer<Float>, _ block: AttentionBlock, _ rows: Range<Int>, _ pages: Range<Int>,
    vectors: UnsafePointer<Float>, panels: PositionPages, scale: Float, fillsUp: Bool = true
  ) {
    let (D, counts, stride) = (shape.headWidth, block.counts, block.plan.scoreStride)
    let end = rows.lowerBound &+ tiledCount(rows.count, fillsUp: fillsUp)
    let last = pages.upperBound &- 1
    var first = pages.lowerBound
    while first < pages.upperBound {
      // All rows pass over a few pages while those are in a cache near by.
      let band = first..<min(first &+ AttentionBlockPlan.bandPages, pages.upperBound)
      if end > rows.lowerBound {
        for page in band {
          var tile = rows.lowerBound
          var next = panels[min(page &+ 2, last)]
          while tile < end {
            if page &* 16 < counts[tile &+ 5] {
              AttentionTile.scoresOfSix(
                scores + tile &* stride + page &* 16, stride: stride, query: vectors + tile &* D, panel: panels[page],
                next: next, width: D, scale: scale)
              // Once is enough.
              next = panels[page]
            }
            tile &+= AttentionTile.rows
          }
        }
      }
      var row = end
      while row &+ 2 <= rows.upperBound {
        AttentionTile.scoresOfTwo(
          scores + row &* stride, stride: stride, query: vectors + row &* D, panels: panels,
          pages: seen(band, counts[row &+ 1]), lastPage: last, width: D, scale: scale)
        row &+= 2
      }
      if row < rows.upperBound {
        AttentionTile.scoresOfOne(
          scores + row &* stride, query: vectors + row &* D, panels: panels, pages: seen(band, counts[row]),
          lastPage: last, width: D, scale: scale)
      }
      first = band.upperBound
    }
  }

  /// Those of `pages` that hold one of the first `count` positions.
  @inline(__always)
  private func seen(_ pages: Range<Int>, _ count: Int) -> Range<Int> {
    pages.lowerBound..<max(pages.lowerBound, min(pages.upperBound, (count &+ 15) >> 4))
  }

  /// Rows that go through tiles of six, the last filled up with empty rows if at least three are real.
  @inline(__always)
  func tiledCount(_ count: Int, fillsUp: Bool = true) -> Int {
    let whole = count / AttentionTile.rows * AttentionTile.rows
    return fillsUp && count - whole >= 3 ? whole + AttentionTile.rows : whole
  }
}

@inline(__always)
func copyFloats(_ target: UnsafeMutablePointer<Float>, _ source: UnsafePointer<Float>, _ count: Int) {
  var index = 0
  while index &+ 8 <= count {
    storeEight(loadEight(source + index), target + index)
    index &+= 8
  }
  while index < count {
    target[index] = source[index]
    index &+= 1
  }
}
