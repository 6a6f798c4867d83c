import TensorBase

extension Table {
  package static func linearBackwardInput(
    _ dX: MutableRows, dY: Rows, weight: Rows, accumulate: Bool, mode: MatmulMode, pool: WorkerPool
  ) {
    checkShapes(
      dX.count == dY.count && dX.width == weight.width && dY.width == weight.count
        && min(dX.count, dX.width, dY.width) >= 1,
      "linearBackwardInput: dX is \(dX), dY \(dY) and the weight \(weight)")
    guard mode == .exact || dX.width <= InputGradient.fewInputs else {
      BLAS.multiply(BLAS.Product(.plain(dY), .plain(weight), into: dX, accumulate: accumulate), pool: pool)
      return
    }
    let product = InputGradient(dX: dX, dY: dY, weight: weight, accumulate: accumulate)
    let plan = GridPlan(
      rows: dX.count, rowUnit: InputGradient.chunkRows, columns: (dX.width + 15) / 16, columnUnit: 2,
      workPerCell: 16 * dY.width, threads: pool.threadCount)
    pool.run(plan.taskCount) { task in
      let part = plan.part(task)
      product.run(rows: part.rows, panels: part.columns)
    }
  }

  package static func linearBackwardWeight(
    _ dW: MutableRows, dY: Rows, x: Rows, mode: MatmulMode, pool: WorkerPool
  ) {
    checkShapes(
      dW.count == dY.width && dW.width == x.width && dY.count == x.count && min(x.count, x.width, dY.width) >= 1,
      "linearBackwardWeight: dW is \(dW), dY \(dY) and x \(x)")
    guard mode == .exact else {
      BLAS.multiply(BLAS.Product(.transposed(dY), .plain(x), into: dW, accumulate: true), pool: pool)
      return
    }
    WeightGradient(dW: dW, dY: dY, x: x).run(pool: pool)
  }

  package static func biasBackward(_ dBias: UnsafeMutablePointer<Float>, dY: Rows, pool: WorkerPool) {
    let (rows, outputs) = (dY.count, dY.width)
    checkShapes(rows >= 1 && outputs >= 1, "biasBackward: dY is \(dY)")
    let target = SharedMutable(dBias)
    let columns = 256
    let run: (Int) -> Void = { task in
      let start = task * columns
      let width = min(columns, outputs - start)
      let sum = target.pointer + start
      for m in 0..<rows {
        let row = dY[m] + start
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
