/// Register tiles of attention: six rows by sixteen columns in twelve vectors of eight.
///
/// Every element is one chain of fused multiply-adds in the order of the index that is summed over, so tiles of any
/// shape give the same bits.
enum AttentionTile {
  static let rows = 6

  /// scores[r][0..<16] = (chain over d of query[d][r] * panel[d][0..<16]) * scale, r in 0..<6.
  @inline(never)
  static func scoresOfSix(
    _ scores: UnsafeMutablePointer<Float>, stride: Int, query: UnsafePointer<Float>, panel: UnsafePointer<Float>,
    width: Int, scale: Float
  ) {
    var a = Lanes(repeating: 0)
    var (b, c, d, e, f) = (a, a, a, a, a)
    var q = query
    var p = panel
    for _ in 0..<width {
      let keys = Lanes(p)
      a = a.addingProduct(Lanes(repeating: q[0]), keys)
      b = b.addingProduct(Lanes(repeating: q[1]), keys)
      c = c.addingProduct(Lanes(repeating: q[2]), keys)
      d = d.addingProduct(Lanes(repeating: q[3]), keys)
      e = e.addingProduct(Lanes(repeating: q[4]), keys)
      f = f.addingProduct(Lanes(repeating: q[5]), keys)
      q += 6
      p += 16
    }
    let factor = Lanes(repeating: scale)
    (a * factor).store(scores)
    (b * factor).store(scores + stride)
    (c * factor).store(scores + 2 &* stride)
    (d * factor).store(scores + 3 &* stride)
    (e * factor).store(scores + 4 &* stride)
    (f * factor).store(scores + 5 &* stride)
  }

  /// One row over `panels` panels, four at a time.
  @inline(never)
  static func scoresOfOne(
    _ scores: UnsafeMutablePointer<Float>, query: UnsafePointer<Float>, keyPanels: UnsafePointer<Float>, panels: Int,
    width: Int, scale: Float
  ) {
    let factor = Lanes(repeating: scale)
    let panelFloats = 16 &* width
    var panel = 0
    while panel &+ 4 <= panels {
      var a = Lanes(repeating: 0)
      var (b, c, d) = (a, a, a)
      let first = keyPanels + panel &* panelFloats
      for index in 0..<width {
        let x = Lanes(repeating: query[index])
        let p = first + 16 &* index
        a = a.addingProduct(x, Lanes(p))
        b = b.addingProduct(x, Lanes(p + panelFloats))
        c = c.addingProduct(x, Lanes(p + 2 &* panelFloats))
        d = d.addingProduct(x, Lanes(p + 3 &* panelFloats))
      }
      let target = scores + 16 &* panel
      (a * factor).store(target)
      (b * factor).store(target + 16)
      (c * factor).store(target + 32)
      (d * factor).store(target + 48)
      panel &+= 4
    }
    while panel < panels {
      var a = Lanes(repeating: 0)
      let first = keyPanels + panel &* panelFloats
      for index in 0..<width {
        a = a.addingProduct(Lanes(repeating: query[index]), Lanes(first + 16 &* index))
      }
      (a * factor).store(scores + 16 &* panel)
      panel &+= 1
    }
  }

  /// Adds one run of positions to six rows: total[r][0..<16] += chain over p in start..<min(ends[r], end) of
  /// weights[r][p] * values[p][0..<16]; with `first` it is written instead. `ends` must not decrease.
  @inline(never)
  static func valuesOfSix(
    _ total: UnsafeMutablePointer<Float>, totalStride: Int, weights: UnsafePointer<Float>, stride: Int,
    values: UnsafePointer<Float>, valueStride: Int, start: Int, end: Int, ends: UnsafePointer<Int>, first: Bool
  ) {
    var a = Lanes(repeating: 0)
    var (b, c, d, e, f) = (a, a, a, a, a)
    let common = max(start, min(end, ends[0]))
    var v = values + start &* valueStride
    var w = weights + start
    for _ in start..<common {
      let row = Lanes(v)
      a = a.addingProduct(Lanes(repeating: w[0]), row)
      b = b.addingProduct(Lanes(repeating: w[stride]), row)
      c = c.addingProduct(Lanes(repeating: w[2 &* stride]), row)
      d = d.addingProduct(Lanes(repeating: w[3 &* stride]), row)
      e = e.addingProduct(Lanes(repeating: w[4 &* stride]), row)
      f = f.addingProduct(Lanes(repeating: w[5 &* stride]), row)
      v += valueStride
      w += 1
    }
    // Past the first row's last key each row goes on alone: a masked value must not be touched.
    @inline(__always)
    func finish(_ row: Int, _ sum: Lanes) {
      var sum = sum
      var p = common
      let last = min(end, ends[row])
      while p < last {
        sum = sum.addingProduct(
          Lanes(repeating: weights[row &* stride &+ p]), Lanes(values + p &* valueStride))
        p &+= 1
      }
      let target = total + row &* totalStride
      (first ? sum : Lanes(UnsafePointer(target)) + sum).store(target)
    }
    finish(0, a)
    finish(1, b)
    finish(2, c)
    finish(3, d)
    finish(4, e)
    finish(5, f)
  }

  /// As `valuesOfSix` for one row and `columns` columns, 64 or 16 of them at a time.
  @inline(never)
  static func valuesOfOne(
    _ total: UnsafeMutablePointer<Float>, weights: UnsafePointer<Float>, values: UnsafePointer<Float>,
    valueStride: Int, start: Int, end: Int, columns: Int, first: Bool
  ) {
    var column = 0
    while column &+ 64 <= columns {
      var a = Lanes(repeating: 0)
      var (b, c, d) = (a, a, a)
      var v = values + start &* valueStride + column
      for p in start..<end {
        let w = Lanes(repeating: weights[p])
        a = a.addingProduct(w, Lanes(v))
        b = b.addingProduct(w, Lanes(v + 16))
        c = c.addingProduct(w, Lanes(v + 32))
        d = d.addingProduct(w, Lanes(v + 48))
        v += valueStride
      }
      let target = total + column
      add(a, target, first)
      add(b, target + 16, first)
      add(c, target + 32, first)
      add(d, target + 48, first)
      column &+= 64
    }
    while column &+ 16 <= columns {
      var a = Lanes(repeating: 0)
      var v = values + start &* valueStride + column
      for p in start..<end {
        a = a.addingProduct(Lanes(repeating: weights[p]), Lanes(v))
        v += valueStride
      }
      add(a, total + column, first)
      column &+= 16
    }
    while column < columns {
      var sum: Float = 0
      for p in start..<end { sum.addProduct(weights[p], values[p &* valueStride &+ column]) }
      total[column] = first ? sum : total[column] + sum
      column &+= 1
    }
  }

  @inline(__always)
  private static func add(_ sum: Lanes, _ target: UnsafeMutablePointer<Float>, _ first: Bool) {
    (first ? sum : Lanes(UnsafePointer(target)) + sum).store(target)
  }
}

/// Lays `rows` rows of `width` floats into panels of 16 rows, [width][16]; what is missing in the last panel is 0.
func packPanels(
  _ panels: UnsafeMutablePointer<Float>, _ source: UnsafePointer<Float>, stride: Int, rows: Int, width: Int
) {
  var row = 0
  while row < rows {
    let panel = panels + row &* width
    let count = min(16, rows &- row)
    for lane in 0..<16 {
      if lane < count {
        let from = source + (row &+ lane) &* stride
        for d in 0..<width { panel[d &* 16 &+ lane] = from[d] }
      } else {
        for d in 0..<width { panel[d &* 16 &+ lane] = 0 }
      }
    }
    row &+= 16
  }
}
