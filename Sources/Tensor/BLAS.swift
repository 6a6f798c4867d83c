import COpenBLAS

/// OpenBLAS as one thread's matrix product: our workers take panels of c whose size never depends on their number.
enum BLAS {
  /// c = a b, or c += a b. `a` is [rows, steps], `b` [steps, columns], each possibly stored transposed.
  struct Product: @unchecked Sendable {
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
  }

  /// OpenBLAS runs in the calling thread from here on, for LAPACK too.
  static let singleThreaded: Void = openblas_set_num_threads(1)

  static let panelRows = 256
  static let panelColumns = 256

  static func multiply(_ p: Product, pool: WorkerPool) {
    _ = singleThreaded
    let rowPanels = (p.rows + panelRows - 1) / panelRows
    let columnPanels = (p.columns + panelColumns - 1) / panelColumns
    pool.run(rowPanels * columnPanels) { task in
      let row = task / columnPanels * panelRows
      let column = task % columnPanels * panelColumns
      cblas_sgemm(
        CblasRowMajor, p.aTransposed ? CblasTrans : CblasNoTrans, p.bTransposed ? CblasTrans : CblasNoTrans,
        blasint(min(panelRows, p.rows - row)), blasint(min(panelColumns, p.columns - column)), blasint(p.steps), 1,
        p.a + (p.aTransposed ? row : row * p.aStride), blasint(p.aStride),
        p.b + (p.bTransposed ? column * p.bStride : column), blasint(p.bStride), p.accumulate ? 1 : 0,
        p.c + row * p.cStride + column, blasint(p.cStride))
    }
  }
}

/// y[m, n] = sum over k of x[m, k] * w[n, k], then + bias[n], by OpenBLAS: for comparing cost. A row's last bits depend on
/// the rows around it. `weight` is [outputs, inputs], unpacked; y and x as in `linear`.
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
