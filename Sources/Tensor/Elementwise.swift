/// y[m, i] += x[m, i] for `rows` rows of `width` elements.
public func addRows(
  _ y: UnsafeMutablePointer<Float>, yStride: Int, x: UnsafePointer<Float>, xStride: Int, rows: Int, width: Int,
  pool: WorkerPool
) {
  forEachRow(rows, elements: width, pool: pool) { row in
    addRange(y + row &* yStride, x + row &* xStride, count: width)
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
