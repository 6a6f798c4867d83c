import TensorBase

extension Table {
  package static func rotary(
    _ x: MutableRows, positions: UnsafePointer<Int32>, table: RotaryTable, backwards: Bool, pool: WorkerPool
  ) {
    let D = table.headWidth
    checkShapes(x.width % D == 0, "rotary: x is \(x), which does not divide into heads of width \(D)")
    let heads = x.width / D
    forEachRow(x.count, elements: x.width, pool: pool) { row in
      let turns = table.row(positions[row])
      for head in 0..<heads { rotate(x[row] + head &* D, turns, D / 2, backwards: backwards) }
    }
  }
}

/// Products rounded before they are added, as in the formula: no fused steps.
@inline(__always)
private func rotate(
  _ x: UnsafeMutablePointer<Float>, _ turns: UnsafePointer<Float>, _ half: Int, backwards: Bool
) {
  let upper = x + half
  let sines = turns + half
  var index = 0
  while index &+ 8 <= half {
    let a = loadEight(x + index)
    let b = loadEight(upper + index)
    let cosine = loadEight(turns + index)
    var sine = loadEight(sines + index)
    if backwards { sine = -sine }
    storeEight(a * cosine - b * sine, x + index)
    storeEight(b * cosine + a * sine, upper + index)
    index &+= 8
  }
  while index < half {
    let (a, b) = (x[index], upper[index])
    let sine = backwards ? -sines[index] : sines[index]
    x[index] = a * turns[index] - b * sine
    upper[index] = b * turns[index] + a * sine
    index &+= 1
  }
}
