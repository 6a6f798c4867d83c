import CIntrinsics
import TensorBase

extension AttentionTile {
  /// The sums over values of some rows: total[r] is made of chains over p of weights[r][p] * values[p][column...].
  struct Chains {
    /// `width` floats from row to row.
    let total: UnsafeMutablePointer<Float>
    /// Chains that are to go on; as `total`.
    let open: UnsafeMutablePointer<Float>
    let width: Int
    /// `stride` floats from row to row.
    let weights: UnsafePointer<Float>
    let stride: Int
    /// Positions that each row sees; they do not decrease.
    let ends: UnsafePointer<Int>
    let values: PositionPages
    /// The last of them that there is.
    let lastPage: Int
    let column: Int
    /// Floats from position to position.
    let valueStride: Int

    /// The values of position p and those behind it in its page.
    @inline(__always)
    func value(_ p: Int) -> UnsafePointer<Float> { values[p >> 4] + ((p & 15) &* valueStride &+ column) }

    /// Where to ask for the next band while passing over the page of position p: one line a position, which makes the
    /// whole band over all columns. A page that lies in one piece is asked for line by line, other values where this
    /// pass will read them.
    @inline(__always)
    private func ahead(_ p: Int) -> (UnsafePointer<Float>, step: Int) {
      let band = AttentionBlockPlan.bandPositions
      guard valueStride == width else {
        return (values[min((p &+ band) >> 4, lastPage)] + column, valueStride)
      }
      let line = column / 16 &* band &+ p % band
      let page = (p / band &+ 1) &* (band / 16) &+ line / width
      return (values[min(page, lastPage)] + line % width &* 16, 16)
    }

    /// Calls `body` with the positions start..<end and their values, page by page; `start` is the first of a page.
    @inline(__always)
    func forEach(from start: Int, to end: Int, _ body: (_ p: Int, _ value: UnsafePointer<Float>) -> Void) {
      var p = start
      while p < end {
        var v = value(p)
        var (ahead, step) = ahead(p)
        let stop = min(end, p &+ 16)
        while p < stop {
          martlet_prefetch(ahead)
          ahead += step
          body(p, v)
          v += valueStride
          p &+= 1
        }
      }
    }
  }

  /// Positions start..<end of a chain between two restarts.
  struct Part {
    /// The first of a page.
    let start: Int
    let end: Int
    /// Whether the chain was begun before `start`, and whether it is ended at `end`.
    let goesOn: Bool
    let closes: Bool
    /// Whether this is the first chain of the total.
    let isFirst: Bool

    @inline(__always)
    func begin(_ open: UnsafeMutablePointer<Float>) -> Lanes {
      goesOn ? Lanes(UnsafePointer(open)) : Lanes(repeating: 0)
    }

    @inline(__always)
    func finish(_ sum: Lanes, _ total: UnsafeMutablePointer<Float>, _ open: UnsafeMutablePointer<Float>) {
      if !closes {
        sum.store(open)
      } else {
        (isFirst ? sum : Lanes(UnsafePointer(total)) + sum).store(total)
      }
    }
  }

  /// Six rows, 16 columns.
  @inline(never)
  static func valuesOfSix(_ chains: Chains, _ part: Part) {
    let (width, stride) = (chains.width, chains.stride)
    var a = part.begin(chains.open)
    var b = part.begin(chains.open + width)
    var c = part.begin(chains.open + 2 &* width)
    var d = part.begin(chains.open + 3 &* width)
    var e = part.begin(chains.open + 4 &* width)
    var f = part.begin(chains.open + 5 &* width)
    let common = max(part.start, min(part.end, chains.ends[0]))
    chains.forEach(from: part.start, to: common) { p, value in
      let w = chains.weights + p
      let row = Lanes(value)
      a = a.addingProduct(Lanes(repeating: w[0]), row)
      b = b.addingProduct(Lanes(repeating: w[stride]), row)
      c = c.addingProduct(Lanes(repeating: w[2 &* stride]), row)
      d = d.addingProduct(Lanes(repeating: w[3 &* stride]), row)
      e = e.addingProduct(Lanes(repeating: w[4 &* stride]), row)
      f = f.addingProduct(Lanes(repeating: w[5 &* stride]), row)
    }
    // Past the first row's last key each row goes on alone: a masked value must not be touched.
    @inline(__always)
    func finish(_ row: Int, _ sum: Lanes) {
      var sum = sum
      var p = common
      let last = min(part.end, chains.ends[row])
      while p < last {
        sum = sum.addingProduct(Lanes(repeating: chains.weights[row &* stride &+ p]), Lanes(chains.value(p)))
        p &+= 1
      }
      part.finish(sum, chains.total + row &* width, chains.open + row &* width)
    }
    finish(0, a)
    finish(1, b)
    finish(2, c)
    finish(3, d)
    finish(4, e)
    finish(5, f)
  }

