import TensorBase

/// dX = dY w as chains over n: panels of 16 inputs of `weight` are copied into a cache-sized block, then every row's
/// tile runs over it.
struct InputGradient: @unchecked Sendable {
  let dX: MutableRows
  let dY: Rows
  /// [outputs, inputs].
  let weight: Rows
  let accumulate: Bool

  static let blockSteps = 512
  static let chunkRows = 96
  static let groupPanels = 4
  /// Up to so many inputs chains are faster than OpenBLAS.
  static let fewInputs = 32

  func run(rows: Range<Int>, panels: Range<Int>) {
    let (outputs, inputs) = (weight.count, weight.width)
    let capacity = min(outputs, InputGradient.blockSteps) * 16 * min(panels.count, InputGradient.groupPanels)
    withUnsafeTemporaryAllocation(byteCount: capacity * 4, alignment: 64) { raw in
      let block = raw.bindMemory(to: Float.self).baseAddress!
      for first in stride(from: panels.lowerBound, to: panels.upperBound, by: InputGradient.groupPanels) {
        let group = first..<min(first + InputGradient.groupPanels, panels.upperBound)
        for step in stride(from: 0, to: outputs, by: InputGradient.blockSteps) {
          let steps = min(InputGradient.blockSteps, outputs - step)
          for panel in group {
            copyPanel(
              weight[step] + panel * 16, stride: weight.stride, rows: steps, width: min(16, inputs - panel * 16),
              into: block + (panel - first) * steps * 16)
          }
          for row in stride(from: rows.lowerBound, to: rows.upperBound, by: InputGradient.chunkRows) {
            for panel in group {
              let b = block + (panel - first) * steps * 16
              let tile = Tile(
                a: dY[row] + step, rowStride: dY.stride, stepStride: 1, b: b,
                c: dX[row] + panel * 16, cStride: dX.stride, steps: steps, continues: accumulate || step > 0,
                bias: nil, prefetch: UnsafeRawPointer(b), prefetchStep: 0)
              tile.sweep(
                rows: min(InputGradient.chunkRows, rows.upperBound - row), width: min(16, inputs - panel * 16))
            }
          }
        }
      }
    }
  }
}

/// dW += dY' x as chains over the rows: x is copied into panels of 16 inputs, dY into panels of six outputs, a block of
/// rows at a time, and the chains go on from dW.
struct WeightGradient: @unchecked Sendable {
  /// [outputs, inputs].
  let dW: MutableRows
  let dY: Rows
  let x: Rows

  static let blockSteps = 512
  static let groupOutputs = 48

  func run(pool: WorkerPool) {
    let (rows, outputs, inputs) = (x.count, dY.width, x.width)
    let panels = (inputs + 15) / 16
    let blocks = UnsafeMutableRawPointer.allocate(
      byteCount: panels * min(rows, WeightGradient.blockSteps) * 64, alignment: 64)
    defer { blocks.deallocate() }
    let packed = SharedMutable(blocks.assumingMemoryBound(to: Float.self))
    for first in stride(from: 0, to: rows, by: WeightGradient.blockSteps) {
      let steps = min(WeightGradient.blockSteps, rows - first)
      let copies = GridPlan(
        rows: 1, rowUnit: 1, columns: panels, columnUnit: 1, workPerCell: 64 * steps, threads: pool.threadCount)
      pool.run(copies.taskCount) { task in
        for panel in copies.part(task).columns {
          copyPanel(
            x[first] + panel * 16, stride: x.stride, rows: steps, width: min(16, inputs - panel * 16),
            into: packed.pointer + panel * steps * 16)
        }
      }
      let plan = GridPlan(
        rows: panels, rowUnit: 8, columns: outputs, columnUnit: 6, workPerCell: 16 * steps, threads: pool.threadCount)
      pool.run(plan.taskCount) { task in
        let part = plan.part(task)
        multiply(outputs: part.columns, panels: part.rows, first: first, steps: steps, packed: packed.pointer)
      }
    }
  }

  private func multiply(
    outputs range: Range<Int>, panels: Range<Int>, first: Int, steps: Int, packed: UnsafePointer<Float>
  ) {
    withUnsafeTemporaryAllocation(byteCount: WeightGradient.groupOutputs * steps * 4 + 64, alignment: 64) { raw in
      let group = raw.bindMemory(to: Float.self).baseAddress!
      for output in stride(from: range.lowerBound, to: range.upperBound, by: WeightGradient.groupOutputs) {
        let count = min(WeightGradient.groupOutputs, range.upperBound - output)
        // [count][steps]: a tile reads its six rows along the steps, as it reads rows of x in the forward product.
        for start in stride(from: 0, to: count, by: 6) {
          copySixes(
            dY[first] + output + start, stride: dY.stride, rows: steps, width: min(6, count - start),
            into: group + start * steps)
        }
        for panel in panels {
          for start in stride(from: 0, to: count, by: 6) {
            let tile = Tile(
              a: group + start * steps, rowStride: 1, stepStride: 6, b: packed + panel * steps * 16,
              c: dW[output + start] + panel * 16, cStride: dW.stride, steps: steps, continues: true,
              bias: nil, prefetch: UnsafeRawPointer(packed), prefetchStep: 0)
            tile.sweep(rows: min(6, count - start), width: min(16, x.width - panel * 16))
          }
        }
      }
    }
  }
}

/// target[r][0 ..< 16] = source[r * stride ..], the columns from `width` on zero.
private func copyPanel(
  _ source: UnsafePointer<Float>, stride: Int, rows: Int, width: Int, into target: UnsafeMutablePointer<Float>
) {
  var (from, to) = (UnsafeRawPointer(source), UnsafeMutableRawPointer(target))
  for _ in 0..<rows {
    if width == 16 {
      let low = from.loadUnaligned(as: SIMD8<Float>.self)
      let high = from.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self)
      to.storeBytes(of: low, as: SIMD8<Float>.self)
      to.storeBytes(of: high, toByteOffset: 32, as: SIMD8<Float>.self)
    } else {
      let (row, out) = (from.assumingMemoryBound(to: Float.self), to.assumingMemoryBound(to: Float.self))
      for column in 0..<16 { out[column] = column < width ? row[column] : 0 }
    }
    from += stride &* 4
    to += 64
  }
}

/// target[r][0 ..< 6] = source[r * stride ..]; columns from `width` on are left alone, and nobody reads them.
private func copySixes(
  _ source: UnsafePointer<Float>, stride: Int, rows: Int, width: Int, into target: UnsafeMutablePointer<Float>
) {
  var (from, to) = (source, target)
  for _ in 0..<rows {
    if width == 6 {
      let row = (UnsafeRawPointer(from), UnsafeMutableRawPointer(to))
      row.1.storeBytes(of: row.0.loadUnaligned(as: SIMD4<Float>.self), as: SIMD4<Float>.self)
      row.1.storeBytes(
        of: row.0.loadUnaligned(fromByteOffset: 16, as: SIMD2<Float>.self), toByteOffset: 16, as: SIMD2<Float>.self)
    } else {
      for column in 0..<width { to[column] = from[column] }
    }
    from += stride
    to += 6
  }
}
