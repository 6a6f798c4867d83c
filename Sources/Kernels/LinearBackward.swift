import TensorBase

extension Table {
  package static func linearBackwardInput(
    _ dX: UnsafeMutablePointer<Float>, dXStride: Int, dY: UnsafePointer<Float>, dYStride: Int, rows: Int,
    weight: UnsafePointer<Float>, outputs: Int, inputs: Int, accumulate: Bool, mode: MatmulMode, pool: WorkerPool
  ) {
    precondition(
      rows >= 1 && outputs >= 1 && inputs >= 1 && dXStride >= inputs && dYStride >= outputs,
      "linearBackwardInput: dX [\(rows), \(inputs)] with stride \(dXStride), dY [\(rows), \(outputs)] with stride \(dYStride)"
    )
    guard mode == .exact || inputs <= InputGradient.fewInputs else {
      BLAS.multiply(
        BLAS.Product(
          a: dY, aStride: dYStride, aTransposed: false, b: weight, bStride: inputs, bTransposed: false, c: dX,
          cStride: dXStride, rows: rows, columns: inputs, steps: outputs, accumulate: accumulate), pool: pool)
      return
    }
    let product = InputGradient(
      dX: dX, dXStride: dXStride, dY: dY, dYStride: dYStride, weight: weight, outputs: outputs, inputs: inputs,
      accumulate: accumulate)
    let plan = GridPlan(
      rows: rows, rowUnit: InputGradient.chunkRows, columns: (inputs + 15) / 16, columnUnit: 2,
      workPerCell: 16 * outputs, threads: pool.threadCount)
    pool.run(plan.taskCount) { task in
      let part = plan.part(task)
      product.run(rows: part.rows, panels: part.columns)
    }
  }
}

extension Table {
  package static func linearBackwardWeight(
    _ dW: UnsafeMutablePointer<Float>, dY: UnsafePointer<Float>, dYStride: Int, x: UnsafePointer<Float>, xStride: Int,
    rows: Int, outputs: Int, inputs: Int, mode: MatmulMode, pool: WorkerPool
  ) {
    precondition(
      rows >= 1 && outputs >= 1 && inputs >= 1 && xStride >= inputs && dYStride >= outputs,
      "linearBackwardWeight: x [\(rows), \(inputs)] with stride \(xStride), dY [\(rows), \(outputs)] with stride \(dYStride)"
    )
    guard mode == .exact else {
      BLAS.multiply(
        BLAS.Product(
          a: dY, aStride: dYStride, aTransposed: true, b: x, bStride: xStride, bTransposed: false, c: dW,
          cStride: inputs, rows: outputs, columns: inputs, steps: rows, accumulate: true), pool: pool)
      return
    }
    WeightGradient(dW: dW, dY: dY, dYStride: dYStride, x: x, xStride: xStride, outputs: outputs, inputs: inputs)
      .run(rows: rows, pool: pool)
  }
}

extension Table {
  package static func biasBackward(
    _ dBias: UnsafeMutablePointer<Float>, dY: UnsafePointer<Float>, dYStride: Int, rows: Int, outputs: Int,
    pool: WorkerPool
  ) {
    precondition(
      rows >= 1 && outputs >= 1 && dYStride >= outputs,
      "biasBackward: dY [\(rows), \(outputs)] with stride \(dYStride)")
    let target = SharedMutable(dBias)
    let source = Shared(dY)
    let columns = 256
    let run: (Int) -> Void = { task in
      let start = task * columns
      let width = min(columns, outputs - start)
      let sum = target.pointer + start
      for m in 0..<rows {
        let row = source.pointer + m &* dYStride + start
        var n = 0
        while n < width {
          sum[n] += row[n]
          n &+= 1
        }
      }
    }
    let tasks = (outputs + columns - 1) / columns
    if rows * outputs < 50_000 {
      for task in 0..<tasks { run(task) }
    } else {
      pool.run(tasks, run)
    }
  }
}