  /// Two rows, 32 columns.
  @inline(never)
  static func valuesOfTwo(_ chains: Chains, _ part: Part) {
    let (width, stride) = (chains.width, chains.stride)
    var a = part.begin(chains.open)
    var b = part.begin(chains.open + 16)
    var c = part.begin(chains.open + width)
    var d = part.begin(chains.open + (width &+ 16))
    let common = max(part.start, min(part.end, chains.ends[0]))
    chains.forEach(from: part.start, to: common) { p, value in
      let w = chains.weights + p
      let (x, y) = (Lanes(repeating: w[0]), Lanes(repeating: w[stride]))
      let (r, s) = (Lanes(value), Lanes(value + 16))
      a = a.addingProduct(x, r)
      b = b.addingProduct(x, s)
      c = c.addingProduct(y, r)
      d = d.addingProduct(y, s)
    }
    var p = common
    let last = min(part.end, chains.ends[1])
    while p < last {
      let y = Lanes(repeating: chains.weights[stride &+ p])
      c = c.addingProduct(y, Lanes(chains.value(p)))
      d = d.addingProduct(y, Lanes(chains.value(p) + 16))
      p &+= 1
    }
    part.finish(a, chains.total, chains.open)
    part.finish(b, chains.total + 16, chains.open + 16)
    part.finish(c, chains.total + width, chains.open + width)
    part.finish(d, chains.total + (width &+ 16), chains.open + (width &+ 16))
  }

  /// One row, `columns` columns: 64 or 16 of them at a time, then one.
  @inline(never)
  static func valuesOfOne(_ chains: Chains, _ part: Part, columns: Int) {
    let last = min(part.end, chains.ends[0])
    let weights = chains.weights
    var column = 0
    while column &+ 64 <= columns {
      var a = part.begin(chains.open + column)
      var b = part.begin(chains.open + (column &+ 16))
      var c = part.begin(chains.open + (column &+ 32))
      var d = part.begin(chains.open + (column &+ 48))
      chains.forEach(from: part.start, to: last) { p, value in
        let (w, v) = (Lanes(repeating: weights[p]), value + column)
        a = a.addingProduct(w, Lanes(v))
        b = b.addingProduct(w, Lanes(v + 16))
        c = c.addingProduct(w, Lanes(v + 32))
        d = d.addingProduct(w, Lanes(v + 48))
      }
      let (total, open) = (chains.total + column, chains.open + column)
      part.finish(a, total, open)
      part.finish(b, total + 16, open + 16)
      part.finish(c, total + 32, open + 32)
      part.finish(d, total + 48, open + 48)
      column &+= 64
    }
    while column &+ 16 <= columns {
      var a = part.begin(chains.open + column)
      chains.forEach(from: part.start, to: last) { p, value in
        a = a.addingProduct(Lanes(repeating: weights[p]), Lanes(value + column))
      }
      part.finish(a, chains.total + column, chains.open + column)
      column &+= 16
    }
    while column < columns {
      var sum = part.goesOn ? chains.open[column] : 0
      chains.forEach(from: part.start, to: last) { p, value in sum.addProduct(weights[p], value[column]) }
      if !part.closes {
        chains.open[column] = sum
      } else {
        chains.total[column] = part.isFirst ? sum : chains.total[column] + sum
      }
      column &+= 1
    }
  }
}
