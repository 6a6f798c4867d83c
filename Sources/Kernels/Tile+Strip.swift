import CIntrinsics
import TensorBase

/// A strip: one to three rows by several neighbouring panels, each read from memory along its whole length.
///
/// So few rows by one panel are two to six chains, which wait for each other's latency, and one stream, which waits for
/// memory. Panels side by side give both something to do meanwhile. Each output's chain is the one it would be alone.
extension Tile {
  /// How many panels a strip of `rows` rows takes; 1: so many rows need no strip.
  static func stripPanels(rows: Int) -> Int {
    switch rows {
    case 1: 4
    case 2, 3: 2
    default: 1
    }
  }

  /// Computes `rows` rows of `stripPanels(rows:)` panels, `panelBytes` from one to the next, all 16 columns wide.
  /// `prefetch` is not read: each panel is asked for `prefetchBytes` ahead of itself.
  @inline(__always)
  func runStrip(rows: Int, panelBytes: Int) {
    switch format {
    case .float32: runStrip(rows: rows, panelBytes: panelBytes, Float32Panel.self)
    case .bfloat16: runStrip(rows: rows, panelBytes: panelBytes, BFloat16Panel.self)
    }
  }

  @inline(__always)
  private func runStrip<Panel: PanelReader>(rows: Int, panelBytes: Int, _ panel: Panel.Type) {
    switch rows {
    case 3: Tile.strip3(self, panelBytes, panel)
    case 2: Tile.strip2(self, panelBytes, panel)
    default: Tile.strip1(self, panelBytes, panel)
    }
  }

  /// How far ahead of itself a tile asks for weights that it is the only one to read.
  static let prefetchBytes = 2048

  /// 1 row by 4 panels: 8 accumulators.
  @inline(never)
  private static func strip1<Panel: PanelReader>(_ t: Tile, _ panelBytes: Int, _ panel: Panel.Type) {
    let (b0, b1) = (t.b, t.b + panelBytes)
    let (b2, b3) = (b1 + panelBytes, b1 + 2 &* panelBytes)
    var a = t.a
    var place = 0
    var (c00, c01) = t.start(0)
    var (c10, c11) = t.start(0, panel: 1)
    var (c20, c21) = t.start(0, panel: 2)
    var (c30, c31) = t.start(0, panel: 3)
    let end = t.steps &* Panel.stepBytes
    while place < end {
      let x = SIMD8<Float>(repeating: a[0])
      martlet_prefetch(b0 + (place &+ prefetchBytes))
      let (l0, h0) = Panel.read(b0 + place)
      c00 = c00.addingProduct(x, l0)
      c01 = c01.addingProduct(x, h0)
      martlet_prefetch(b1 + (place &+ prefetchBytes))
      let (l1, h1) = Panel.read(b1 + place)
      c10 = c10.addingProduct(x, l1)
      c11 = c11.addingProduct(x, h1)
      martlet_prefetch(b2 + (place &+ prefetchBytes))
      let (l2, h2) = Panel.read(b2 + place)
      c20 = c20.addingProduct(x, l2)
      c21 = c21.addingProduct(x, h2)
      martlet_prefetch(b3 + (place &+ prefetchBytes))
      let (l3, h3) = Panel.read(b3 + place)
      c30 = c30.addingProduct(x, l3)
      c31 = c31.addingProduct(x, h3)
      a += t.stepStride
      place &+= Panel.stepBytes
    }
    t.finish(0, c00, c01)
    t.finish(0, panel: 1, c10, c11)
    t.finish(0, panel: 2, c20, c21)
    t.finish(0, panel: 3, c30, c31)
  }

  /// 2 rows by 2 panels: 8 accumulators.
  @inline(never)
  private static func strip2<Panel: PanelReader>(_ t: Tile, _ panelBytes: Int, _ panel: Panel.Type) {
    let (b0, b1) = (t.b, t.b + panelBytes)
    var a0 = t.a
    var a1 = t.a + t.rowStride
    var place = 0
    var (c00, c01) = t.start(0)
    var (c10, c11) = t.start(1)
    var (d00, d01) = t.start(0, panel: 1)
    var (d10, d11) = t.start(1, panel: 1)
    let end = t.steps &* Panel.stepBytes
    while place < end {
      let x0 = SIMD8<Float>(repeating: a0[0])
      let x1 = SIMD8<Float>(repeating: a1[0])
      martlet_prefetch(b0 + (place &+ prefetchBytes))
      let (l0, h0) = Panel.read(b0 + place)
      c00 = c00.addingProduct(x0, l0)
      c01 = c01.addingProduct(x0, h0)
      c10 = c10.addingProduct(x1, l0)
      c11 = c11.addingProduct(x1, h0)
      martlet_prefetch(b1 + (place &+ prefetchBytes))
      let (l1, h1) = Panel.read(b1 + place)
      d00 = d00.addingProduct(x0, l1)
      d01 = d01.addingProduct(x0, h1)
      d10 = d10.addingProduct(x1, l1)
      d11 = d11.addingProduct(x1, h1)
      a0 += t.stepStride
      a1 += t.stepStride
      place &+= Panel.stepBytes
    }
    t.finish(0, c00, c01)
    t.finish(1, c10, c11)
    t.finish(0, panel: 1, d00, d01)
    t.finish(1, panel: 1, d10, d11)
  }

  /// 3 rows by 2 panels: 12 accumulators.
  @inline(never)
  private static func strip3<Panel: PanelReader>(_ t: Tile, _ panelBytes: Int, _ panel: Panel.Type) {
    let (b0, b1) = (t.b, t.b + panelBytes)
    let (a0, a1, a2) = (t.a, t.a + t.rowStride, t.a + 2 &* t.rowStride)
    var k = 0
    var place = 0
    var (c00, c01) = t.start(0)
    var (c10, c11) = t.start(1)
    var (c20, c21) = t.start(2)
    var (d00, d01) = t.start(0, panel: 1)
    var (d10, d11) = t.start(1, panel: 1)
    var (d20, d21) = t.start(2, panel: 1)
    let end = t.steps &* Panel.stepBytes
    while place < end {
      martlet_prefetch(b0 + (place &+ prefetchBytes))
      martlet_prefetch(b1 + (place &+ prefetchBytes))
      let (l0, h0) = Panel.read(b0 + place)
      let x0 = SIMD8<Float>(repeating: a0[k])
      c00 = c00.addingProduct(x0, l0)
      c01 = c01.addingProduct(x0, h0)
      let x1 = SIMD8<Float>(repeating: a1[k])
      c10 = c10.addingProduct(x1, l0)
      c11 = c11.addingProduct(x1, h0)
      let x2 = SIMD8<Float>(repeating: a2[k])
      c20 = c20.addingProduct(x2, l0)
      c21 = c21.addingProduct(x2, h0)
      let (l1, h1) = Panel.read(b1 + place)
      d00 = d00.addingProduct(x0, l1)
      d01 = d01.addingProduct(x0, h1)
      d10 = d10.addingProduct(x1, l1)
      d11 = d11.addingProduct(x1, h1)
      d20 = d20.addingProduct(x2, l1)
      d21 = d21.addingProduct(x2, h1)
      k &+= t.stepStride
      place &+= Panel.stepBytes
    }
    t.finish(0, c00, c01)
    t.finish(1, c10, c11)
    t.finish(2, c20, c21)
    t.finish(0, panel: 1, d00, d01)
    t.finish(1, panel: 1, d10, d11)
    t.finish(2, panel: 1, d20, d21)
  }
}
