import CIntrinsics
import TensorBase

// One function a height: with fewer accumulators than registers, the compiler keeps them all there.

extension Tile {
  /// 6 rows by 16 columns: 12 accumulators.
  @inline(never)
  static func rows6<Panel: PanelReader>(_ t: Tile, _ panel: Panel.Type) {
    let a0 = t.a
    var (b, next) = (t.b, t.prefetch)
    // Six rows and one offset: sums of strides would be added up again at every step.
    let a1 = a0 + t.rowStride
    let a2 = a1 + t.rowStride
    let a3 = a2 + t.rowStride
    let a4 = a3 + t.rowStride
    let a5 = a4 + t.rowStride
    var k = 0
    var (c00, c01) = t.start(0)
    var (c10, c11) = t.start(1)
    var (c20, c21) = t.start(2)
    var (c30, c31) = t.start(3)
    var (c40, c41) = t.start(4)
    var (c50, c51) = t.start(5)
    var step = t.steps
    while step > 0 {
      let (b0, b1) = Panel.read(b)
      martlet_prefetch(next)
      let x0 = SIMD8<Float>(repeating: a0[k])
      c00 = c00.addingProduct(x0, b0)
      c01 = c01.addingProduct(x0, b1)
      let x1 = SIMD8<Float>(repeating: a1[k])
      c10 = c10.addingProduct(x1, b0)
      c11 = c11.addingProduct(x1, b1)
      let x2 = SIMD8<Float>(repeating: a2[k])
      c20 = c20.addingProduct(x2, b0)
      c21 = c21.addingProduct(x2, b1)
      let x3 = SIMD8<Float>(repeating: a3[k])
      c30 = c30.addingProduct(x3, b0)
      c31 = c31.addingProduct(x3, b1)
      let x4 = SIMD8<Float>(repeating: a4[k])
      c40 = c40.addingProduct(x4, b0)
      c41 = c41.addingProduct(x4, b1)
      let x5 = SIMD8<Float>(repeating: a5[k])
      c50 = c50.addingProduct(x5, b0)
      c51 = c51.addingProduct(x5, b1)
      k &+= t.stepStride
      b += Panel.stepBytes
      next += t.prefetchStep
      step &-= 1
    }
    t.finish(0, c00, c01)
    t.finish(1, c10, c11)
    t.finish(2, c20, c21)
    t.finish(3, c30, c31)
    t.finish(4, c40, c41)
    t.finish(5, c50, c51)
  }

  /// 5 rows by 16 columns: 10 accumulators.
  @inline(never)
  static func rows5<Panel: PanelReader>(_ t: Tile, _ panel: Panel.Type) {
    var a = t.a
    var b = t.b
    var next = t.prefetch
    let s1 = t.rowStride
    let s3 = 3 &* s1
    var (c00, c01) = t.start(0)
    var (c10, c11) = t.start(1)
    var (c20, c21) = t.start(2)
    var (c30, c31) = t.start(3)
    var (c40, c41) = t.start(4)
    var step = t.steps
    while step > 0 {
      let (b0, b1) = Panel.read(b)
      martlet_prefetch(next)
      let x0 = SIMD8<Float>(repeating: a[0])
      c00 = c00.addingProduct(x0, b0)
      c01 = c01.addingProduct(x0, b1)
      let x1 = SIMD8<Float>(repeating: a[s1])
      c10 = c10.addingProduct(x1, b0)
      c11 = c11.addingProduct(x1, b1)
      let x2 = SIMD8<Float>(repeating: a[2 &* s1])
      c20 = c20.addingProduct(x2, b0)
      c21 = c21.addingProduct(x2, b1)
      let x3 = SIMD8<Float>(repeating: a[s3])
      c30 = c30.addingProduct(x3, b0)
      c31 = c31.addingProduct(x3, b1)
      let x4 = SIMD8<Float>(repeating: a[4 &* s1])
      c40 = c40.addingProduct(x4, b0)
      c41 = c41.addingProduct(x4, b1)
      a += t.stepStride
      b += Panel.stepBytes
      next += t.prefetchStep
      step &-= 1
    }
    t.finish(0, c00, c01)
    t.finish(1, c10, c11)
    t.finish(2, c20, c21)
    t.finish(3, c30, c31)
    t.finish(4, c40, c41)
  }

