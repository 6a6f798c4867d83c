import COpenBLAS

/// OpenBLAS as a single-threaded matrix product. Our own workers share out panels of c, whose sizes do not depend on
/// how many workers there are.
package enum BLAS {
  /// A factor of a product, possibly stored transposed.
  package struct Factor: Sendable {
    let stored: Rows
    let isTransposed: Bool

    package static func plain(_ rows: Rows) -> Factor { Factor(stored: rows, isTransposed: false) }
    package static func transposed(_ rows: Rows) -> Factor { Factor(stored: rows, isTransposed: true) }

    var rows: Int { isTransposed ? stored.width : stored.count }
    var columns: Int { isTransposed ? stored.count : stored.width }

    /// The address of an element.
    func place(_ row: Int, _ column: Int) -> UnsafePointer<Float> {
      isTransposed ? stored[column] + row : stored[row] + column
    }
  }

  /// c = a b, or c += a b: `a` is [rows, steps], `b` [steps, columns], `c` [rows, columns].
  package struct Product: Sendable {
    let a, b: Factor
    let c: MutableRows
    let accumulate: Bool

    package init(_ a: Factor, _ b: Factor, into c: MutableRows, accumulate: Bool) {
      checkShapes(
        a.rows == c.count && b.columns == c.width && a.columns == b.rows && min(c.count, c.width, b.rows) >= 1,
        "matrix product: \(a.rows) x \(a.columns) times \(b.rows) x \(b.columns) is not \(c)")
      (self.a, self.b, self.c, self.accumulate) = (a, b, c, accumulate)
    }

    var rows: Int { c.count }
    var columns: Int { c.width }
    var steps: Int { a.columns }
  }

  /// OpenBLAS runs in the calling thread from here on, for LAPACK too.
  package static let singleThreaded: Void = openblas_set_num_threads(1)

  /// The most rows, and columns, of a panel; all panels of a product are about alike. Large ones are packed less often,
  /// but there must be enough of them for all threads.
  static let panelLimits = (long: 1024, large: 512, small: 256)
  static let enoughPanels = 8
  /// A product of one panel has its sum cut into up to four parts of at least this many steps, added up in order.
  static let partSteps = 1024
  /// A sum as long as a vocabulary, of a c that is small beside its factors, is cut first: each task then reads numbers
  /// of its own. Up to eight parts of at least this many steps.
  static let longPartSteps = 16_384
  static let smallResult = 1 << 21

  /// Cuts `count` into panels, `more` than the limit asks for; a size that is a multiple of 8 fits OpenBLAS's kernels.
  static func evenPanels(_ count: Int, limit: Int, more: Int = 0) -> (count: Int, size: Int) {
    let panels = (count + limit - 1) / limit + more
    let size = ((count + panels - 1) / panels + 7) / 8 * 8
    return ((count + size - 1) / size, size)
  }

  /// Panels of c, [rows, columns], and parts of the sum.
  static func cut(_ p: Product) -> (rows: (count: Int, size: Int), columns: (count: Int, size: Int), parts: Int) {
    let longParts = min(8, p.steps / longPartSteps)
    if longParts > 1 && p.rows * p.columns <= smallResult {
      return (evenPanels(p.rows, limit: panelLimits.long), evenPanels(p.columns, limit: panelLimits.long), longParts)
    }
    var limit = panelLimits.large
    var (rows, columns) = (evenPanels(p.rows, limit: limit), evenPanels(p.columns, limit: limit))
    if rows.count * columns.count < enoughPanels {
      limit = panelLimits.small
      (rows, columns) = (evenPanels(p.rows, limit: limit), evenPanels(p.columns, limit: limit))
    }
    let panels = rows.count * columns.count
    if panels == 1 { return (rows, columns, max(1, min(4, p.steps / partSteps))) }
    // Of three panels two threads take as long as of four.
    if panels % 2 == 1 {
      if rows.count >= columns.count {
        rows = evenPanels(p.rows, limit: limit, more: 1)
      } else {
        columns = evenPanels(p.columns, limit: limit, more: 1)
      }
    }
    return (rows, columns, 1)
  }

  package static func multiply(_ p: Product, pool: WorkerPool) {
    _ = singleThreaded
    let (rowPanels, columnPanels, parts) = cut(p)
    let (panelRows, panelColumns) = (rowPanels.size, columnPanels.size)
    let panels = rowPanels.count * columnPanels.count
    let partSize = p.rows * p.columns
    let others = UnsafeMutablePointer<Float>.allocate(capacity: (parts - 1) * partSize)
    defer { others.deallocate() }
    let shared = SharedMutable(others)
    pool.run(panels * parts) { task in
      let (part, panel) = (task / panels, task % panels)
      let (row, column) = (panel / columnPanels.count * panelRows, panel % columnPanels.count * panelColumns)
      let steps = p.steps * part / parts..<p.steps * (part + 1) / parts
      let (c, cStride) = part == 0 ? (p.c.pointer, p.c.stride) : (shared.pointer + (part - 1) * partSize, p.columns)
      cblas_sgemm(
        CblasRowMajor, p.a.isTransposed ? CblasTrans : CblasNoTrans, p.b.isTransposed ? CblasTrans : CblasNoTrans,
        blasint(min(panelRows, p.rows - row)), blasint(min(panelColumns, p.columns - column)), blasint(steps.count), 1,
        p.a.place(row, steps.lowerBound), blasint(p.a.stored.stride), p.b.place(steps.lowerBound, column),
        blasint(p.b.stored.stride), part == 0 && p.accumulate ? 1 : 0, c + row * cStride + column, blasint(cStride))
    }
    guard parts > 1 else { return }
    let rowsPerTask = max(1, 65_536 / p.columns)
    pool.run((p.rows + rowsPerTask - 1) / rowsPerTask) { task in
      for row in task * rowsPerTask..<min((task + 1) * rowsPerTask, p.rows) {
        let target = p.c[row]
        for part in 0..<parts - 1 {
          let source = shared.pointer + part * partSize + row * p.columns
          for column in 0..<p.columns { target[column] += source[column] }
        }
      }
    }
  }
}

/// y[m, n] = sum over k of x[m, k] * w[n, k], then + bias[n], by OpenBLAS: for comparing cost. A row's last bits depend
/// on the rows around it. y is [rows, outputs], x [rows, inputs] and `weight` [outputs, inputs], unpacked.
public func linearBLAS(_ y: MutableRows, _ x: Rows, weight: Rows, bias: UnsafePointer<Float>?, pool: WorkerPool) {
  checkShapes(
    y.count >= 1 && x.count == y.count && weight.count == y.width && weight.width == x.width,
    "linearBLAS: y is \(y), x \(x) and the weight \(weight)")
  BLAS.multiply(BLAS.Product(.plain(x), .transposed(weight), into: y, accumulate: false), pool: pool)
  guard let bias else { return }
  for m in 0..<y.count {
    let row = y[m]
    for n in 0..<y.width { row[n] += bias[n] }
  }
}

/// The linear algebra library in use, its version and the processor it chose its kernels for: gradient bits of
/// `matmul: mixed` depend on them.
public let blasDescription: String =
  String(cString: openblas_get_config()).split(separator: " ").filter { !$0.isEmpty }.joined(separator: " ")
  + " core " + String(cString: openblas_get_corename())
