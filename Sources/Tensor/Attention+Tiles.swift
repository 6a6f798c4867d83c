/// Register tiles of attention: six rows by sixteen columns in twelve vectors of eight.
///
/// Every element is one chain of fused multiply-adds in the order of the index that is summed over, so tiles of any
/// shape give the same bits.
enum AttentionTile {
  static let rows = 6

  /// scores[r][0..<16] = (chain over d of query[r][d] * panel[d][0..<16]) * scale, r in 0..<6; queries are `width` apart.
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
      b = b.addingProduct(Lanes(repeating: q[width]), keys)
      c = c.addingProduct(Lanes(repeating: q[2 &* width]), keys)
      d = d.addingProduct(Lanes(repeating: q[3 &* width]), keys)
      e = e.addingProduct(Lanes(repeating: q[4 &* width]), keys)
      f = f.addingProduct(Lanes(repeating: q[5 &* width]), keys)
      q += 1
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

  /// Adds a block of rows to six positions: target[j][0..<16] goes on as a chain over r in starts[j]..<rows of
  /// weights[r][j] * vectors[r][0..<16]. `starts` must not decrease.
  @inline(never)
  static func columnsOfSix(
    _ target: UnsafeMutablePointer<Float>, targetStride: Int, weights: UnsafePointer<Float>, stride: Int,
    vectors: UnsafePointer<Float>, width: Int, starts: (Int, Int, Int, Int, Int, Int), rows: Int
  ) {
    // Rows that see some of the six only come first: each position takes its own.
    @inline(__always)
    func begin(_ position: Int, _ start: Int) -> Lanes {
      var sum = Lanes(UnsafePointer(target + position &* targetStride))
      var row = start
      while row < starts.5 {
        sum = sum.addingProduct(Lanes(repeating: weights[row &* stride &+ position]), Lanes(vectors + row &* width))
        row &+= 1
      }
      return sum
    }
    var a = begin(0, starts.0)
    var b = begin(1, starts.1)
    var c = begin(2, starts.2)
    var d = begin(3, starts.3)
    var e = begin(4, starts.4)
    var f = Lanes(UnsafePointer(target + 5 &* targetStride))
    var w = weights + starts.5 &* stride
    var v = vectors + starts.5 &* width
    for _ in starts.5..<rows {
      let vector = Lanes(v)
      a = a.addingProduct(Lanes(repeating: w[0]), vector)
      b = b.addingProduct(Lanes(repeating: w[1]), vector)
      c = c.addingProduct(Lanes(repeating: w[2]), vector)
      d = d.addingProduct(Lanes(repeating: w[3]), vector)
      e = e.addingProduct(Lanes(repeating: w[4]), vector)
      f = f.addingProduct(Lanes(repeating: w[5]), vector)
      w += stride
      v += width
    }
    a.store(target)
    b.store(target + targetStride)
    c.store(target + 2 &* targetStride)
    d.store(target + 3 &* targetStride)
    e.store(target + 4 &* targetStride)
    f.store(target + 5 &* targetStride)
  }

  /// As `columnsOfSix` for one position and `columns` columns, 32, 16 or one at a time.
  @inline(never)
  static func columnsOfOne(
    _ target: UnsafeMutablePointer<Float>, weights: UnsafePointer<Float>, stride: Int,
    vectors: UnsafePointer<Float>, width: Int, columns: Int, start: Int, rows: Int
  ) {
    var column = 0
    while column &+ 32 <= columns {
      var a = Lanes(UnsafePointer(target + column))
      var b = Lanes(UnsafePointer(target + column + 16))
      for row in start..<rows {
        let w = Lanes(repeating: weights[row &* stride])
        let v = vectors + row &* width + column
        a = a.addingProduct(w, Lanes(v))
        b = b.addingProduct(w, Lanes(v + 16))
      }
      a.store(target + column)
      b.store(target + column + 16)
      column &+= 32
    }
    while column &+ 16 <= columns {
      var a = Lanes(UnsafePointer(target + column))
      for row in start..<rows {
        a = a.addingProduct(Lanes(repeating: weights[row &* stride]), Lanes(vectors + row &* width + column))
      }
      a.store(target + column)
      column &+= 16
    }
    while column < columns {
      for row in start..<rows {
        target[column].addProduct(weights[row &* stride], vectors[row &* width &+ column])
      }
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
  let wide = width & ~3
  var row = 0
  while row < rows {
    let panel = panels + row / 16 &* 16 &* width + row & 15
    if row &+ 4 <= rows {
      var d = 0
      while d < wide {
        transposeFour(panel + d &* 16, source + row &* stride + d, stride)
        d &+= 4
      }
      for lane in 0..<4 {
        for d in wide..<width { panel[d &* 16 &+ lane] = source[(row &+ lane) &* stride &+ d] }
      }
    } else {
      for lane in 0..<4 {
        let from = source + (row &+ lane) &* stride
        for d in 0..<width { panel[d &* 16 &+ lane] = row &+ lane < rows ? from[d] : 0 }
      }
    }
    row &+= 4
  }
  while row & 15 != 0 {
    let panel = panels + row / 16 &* 16 &* width + row & 15
    for d in 0..<width { panel[d &* 16] = 0 }
    row &+= 1
  }
}

/// Four rows of four, turned by two rounds of parting even and odd columns.
@inline(__always)
private func transposeFour(_ target: UnsafeMutablePointer<Float>, _ source: UnsafePointer<Float>, _ stride: Int) {
  @inline(__always)
  func row(_ index: Int) -> SIMD4<Float> {
    UnsafeRawPointer(source + index &* stride).loadUnaligned(as: SIMD4<Float>.self)
  }
  let (a, b, c, d) = (row(0), row(1), row(2), row(3))
  let ab = SIMD8(lowHalf: a, highHalf: b)
  let cd = SIMD8(lowHalf: c, highHalf: d)
  let even = SIMD8(lowHalf: ab.evenHalf, highHalf: cd.evenHalf)
  let odd = SIMD8(lowHalf: ab.oddHalf, highHalf: cd.oddHalf)
  let raw = UnsafeMutableRawPointer(target)
  raw.storeBytes(of: even.evenHalf, as: SIMD4<Float>.self)
  raw.storeBytes(of: odd.evenHalf, toByteOffset: 64, as: SIMD4<Float>.self)
  raw.storeBytes(of: even.oddHalf, toByteOffset: 128, as: SIMD4<Float>.self)
  raw.storeBytes(of: odd.oddHalf, toByteOffset: 192, as: SIMD4<Float>.self)
}
