import CIntrinsics
import TensorBase

/// Register tiles of attention: six rows by sixteen columns in twelve vectors of eight.
///
/// Every element is one chain of fused multiply-adds in the order of the index that is summed over, so tiles of any
/// shape give the same bits.
///
/// Pages lie anywhere, so no processor guesses the next one: tiles ask for it a page or more ahead.
enum AttentionTile {
  static let rows = 6

  /// scores[r][0..<16] = (chain over d of query[r][d] * panel[d][0..<16]) * scale, r in 0..<6; queries are `width`
  /// apart.
  /// - Parameter next: the panel to be read soon.
  @inline(never)
  static func scoresOfSix(
    _ scores: UnsafeMutablePointer<Float>, stride: Int, query: UnsafePointer<Float>, panel: UnsafePointer<Float>,
    next: UnsafePointer<Float>, width: Int, scale: Float
  ) {
    var a = Lanes(repeating: 0)
    var (b, c, d, e, f) = (a, a, a, a, a)
    var q = query
    var p = panel
    var ahead = next
    for _ in 0..<width {
      martlet_prefetch(ahead)
      let keys = Lanes(p)
      a = a.addingProduct(Lanes(repeating: q[0]), keys)
      b = b.addingProduct(Lanes(repeating: q[width]), keys)
      c = c.addingProduct(Lanes(repeating: q[2 &* width]), keys)
      d = d.addingProduct(Lanes(repeating: q[3 &* width]), keys)
      e = e.addingProduct(Lanes(repeating: q[4 &* width]), keys)
      f = f.addingProduct(Lanes(repeating: q[5 &* width]), keys)
      q += 1
      p += 16
      ahead += 16
    }
    let factor = Lanes(repeating: scale)
    (a * factor).store(scores)
    (b * factor).store(scores + stride)
    (c * factor).store(scores + 2 &* stride)
    (d * factor).store(scores + 3 &* stride)
    (e * factor).store(scores + 4 &* stride)
    (f * factor).store(scores + 5 &* stride)
  }

  /// Two rows over some panels, two at a time; the rows' scores are `stride` apart, their queries `width`.
  @inline(never)
  static func scoresOfTwo(
    _ scores: UnsafeMutablePointer<Float>, stride: Int, query: UnsafePointer<Float>, panels: PositionPages,
    pages: Range<Int>, lastPage: Int, width: Int, scale: Float
  ) {
    let factor = Lanes(repeating: scale)
    let other = query + width
    var page = pages.lowerBound
    while page < pages.upperBound {
      // The last one goes with itself.
      let next = min(page &+ 1, pages.upperBound &- 1)
      let (p, r) = (panels[page], panels[next])
      let (ahead, further) = (panels[min(page &+ 2, lastPage)], panels[min(page &+ 3, lastPage)])
      var a = Lanes(repeating: 0)
      var (b, c, d) = (a, a, a)
      for index in 0..<width {
        martlet_prefetch(ahead + 16 &* index)
        martlet_prefetch(further + 16 &* index)
        let (x, y) = (Lanes(repeating: query[index]), Lanes(repeating: other[index]))
        let (k, l) = (Lanes(p + 16 &* index), Lanes(r + 16 &* index))
        a = a.addingProduct(x, k)
        b = b.addingProduct(x, l)
        c = c.addingProduct(y, k)
        d = d.addingProduct(y, l)
      }
      (a * factor).store(scores + 16 &* page)
      (b * factor).store(scores + 16 &* next)
      (c * factor).store(scores + stride + 16 &* page)
      (d * factor).store(scores + stride + 16 &* next)
      page &+= 2
    }
  }

  /// One row over some panels, four at a time.
  @inline(never)
  static func scoresOfOne(
    _ scores: UnsafeMutablePointer<Float>, query: UnsafePointer<Float>, panels: PositionPages, pages: Range<Int>,
    lastPage: Int, width: Int, scale: Float
  ) {
    let factor = Lanes(repeating: scale)
    var page = pages.lowerBound
    while page &+ 4 <= pages.upperBound {
      var a = Lanes(repeating: 0)
      var (b, c, d) = (a, a, a)
      let (p, q, r, s) = (panels[page], panels[page &+ 1], panels[page &+ 2], panels[page &+ 3])
      let (t, u) = (panels[min(page &+ 4, lastPage)], panels[min(page &+ 5, lastPage)])
      let (v, w) = (panels[min(page &+ 6, lastPage)], panels[min(page &+ 7, lastPage)])
      for index in 0..<width {
        martlet_prefetch(t + 16 &* index)
        martlet_prefetch(u + 16 &* index)
        martlet_prefetch(v + 16 &* index)
        martlet_prefetch(w + 16 &* index)
        let x = Lanes(repeating: query[index])
        a = a.addingProduct(x, Lanes(p + 16 &* index))
        b = b.addingProduct(x, Lanes(q + 16 &* index))
        c = c.addingProduct(x, Lanes(r + 16 &* index))
        d = d.addingProduct(x, Lanes(s + 16 &* index))
      }
      let target = scores + 16 &* page
      (a * factor).store(target)
      (b * factor).store(target + 16)
      (c * factor).store(target + 32)
      (d * factor).store(target + 48)
      page &+= 4
    }
    while page < pages.upperBound {
      var a = Lanes(repeating: 0)
      let p = panels[page]
      for index in 0..<width { a = a.addingProduct(Lanes(repeating: query[index]), Lanes(p + 16 &* index)) }
      (a * factor).store(scores + 16 &* page)
      page &+= 1
    }
  }
}
