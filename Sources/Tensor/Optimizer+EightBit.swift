extension Optimizer {
  /// AdamW with moments in 8 bits, block by block: decoded, updated, used in full precision, encoded again.
  func updateEightBitAdamW(
    _ weights: FloatBuffer, _ gradients: FloatBuffer, scale: Float, learningRate: Double, pool: WorkerPool
  ) {
    let formula = AdamWStep(settings, step: step, learningRate: learningRate)
    let (first, second) = quantized!
    let (count, size) = (weights.count, QuantizedMoment.blockCount)
    let (w, g) = (weights.pointer, gradients.pointer)
    let seed = RoundingChances.seed(step: step)
    pool.run((count + Optimizer.blockCount - 1) / Optimizer.blockCount) { task in
      let end = min((task + 1) * Optimizer.blockCount, count)
      forEachPiece(ofBlock: task) { range, decays in
        guard decays, formula.kept != 1 else { return }
        for index in range { w[index] *= formula.kept }
      }
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 4 * size) { room in
        let block = EightBitBlock(formula, scale: scale, seed: seed, room: room.baseAddress!)
        for start in stride(from: task * Optimizer.blockCount, to: end, by: size) {
          if start + size <= end {
            block.update(start / size, w + start, g + start, first, second)
          } else {
            // The last block of all may be a part: the rest of it is zeros, whose codes stay 0.
            let rest = end - start
            let (weights, gradients) = (room.baseAddress! + 2 * size, room.baseAddress! + 3 * size)
            weights.update(repeating: 0, count: 2 * size)
            weights.update(from: w + start, count: rest)
            gradients.update(from: g + start, count: rest)
            block.update(start / size, weights, gradients, first, second)
            (w + start).update(from: weights, count: rest)
          }
        }
      }
    }
  }
}

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

/// Two numbers in [0, 1) for each of eight neighbours: a hash of step and place, by the finalizer of MurmurHash3 (A. Appleby).
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