  /// 4 rows by 16 columns: 8 accumulators.
  @inline(never)
  static func rows4<Panel: PanelReader>(_ t: Tile, _ panel: Panel.Type) {
    var a = t.a
    var b = t.b
    var next = t.prefetch
    let s1 = t.rowStride
    let s3 = 3 &* s1
    var (c00, c01) = t.start(0)
    var (c10, c11) = t.start(1)
    var (c20, c21) = t.start(2)
    var (c30, c31) = t.start(3)
    var step = t.steps
    while step > 0 {
      let (b0, b1) = Panel.read(b)
      martlet_prefetch(next)
      let x0 = SIMD8<Float>(repeating: a[0])
      c00 = c00.addingProduct(x0, b0)
      c01 = c01.addingProduct(x0, b1)
      let x1 = SIMD8<Float>(repeating: a[s1])
      c10 = c10.addingProduct(x1, b0)
      c11 = c11.addingProduct(x1, b1)
      let x2 = SIMD8<Float>(repeating: a[2 &* s1])
      c20 = c20.addingProduct(x2, b0)
      c21 = c21.addingProduct(x2, b1)
      let x3 = SIMD8<Float>(repeating: a[s3])
      c30 = c30.addingProduct(x3, b0)
      c31 = c31.addingProduct(x3, b1)
      a += t.stepStride
      b += Panel.stepBytes
      next += t.prefetchStep
      step &-= 1
    }
    t.finish(0, c00, c01)
    t.finish(1, c10, c11)
    t.finish(2, c20, c21)
    t.finish(3, c30, c31)
  }

  /// 3 rows by 16 columns: 6 accumulators.
  @inline(never)
  static func rows3<Panel: PanelReader>(_ t: Tile, _ panel: Panel.Type) {
    var a = t.a
    var b = t.b
    var next = t.prefetch
    let s1 = t.rowStride
    var (c00, c01) = t.start(0)
    var (c10, c11) = t.start(1)
    var (c20, c21) = t.start(2)
    var step = t.steps
    while step > 0 {
      let (b0, b1) = Panel.read(b)
      martlet_prefetch(next)
      let x0 = SIMD8<Float>(repeating: a[0])
      c00 = c00.addingProduct(x0, b0)
      c01 = c01.addingProduct(x0, b1)
      let x1 = SIMD8<Float>(repeating: a[s1])
      c10 = c10.addingProduct(x1, b0)
      c11 = c11.addingProduct(x1, b1)
      let x2 = SIMD8<Float>(repeating: a[2 &* s1])
      c20 = c20.addingProduct(x2, b0)
      c21 = c21.addingProduct(x2, b1)
      a += t.stepStride
      b += Panel.stepBytes
      next += t.prefetchStep
      step &-= 1
    }
    t.finish(0, c00, c01)
    t.finish(1, c10, c11)
    t.finish(2, c20, c21)
  }

  /// 2 rows by 16 columns: 4 accumulators.
  @inline(never)
  static func rows2<Panel: PanelReader>(_ t: Tile, _ panel: Panel.Type) {
    var a = t.a
    var b = t.b
    var next = t.prefetch
    let s1 = t.rowStride
    var (c00, c01) = t.start(0)
    var (c10, c11) = t.start(1)
    var step = t.steps
    while step > 0 {
      let (b0, b1) = Panel.read(b)
      martlet_prefetch(next)
      let x0 = SIMD8<Float>(repeating: a[0])
      c00 = c00.addingProduct(x0, b0)
      c01 = c01.addingProduct(x0, b1)
      let x1 = SIMD8<Float>(repeating: a[s1])
      c10 = c10.addingProduct(x1, b0)
      c11 = c11.addingProduct(x1, b1)
      a += t.stepStride
      b += Panel.stepBytes
      next += t.prefetchStep
      step &-= 1
    }
    t.finish(0, c00, c01)
    t.finish(1, c10, c11)
  }

  /// 1 row by 16 columns: 2 accumulators.
  @inline(never)
  static func rows1<Panel: PanelReader>(_ t: Tile, _ panel: Panel.Type) {
    var a = t.a
    var b = t.b
    var next = t.prefetch
    var (c00, c01) = t.start(0)
    var step = t.steps
    while step > 0 {
      let (b0, b1) = Panel.read(b)
      martlet_prefetch(next)
      let x0 = SIMD8<Float>(repeating: a[0])
      c00 = c00.addingProduct(x0, b0)
      c01 = c01.addingProduct(x0, b1)
      a += t.stepStride
      b += Panel.stepBytes
      next += t.prefetchStep
      step &-= 1
    }
    t.finish(0, c00, c01)
  }
}
