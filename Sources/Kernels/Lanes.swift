import TensorBase

/// Sixteen logical lanes: the element at index i of a row always belongs to lane i mod 16, on every instruction set.
///
/// Sums over a row are sixteen chains, one a lane, joined by `treeSum`. `SIMD.sum()` and `SIMD.max()` are never used:
/// the order of the first is unspecified, and the second drops NaN.
package struct Lanes: Sendable {
  package static let count = 16

  /// Lanes 0...7 and 8...15.
  package var low: SIMD8<Float>
  package var high: SIMD8<Float>

  @inline(__always)
  package init(_ low: SIMD8<Float>, _ high: SIMD8<Float>) {
    self.low = low
    self.high = high
  }

  @inline(__always)
  package init(repeating value: Float) {
    low = SIMD8(repeating: value)
    high = SIMD8(repeating: value)
  }

  /// Reads sixteen floats from `pointer`; no alignment is needed.
  @inline(__always)
  package init(_ pointer: UnsafePointer<Float>) {
    let raw = UnsafeRawPointer(pointer)
    low = raw.loadUnaligned(as: SIMD8<Float>.self)
    high = raw.loadUnaligned(fromByteOffset: 32, as: SIMD8<Float>.self)
  }

  /// Reads `count` (0 to 16) floats; the lanes behind them hold `padding`, and memory behind them is not touched.
  @inline(__always)
  package init(_ pointer: UnsafePointer<Float>, count: Int, padding: Float) {
    var tail = SIMD16<Float>(repeating: padding)
    for lane in 0..<count { tail[lane] = pointer[lane] }
    low = tail.lowHalf
    high = tail.highHalf
  }

  @inline(__always)
  package func store(_ pointer: UnsafeMutablePointer<Float>) {
    let raw = UnsafeMutableRawPointer(pointer)
    raw.storeBytes(of: low, as: SIMD8<Float>.self)
    raw.storeBytes(of: high, toByteOffset: 32, as: SIMD8<Float>.self)
  }

  /// Writes the first `count` lanes only.
  @inline(__always)
  package func store(_ pointer: UnsafeMutablePointer<Float>, count: Int) {
    let all = SIMD16<Float>(lowHalf: low, highHalf: high)
    for lane in 0..<count { pointer[lane] = all[lane] }
  }

  /// One fused multiply-add a lane: `self + a * b`, rounded once.
  @inline(__always)
  package func addingProduct(_ a: Lanes, _ b: Lanes) -> Lanes {
    Lanes(low.addingProduct(a.low, b.low), high.addingProduct(a.high, b.high))
  }

  /// The larger of both in each lane, NaN where either is NaN.
  @inline(__always)
  package func maximum(_ other: Lanes) -> Lanes {
    Lanes(exactMaximum(low, other.low), exactMaximum(high, other.high))
  }

  /// The fixed tree: lane i with i + 8, then i + 4, i + 2, i + 1.
  @inline(__always)
  package var treeSum: Float {
    let eight = low + high
    let four = eight.lowHalf + eight.highHalf
    let two = four.lowHalf + four.highHalf
    return two[0] + two[1]
  }

  /// The largest of all lanes; NaN if one is NaN.
  @inline(__always)
  package var treeMaximum: Float {
    // Shuffles to the end: where the largest lies is any lane's chance, and a branch on it would be guessed wrong.
    let eight = exactMaximum(low, high)
    let four = exactMaximum(eight, SIMD8(lowHalf: eight.highHalf, highHalf: eight.lowHalf))
    let pair = exactMaximum(four, SIMD8(four[1], four[0], four[3], four[2], four[5], four[4], four[7], four[6]))
    return exactMaximum(pair, SIMD8(pair[2], pair[3], pair[0], pair[1], pair[6], pair[7], pair[4], pair[5]))[0]
  }

  @inline(__always) package static func + (a: Lanes, b: Lanes) -> Lanes { Lanes(a.low + b.low, a.high + b.high) }
  @inline(__always) package static func - (a: Lanes, b: Lanes) -> Lanes { Lanes(a.low - b.low, a.high - b.high) }
  @inline(__always) package static func * (a: Lanes, b: Lanes) -> Lanes { Lanes(a.low * b.low, a.high * b.high) }
  @inline(__always) package static func / (a: Lanes, b: Lanes) -> Lanes { Lanes(a.low / b.low, a.high / b.high) }
}

/// The larger of both in each lane, NaN where either is NaN.
@inline(__always)
package func exactMaximum(_ a: SIMD8<Float>, _ b: SIMD8<Float>) -> SIMD8<Float> {
  a.replacing(with: b, where: (b .> a) .| (b .!= b))
}

/// Reads eight floats; no alignment is needed.
@inline(__always)
func loadEight(_ pointer: UnsafePointer<Float>) -> SIMD8<Float> {
  UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<Float>.self)
}

@inline(__always)
func storeEight(_ value: SIMD8<Float>, _ pointer: UnsafeMutablePointer<Float>) {
  UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: SIMD8<Float>.self)
}
