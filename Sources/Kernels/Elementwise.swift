import TensorBase

extension Table {
  package static func addRows(_ y: MutableRows, _ x: Rows, pool: WorkerPool) {
    checkShapes(y.hasShape(of: x), "addRows: y is \(y), x is \(x)")
    forEachRow(y.count, elements: y.width, pool: pool) { row in addRange(y[row], x[row], count: y.width) }
  }
}

/// Calls `body` with every row; rows go to the workers in blocks of about 16,384 elements, and few rows stay on the
/// calling thread. `body` must write its own row alone, so that blocks and threads change nothing.
@inline(__always)
func forEachRow(_ rows: Int, elements: Int, pool: WorkerPool, _ body: (Int) -> Void) {
  let block = max(1, 16_384 / max(elements, 1))
  let tasks = (rows + block - 1) / block
  pool.run(tasks) { task in
    var row = task &* block
    let end = min(row &+ block, rows)
    while row < end {
      body(row)
      row &+= 1
    }
  }
}

/// y[i] += x[i] for a range of elements of one row.
@inline(__always)
func addRange(_ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, count: Int) {
  var index = 0
  while index &+ 16 <= count {
    (Lanes(y + index) + Lanes(x + index)).store(y + index)
    index &+= 16
  }
  while index < count {
    y[index] += x[index]
    index &+= 1
  }
}

extension Table {
  package static func addProduct(
    _ y: UnsafeMutablePointer<Float>, _ factor: Float, _ x: UnsafePointer<Float>, count: Int
  ) {
    let factors = Lanes(repeating: factor)
    var index = 0
    while index &+ 16 <= count {
      Lanes(y + index).addingProduct(factors, Lanes(x + index)).store(y + index)
      index &+= 16
    }
    while index < count {
      y[index] = y[index].addingProduct(factor, x[index])
      index &+= 1
    }
  }

  package static func readThrough(_ bytes: UnsafeRawBufferPointer) -> Float {
    guard var place = bytes.baseAddress else { return 0 }
    let end = place + bytes.count / 128 * 128
    var (a, b) = (Lanes(repeating: 0), Lanes(repeating: 0))
    while place < end {
      let numbers = place.assumingMemoryBound(to: Float.self)
      a = a + Lanes(numbers)
      b = b + Lanes(numbers + 16)
      place += 128
    }
    return (a + b).treeSum
  }
}
