import TensorBase

extension AttentionTile {
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
