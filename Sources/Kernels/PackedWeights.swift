import TensorBase

extension Table {
  package static func packWeights(
    _ weight: UnsafePointer<Float>, outputs: Int, inputs: Int, into storage: UnsafeMutablePointer<Float>,
    narrow: Bool, pool: WorkerPool
  ) -> PackedWeights {
    precondition(outputs >= 1 && inputs >= 1, "packWeights: shape [\(outputs), \(inputs)] must be positive")
    let panels = (outputs + 15) / 16
    let weight = Shared(weight)
    let target = SharedMutable(storage)
    let panelsPerTask = max(1, min(panels / (4 * pool.threadCount), 65_536 / inputs))
    pool.run((panels + panelsPerTask - 1) / panelsPerTask) { task in
      let range = task * panelsPerTask..<min((task + 1) * panelsPerTask, panels)
      for panel in range {
        let source = weight.pointer + panel * 16 * inputs
        let rows = min(16, outputs - panel * 16)
        guard narrow else {
          packPanel(source, rows: rows, inputs: inputs, into: target.pointer + panel * 16 * inputs)
          continue
        }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 16 * inputs) { wide in
          guard let wide = wide.baseAddress else { return }
          packPanel(source, rows: rows, inputs: inputs, into: wide)
          let narrow = UnsafeMutableRawPointer(target.pointer + panel * 8 * inputs)
          for step in 0..<inputs {
            BFloat16Panel.write(wide + step &* 16, to: narrow + step &* BFloat16Panel.stepBytes)
          }
        }
      }
    }
    return PackedWeights(
      storage: UnsafeRawPointer(storage), format: narrow ? .bfloat16 : .float32, outputs: outputs, inputs: inputs)
  }
}

/// target[k][r] = source[r][k] for up to 16 rows; the others are zeros.
private func packPanel(
  _ source: UnsafePointer<Float>, rows: Int, inputs: Int, into target: UnsafeMutablePointer<Float>
) {
  var k = 0
  if rows == 16 {
    while k &+ 8 <= inputs {
      transpose8x8(source + k, inputs, target + 16 &* k)
      transpose8x8(source + 8 &* inputs + k, inputs, target + 16 &* k + 8)
      k &+= 8
    }
  }
  while k < inputs {
    for row in 0..<16 { target[16 &* k &+ row] = row < rows ? source[row &* inputs &+ k] : 0 }
    k &+= 1
  }
}

/// target[j][i] = source[i][j] for 8 x 8 floats; target rows are 16 floats apart.
@inline(__always)
private func transpose8x8(_ source: UnsafePointer<Float>, _ stride: Int, _ target: UnsafeMutablePointer<Float>) {
  @inline(__always) func row(_ i: Int) -> SIMD8<Float> {
    loadEight(source + i &* stride)
  }
  @inline(__always) func put(_ j: Int, _ low: SIMD4<Float>, _ high: SIMD4<Float>) {
    storeEight(SIMD8(lowHalf: low, highHalf: high), target + j &* 16)
  }
  // Rows i and i + 4 side by side, then two rounds of interleaving inside the halves.
  @inline(__always) func halves(_ i: Int) -> (SIMD4<Float>, SIMD4<Float>) {
    let r = row(i)
    return (r.lowHalf, r.highHalf)
  }
  @inline(__always) func transpose4(
    _ a: SIMD4<Float>, _ b: SIMD4<Float>, _ c: SIMD4<Float>, _ d: SIMD4<Float>
  ) -> (SIMD4<Float>, SIMD4<Float>, SIMD4<Float>, SIMD4<Float>) {
    let ab0 = SIMD4(a[0], b[0], a[1], b[1])
    let ab1 = SIMD4(a[2], b[2], a[3], b[3])
    let cd0 = SIMD4(c[0], d[0], c[1], d[1])
    let cd1 = SIMD4(c[2], d[2], c[3], d[3])
    return (
      SIMD4(lowHalf: ab0.lowHalf, highHalf: cd0.lowHalf), SIMD4(lowHalf: ab0.highHalf, highHalf: cd0.highHalf),
      SIMD4(lowHalf: ab1.lowHalf, highHalf: cd1.lowHalf), SIMD4(lowHalf: ab1.highHalf, highHalf: cd1.highHalf)
    )
  }
  let (a, b, c, d) = (halves(0), halves(1), halves(2), halves(3))
  let (e, f, g, h) = (halves(4), halves(5), halves(6), halves(7))
  let topLeft = transpose4(a.0, b.0, c.0, d.0)
  let topRight = transpose4(a.1, b.1, c.1, d.1)
  let bottomLeft = transpose4(e.0, f.0, g.0, h.0)
  let bottomRight = transpose4(e.1, f.1, g.1, h.1)
  put(0, topLeft.0, bottomLeft.0)
  put(1, topLeft.1, bottomLeft.1)
  put(2, topLeft.2, bottomLeft.2)
  put(3, topLeft.3, bottomLeft.3)
  put(4, topRight.0, bottomRight.0)
  put(5, topRight.1, bottomRight.1)
  put(6, topRight.2, bottomRight.2)
  put(7, topRight.3, bottomRight.3)
}
