import TensorBase

/// The update of 256 weights whose moments share a scale each.
private struct EightBitBlock {
  let formula: AdamWStep
  /// What gradients are multiplied by.
  let scale: Float
  let seed: UInt64
  /// Both moments of the block in fp32.
  let room: UnsafeMutablePointer<Float>

  init(_ formula: AdamWStep, scale: Float, seed: UInt64, room: UnsafeMutablePointer<Float>) {
    self.formula = formula
    self.scale = scale
    self.seed = seed
    self.room = room
  }

  func update(
    _ block: Int, _ w: UnsafeMutablePointer<Float>, _ g: UnsafePointer<Float>, _ first: QuantizedMoment,
    _ second: QuantizedMoment
  ) {
    let size = QuantizedMoment.blockCount
    let (firstCode, secondCode) = (MomentCode(isSigned: true), MomentCode(isSigned: false))
    let firstBytes = UnsafeMutableRawPointer(first.codes.pointer) + block * size
    let secondBytes = UnsafeMutableRawPointer(second.codes.pointer) + block * size
    let (firstScale, secondScale) = (first.scales.pointer[block], second.scales.pointer[block])
    var (firstLargest, secondLargest) = (SIMD8<Float>.zero, SIMD8<Float>.zero)
    var index = 0
    while index < size {
      var m = firstCode.decoded(loadBytes(firstBytes + index)) * firstScale
      var v = secondCode.decoded(loadBytes(secondBytes + index)) * secondScale
      var weight = loadEight(w + index)
      formula.apply(&weight, &m, &v, gradient: loadEight(g + index) * scale, kept: 1)
      // A square that overflows has no code; the largest number serves as well in a denominator.
      v = v.replacing(with: .greatestFiniteMagnitude, where: v .> .greatestFiniteMagnitude)
      storeEight(weight, w + index)
      storeEight(m, room + index)
      storeEight(v, room + size + index)
      let magnitude = unsafeBitCast(unsafeBitCast(m, to: SIMD8<UInt32>.self) & 0x7fff_ffff, to: SIMD8<Float>.self)
      firstLargest = exactMaximum(firstLargest, magnitude)
      secondLargest = exactMaximum(secondLargest, v)
      index &+= 8
    }
    let firstNext = Lanes(firstLargest, firstLargest).treeMaximum
    let secondNext = Lanes(secondLargest, secondLargest).treeMaximum
    first.scales.pointer[block] = firstNext
    second.scales.pointer[block] = secondNext
    index = 0
    while index < size {
      let chances = RoundingChances(seed: seed, index: block &* size &+ index)
      storeBytes(
        firstCode.encoded(loadEight(room + index), scale: firstNext, chances: chances.first), firstBytes + index)
      storeBytes(
        secondCode.encoded(loadEight(room + size + index), scale: secondNext, chances: chances.second),
        secondBytes + index)
      index &+= 8
    }
  }
}

/// Two numbers in [0, 1) for each of eight neighbours: a hash of step and place, by the finalizer of MurmurHash3 (A.
/// Appleby).
struct RoundingChances {
  let first, second: SIMD8<Float>

  static func seed(step: Int) -> UInt64 { (UInt64(bitPattern: Int64(step)) &+ 1) &* 0x9e37_79b9_7f4a_7c15 }

  /// - Parameter index: of the first of the eight.
  @inline(__always)
  init(seed: UInt64, index: Int) {
    let start = seed &+ UInt64(bitPattern: Int64(index))
    let key = UInt32(truncatingIfNeeded: start &>> 32) &* 0x9e37_79b1
    var hash = SIMD8<UInt32>(0, 1, 2, 3, 4, 5, 6, 7) &+ UInt32(truncatingIfNeeded: start)
    hash ^= SIMD8(repeating: key)
    hash = (hash ^ (hash &>> 16)) &* 0x85eb_ca6b
    hash = (hash ^ (hash &>> 13)) &* 0xc2b2_ae35
    hash ^= hash &>> 16
    first = wholeNumbers(hash &>> 16) * (1 / 65_536)
    second = wholeNumbers(hash & 0xffff) * (1 / 65_536)
  }
}

@inline(__always)
private func loadBytes(_ pointer: UnsafeRawPointer) -> SIMD8<UInt32> {
  SIMD8<UInt32>(truncatingIfNeeded: pointer.loadUnaligned(as: SIMD8<UInt8>.self))
}

@inline(__always)
private func storeBytes(_ words: SIMD8<UInt32>, _ pointer: UnsafeMutableRawPointer) {
  pointer.storeBytes(of: SIMD8<UInt8>(truncatingIfNeeded: words), as: SIMD8<UInt8>.self)
}

extension Table {
  package static func updateEightBitAdamW(
    _ p: OptimizerPointers, block: Int, scale: Float, step: Int, first: QuantizedMoment, second: QuantizedMoment,
    room: UnsafeMutablePointer<Float>, formula: AdamWStep
  ) {
    EightBitBlock(formula, scale: scale, seed: RoundingChances.seed(step: step), room: room)
      .update(block, p.weights, p.gradients, first, second)
  }
}
