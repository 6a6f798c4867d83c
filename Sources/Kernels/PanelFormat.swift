import Synchronization
import TensorBase

/// Reads one step of a panel, 16 numbers.
protocol PanelReader {
  static var stepBytes: Int { get }
  static func read(_ step: UnsafeRawPointer) -> (SIMD8<Float>, SIMD8<Float>)
}

enum Float32Panel: PanelReader {
  @inline(__always) static var stepBytes: Int { 64 }

  @inline(__always)
  static func read(_ step: UnsafeRawPointer) -> (SIMD8<Float>, SIMD8<Float>) {
    (step.loadUnaligned(as: SIMD8<Float>.self), step.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self))
  }
}

/// A step is 8 words: word i holds number i in its lower half and number i + 8 in its upper half. A shift and a mask
/// widen them, where halves side by side would have to cross the register.
enum BFloat16Panel: PanelReader {
  @inline(__always) static var stepBytes: Int { 32 }

  private static var upper: SIMD8<UInt32> { SIMD8(repeating: 0xffff_0000) }

  @inline(__always)
  static func read(_ step: UnsafeRawPointer) -> (SIMD8<Float>, SIMD8<Float>) {
    let words = step.loadUnaligned(as: SIMD8<UInt32>.self)
    return (unsafeBitCast(words &<< 16, to: SIMD8<Float>.self), unsafeBitCast(words & upper, to: SIMD8<Float>.self))
  }

  /// Writes 16 numbers, whose lower halves are 0, as a step.
  @inline(__always)
  static func write(_ numbers: UnsafePointer<Float>, to step: UnsafeMutableRawPointer) {
    let first = unsafeBitCast(loadEight(numbers), to: SIMD8<UInt32>.self)
    let second = unsafeBitCast(loadEight(numbers + 8), to: SIMD8<UInt32>.self)
    step.storeBytes(of: (first &>> 16) | (second & upper), as: SIMD8<UInt32>.self)
  }
}

extension Table {
  package static func areBFloat16(_ numbers: UnsafePointer<Float>, count: Int, pool: WorkerPool) -> Bool {
    let numbers = Shared(numbers)
    let chunk = 1 << 16
    let failed = Atomic<Bool>(false)
    pool.run((count + chunk - 1) / chunk) { task in
      if failed.load(ordering: .relaxed) { return }
      let start = task * chunk
      let end = min(start + chunk, count)
      var lower = SIMD8<UInt32>(repeating: 0)
      var index = start
      while index &+ 8 <= end {
        lower |= UnsafeRawPointer(numbers.pointer + index).loadUnaligned(as: SIMD8<UInt32>.self)
        index &+= 8
      }
      var rest = lower[0] | lower[1] | lower[2] | lower[3] | lower[4] | lower[5] | lower[6] | lower[7]
      while index < end {
        rest |= numbers.pointer[index].bitPattern
        index &+= 1
      }
      if rest & 0xffff != 0 { failed.store(true, ordering: .relaxed) }
    }
    return !failed.load(ordering: .relaxed)
  }
}
