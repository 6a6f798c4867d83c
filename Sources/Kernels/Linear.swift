import TensorBase

extension Table {
  package static func linear(
    _ y: MutableRows, _ x: Rows, weights: PackedWeights, bias: UnsafePointer<Float>?, pool: WorkerPool
  ) {
    let inputs = weights.inputs
    checkShapes(
      x.count >= 1 && y.count == x.count && y.width == weights.outputs && x.width == inputs,
      "linear: y is \(y), x \(x) and the weight \(weights.outputs) x \(inputs)")
    let product = LinearProduct(y: y, x: x, weights: weights, bias: bias)
    let panels = weights.panelCount
    let plan = GridPlan(
      rows: x.count, rowUnit: 6, columns: panels, columnUnit: 1, workPerCell: 16 * inputs, threads: pool.threadCount,
      // Panels of a long reduction, few at a time, stay in the cache for all rows.
      rowChunk: inputs > LinearProduct.blockSteps ? nil : LinearProduct.chunkRows(inputs: inputs))
    pool.run(plan.taskCount) { task in
      let part = plan.part(task)
      product.run(rows: part.rows, panels: part.columns)
    }
  }
}

private struct LinearProduct: @unchecked Sendable {
  let y: MutableRows
  let x: Rows
  let weights: PackedWeights
  let bias: UnsafePointer<Float>?

  /// Steps of the reduction taken at once: a piece of a panel (64 KB) and of a chunk of rows stay in the second-level
  /// cache. The chain is not cut: the next piece goes on from what y holds.
  static let blockSteps = 1024
  /// Rows that share one pass over the panels: what a piece of them takes leaves room for a panel in the second-level
  /// cache.
  static func chunkRows(inputs: Int) -> Int { max(96, min(256, 65_536 / inputs)) }

  func run(rows: Range<Int>, panels: Range<Int>) {
    let inputs = weights.inputs
    let strip = Tile.stripPanels(rows: rows.count)
    let whole = panels.lowerBound..<max(panels.lowerBound, min(panels.upperBound, weights.outputs / 16))
    if strip > 1 && whole.count >= strip {
      for panel in stride(from: whole.lowerBound, to: whole.upperBound, by: strip) {
        // The last strip goes over panels again rather than leave some to be read alone.
        tile(rows: rows, panel: min(panel, whole.upperBound - strip), step: 0, steps: inputs)
          .runStrip(rows: rows.count, panelBytes: inputs * weights.format.stepBytes)
      }
      for rest in whole.upperBound..<panels.upperBound { multiply(rows: rows, panel: rest, step: 0, steps: inputs) }
      return
    }
    let blocks = (inputs + LinearProduct.blockSteps + 511) / (LinearProduct.blockSteps + 512)
    let blockSteps = ((inputs + blocks - 1) / blocks + 7) & ~7
    // Chunks alike: a small last one would have the weights pass by for little.
    let limit = LinearProduct.chunkRows(inputs: inputs)
    let chunks = (rows.count + limit - 1) / limit
    let chunkRows = ((rows.count + chunks - 1) / chunks + 5) / 6 * 6
    for step in stride(from: 0, to: inputs, by: blockSteps) {
      let steps = min(blockSteps, inputs - step)
      for row in stride(from: rows.lowerBound, to: rows.upperBound, by: chunkRows) {
        let chunk = row..<min(row + chunkRows, rows.upperBound)
        for panel in panels {
          multiply(rows: chunk, panel: panel, step: step, steps: steps)
        }
      }
    }
  }

  private func multiply(rows: Range<Int>, panel: Int, step: Int, steps: Int) {
    tile(rows: rows, panel: panel, step: step, steps: steps)
      .sweep(rows: rows.count, width: min(16, weights.outputs - panel * 16))
  }

  private func tile(rows: Range<Int>, panel: Int, step: Int, steps: Int) -> Tile {
    let inputs = weights.inputs
    let column = panel * 16
    let isLast = step + steps == inputs
    let stepBytes = weights.format.stepBytes
    let block = weights.storage + (panel * inputs + step) * stepBytes
    // Along all tiles of this panel together, ask once for every line of the next one. A single tile reads all from
    // memory: it asks for what comes soon.
    let tiles = Tile.count(rows: rows.count)
    let ahead = tiles == 1 ? Tile.prefetchBytes : inputs * stepBytes
    return Tile(
      a: x[rows.lowerBound] + step, rowStride: x.stride, stepStride: 1, b: block, format: weights.format,
      c: y[rows.lowerBound] + column, cStride: y.stride, steps: steps, continues: step > 0,
      bias: isLast ? bias.map { $0 + column } : nil, prefetch: block + ahead, prefetchStep: stepBytes / tiles)
  }
}
