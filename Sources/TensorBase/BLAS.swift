import COpenBLAS

/// OpenBLAS as one thread's matrix product: our workers take panels of c whose size never depends on their number.
package enum BLAS {
  /// c = a b, or c += a b. `a` is [rows, steps], `b` [steps, columns], each possibly stored transposed.
  package struct Product: @unchecked Sendable {
    let a: UnsafePointer<Float>
    let aStride: Int
    let aTransposed: Bool
    let b: UnsafePointer<Float>
    let bStride: Int
    let bTransposed: Bool
    let c: UnsafeMutablePointer<Float>
    let cStride: Int
    let rows: Int
    let columns: Int
    let steps: Int
    let accumulate: Bool

    package init(
      a: UnsafePointer<Float>, aStride: Int, aTransposed: Bool, b: UnsafePointer<Float>, bStride: Int,
      bTransposed: Bool, c: UnsafeMutablePointer<Float>, cStride: Int, rows: Int, columns: Int, steps: Int,
      accumulate: Bool
    ) {
      (self.a, self.aStride, self.aTransposed) = (a, aStride, aTransposed)
      (self.b, self.bStride, self.bTransposed) = (b, bStride, bTransposed)
      (self.c, self.cStride, self.accumulate) = (c, cStride, accumulate)
      (self.rows, self.columns, self.steps) = (rows, columns, steps)
    }
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
      let (c, cStride) = part == 0 ? (p.c, p.cStride) : (shared.pointer + (part - 1) * partSize, p.columns)
      cblas_sgemm(
        CblasRowMajor, p.aTransposed ? CblasTrans : CblasNoTrans, p.bTransposed ? CblasTrans : CblasNoTrans,
        blasint(min(panelRows, p.rows - row)), blasint(min(panelColumns, p.columns - column)), blasint(steps.count), 1,
        p.a + (p.aTransposed ? steps.lowerBound * p.aStride + row : row * p.aStride + steps.lowerBound),
        blasint(p.aStride),
        p.b + (p.bTransposed ? column * p.bStride + steps.lowerBound : steps.lowerBound * p.bStride + column),
        blasint(p.bStride), part == 0 && p.accumulate ? 1 : 0, c + row * cStride + column, blasint(cStride))
    }
    guard parts > 1 else { return }
    let rowsPerTask = max(1, 65_536 / p.columns)
    pool.run((p.rows + rowsPerTask - 1) / rowsPerTask) { task in
      for row in task * rowsPerTask..<min((task + 1) * rowsPerTask, p.rows) {
        let target = p.c + row * p.cStride
        for part in 0..<parts - 1 {
          let source = shared.pointer + part * partSize + row * p.columns
          for column in 0..<p.columns { target[column] += source[column] }
        }
      }
    }
  }
}

/// y[m, n] = sum over k of x[m, k] * w[n, k], then + bias[n], by OpenBLAS: for comparing cost. A row's last bits depend
/// on the rows around it. `weight` is [outputs, inputs], unpacked; y and x as in `linear`.
public func linearBLAS(
  _ y: UnsafeMutablePointer<Float>, yStride: Int, x: UnsafePointer<Float>, xStride: Int, rows: Int,
  weight: UnsafePointer<Float>, outputs: Int, inputs: Int, bias: UnsafePointer<Float>?, pool: WorkerPool
) {
  precondition(
    rows >= 1 && outputs >= 1 && inputs >= 1 && yStride >= outputs && xStride >= inputs,
    "linearBLAS: y [\(rows), \(outputs)] with stride \(yStride), x [\(rows), \(inputs)] with stride \(xStride)")
  BLAS.multiply(
    BLAS.Product(
      a: x, aStride: xStride, aTransposed: false, b: weight, bStride: inputs, bTransposed: true, c: y, cStride: yStride,
      rows: rows, columns: outputs, steps: inputs, accumulate: false), pool: pool)
  guard let bias else { return }
  for m in 0..<rows {
    let row = y + m * yStride
    for n in 0..<outputs { row[n] += bias[n] }
  }
}

/// The linear algebra library in use, its version and the processor it chose its kernels for: gradient bits of
/// `matmul: mixed` depend on them.
public let blasDescription: String =
  String(cString: openblas_get_config()).split(separator: " ").filter { !$0.isEmpty }.joined(separator: " ")
  + " core " + String(cString: openblas_get_corename())
