import CIntrinsics
import TensorBase

/// One tile of a matrix product: a few rows by the 16 columns of a panel, held in registers for the whole reduction.
///
/// c[r, j] = fma chain over s = 0, 1, ..., steps - 1 of a[r, s] * b[s, j], from 0 or from what c holds.
///
/// Zen and Haswell start two 8-wide FMAs a cycle with a latency of 4 to 5 cycles, so 6 x 16 (12 accumulators) hides the
/// latency and leaves registers for two vectors of b and one broadcast of a.
struct Tile {
  /// a[r, s] is at a[r * rowStride + s * stepStride].
  var a: UnsafePointer<Float>
  var rowStride: Int
  var stepStride: Int
  /// The panel, [steps][16] in the given format.
  var b: UnsafeRawPointer
  var format = PanelFormat.float32
  var c: UnsafeMutablePointer<Float>
  var cStride: Int
  var steps: Int
  /// Whether the chain goes on from c.
  var continues: Bool
  /// Added to c after the chain, [16].
  var bias: UnsafePointer<Float>?
  /// What a later tile will read: asked for evenly along the way, since asking for it in one burst stalls the loads.
  var prefetch: UnsafeRawPointer
  var prefetchStep: Int

  @inline(__always)
  func run(rows: Int) {
    switch format {
    case .float32: run(rows: rows, Float32Panel.self)
    case .bfloat16: run(rows: rows, BFloat16Panel.self)
    }
  }

  @inline(__always)
  private func run<Panel: PanelReader>(rows: Int, _ panel: Panel.Type) {
    switch rows {
    case 6: Tile.rows6(self, panel)
    case 5: Tile.rows5(self, panel)
    case 4: Tile.rows4(self, panel)
    case 3: Tile.rows3(self, panel)
    case 2: Tile.rows2(self, panel)
    default: Tile.rows1(self, panel)
    }
  }

  /// Computes `rows` rows of c, of which the first `width` columns exist.
  func sweep(rows: Int, width: Int) {
    guard width == 16 else {
      sweepEdge(rows: rows, width: width)
      return
    }
    var tile = self
    var rest = rows
    while rest > 0 {
      let height = Tile.height(rest: rest)
      if continues { tile.touchNext(min(6, rest &- height), after: height) }
      tile.run(rows: height)
      tile.a += height &* rowStride
      tile.c += height &* cStride
      tile.prefetch += steps &* prefetchStep
      rest &-= height
    }
  }

  /// How many of the `rest` rows the next tile takes: sixes, and near the end two alike, for a tile of one or two rows
  /// cannot hide the latency.
  @inline(__always)
  static func height(rest: Int) -> Int { rest >= 12 || rest <= 6 ? min(rest, 6) : (rest + 1) / 2 }

  /// How many tiles `rows` rows take.
  static func count(rows: Int) -> Int { (rows + 5) / 6 }

  /// Asks for the values that the next tile's chains go on from.
  @inline(__always)
  private func touchNext(_ count: Int, after height: Int) {
    var row = height
    while row < height &+ count {
      martlet_prefetch(c + row &* cStride)
      martlet_prefetch(c + (row &* cStride &+ 15))
      row &+= 1
    }
  }

  /// The last panel: its columns from `width` on do not exist in c, so the tile works on a copy.
  private func sweepEdge(rows: Int, width: Int) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 7 * 16) { scratch in
      scratch.initialize(repeating: 0)
      let edge = scratch.baseAddress!
      var tile = self
      tile.c = edge
      tile.cStride = 16
      if let bias {
        (edge + 96).update(from: bias, count: width)
        tile.bias = UnsafePointer(edge + 96)
      }
      var done = 0
      while done < rows {
        let height = Tile.height(rest: rows - done)
        let target = c + done * cStride
        if continues {
          for row in 0..<height { (edge + row * 16).update(from: target + row * cStride, count: width) }
        }
        tile.run(rows: height)
        for row in 0..<height { (target + row * cStride).update(from: edge + row * 16, count: width) }
        tile.a += height * rowStride
        done += height
      }
    }
  }

  @inline(__always)
  func start(_ row: Int, panel: Int = 0) -> (SIMD8<Float>, SIMD8<Float>) {
    guard continues else { return (.zero, .zero) }
    let c = UnsafeRawPointer(c + (row &* cStride &+ panel &* 16))
    return (
      c.loadUnaligned(as: SIMD8<Float>.self), c.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self)
    )
  }

  @inline(__always)
  func finish(_ row: Int, panel: Int = 0, _ low: SIMD8<Float>, _ high: SIMD8<Float>) {
    var (low, high) = (low, high)
    if let bias {
      let bias = UnsafeRawPointer(bias + panel &* 16)
      low += bias.loadUnaligned(as: SIMD8<Float>.self)
      high += bias.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self)
    }
    let c = UnsafeMutableRawPointer(c + (row &* cStride &+ panel &* 16))
    c.storeBytes(of: low, as: SIMD8<Float>.self)
    c.storeBytes(of: high, toByteOffset: 32, as: SIMD8<Float>.self)
  }
}
