/// Quantised blocks as fp32, to the bit as gguf-py's `gguf.quants.dequantize` makes them.
///
/// The layouts are those of ggml (https://github.com/ggml-org/ggml, ggml-common.h): a block of 32 numbers has one fp16
/// scale, and for some types a minimum; a block of 256 has scales of its parts besides, which one or two fp16 numbers
/// multiply. Scales that are infinite or NaN are passed on, as there.
enum GGUFBlocks {
  /// Writes the numbers of `blocks` blocks. Both sides are packed, without gaps; `source` needs no alignment.
  static func dequantize(
    _ source: UnsafeRawPointer, _ format: NumberFormat, blocks: Int, into target: UnsafeMutablePointer<Float>
  ) {
    let (numbers, bytes) = format.block
    func each(_ body: (UnsafeRawPointer, UnsafeMutablePointer<Float>) -> Void) {
      for block in 0..<blocks { body(source + block &* bytes, target + block &* numbers) }
    }
    switch format {
    case .q4_0: each { quads($0, hasMinimum: false, hasFifth: false, $1) }
    case .q4_1: each { quads($0, hasMinimum: true, hasFifth: false, $1) }
    case .q5_0: each { quads($0, hasMinimum: false, hasFifth: true, $1) }
    case .q5_1: each { quads($0, hasMinimum: true, hasFifth: true, $1) }
    case .q8_0: each { bytes8($0, $1) }
    case .q2_k: each { pairs($0, $1) }
    case .q3_k: each { triples($0, $1) }
    case .q4_k: each { superQuads($0, hasFifth: false, $1) }
    case .q5_k: each { superQuads($0, hasFifth: true, $1) }
    case .q6_k: each { sixes($0, $1) }
    case .float32, .float16, .bfloat16: preconditionFailure("GGUFBlocks: \(format) has no blocks")
    }
  }

  @inline(__always)
  private static func half(_ block: UnsafeRawPointer, _ offset: Int) -> Float {
    Float(Float16(bitPattern: UInt16(littleEndian: block.loadUnaligned(fromByteOffset: offset, as: UInt16.self))))
  }

  @inline(__always)
  private static func byte(_ block: UnsafeRawPointer, _ offset: Int) -> UInt8 {
    block.load(fromByteOffset: offset, as: UInt8.self)
  }

  /// `Q4_0`, `Q4_1`, `Q5_0`, `Q5_1`: an fp16 scale, perhaps an fp16 minimum, perhaps 32 fifth bits, and 16 bytes whose
  /// low halves are the first 16 numbers.
  @inline(__always)
  private static func quads(
    _ block: UnsafeRawPointer, hasMinimum: Bool, hasFifth: Bool, _ target: UnsafeMutablePointer<Float>
  ) {
    let scale = half(block, 0)
    let minimum = hasMinimum ? half(block, 2) : 0
    let fifthPlace = hasMinimum ? 4 : 2
    let fifths =
      hasFifth ? UInt32(littleEndian: block.loadUnaligned(fromByteOffset: fifthPlace, as: UInt32.self)) : 0
    let place = fifthPlace + (hasFifth ? 4 : 0)
    let zero: Int32 = hasFifth ? 16 : 8
    for part in 0..<2 {
      for index in 0..<16 {
        let low = Int32(byte(block, place &+ index) &>> UInt8(part &* 4) & 15)
        let high = Int32(fifths &>> UInt32(part &* 16 &+ index) & 1) &<< 4
        let number = low | high
        target[part &* 16 &+ index] =
          hasMinimum ? scale * Float(number) + minimum : scale * Float(number &- zero)
      }
    }
  }

  /// `Q8_0`: an fp16 scale and 32 signed bytes.
  @inline(__always)
  private static func bytes8(_ block: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>) {
    let scale = half(block, 0)
    for index in 0..<32 { target[index] = Float(Int8(bitPattern: byte(block, 2 &+ index))) * scale }
  }

  /// `Q2_K`: 16 bytes of scale (low half) and minimum (high half), 64 bytes of four numbers, fp16 scale and minimum.
  @inline(__always)
  private static func pairs(_ block: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>) {
    let (scale, minimum) = (half(block, 80), half(block, 82))
    for part in 0..<16 {
      let both = byte(block, part)
      let (step, low) = (scale * Float(both & 15), minimum * Float(both >> 4))
      let (place, shift) = pairPlace(part)
      for index in 0..<16 {
        let number = byte(block, 16 &+ place &+ index) &>> shift & 3
        target[part &* 16 &+ index] = step * Float(number) - low
      }
    }
  }

  /// Where the two low bits of a sixteenth lie: of each 32 bytes the lowest bits come first.
  @inline(__always)
  private static func pairPlace(_ part: Int) -> (place: Int, shift: UInt8) {
    (part / 8 * 32 + part % 2 * 16, UInt8(part % 8 / 2 * 2))
  }

  /// `Q3_K`: 32 bytes of third bits, 64 bytes of four pairs, 12 bytes of 16 scales of six bits, an fp16 scale. A third
  /// bit that is missing takes 4 off.
  @inline(__always)
  private static func triples(_ block: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>) {
    let scale = half(block, 108)
    for part in 0..<16 {
      let low = byte(block, 96 + part % 8) >> UInt8(part / 8 * 4) & 15
      let high = byte(block, 104 + part % 4) >> UInt8(part / 4 * 2) & 3
      let step = scale * Float(Int32(low | high << 4) - 32)
      let (place, shift) = pairPlace(part)
      let (thirdPlace, thirdShift) = (part % 2 * 16, UInt8(part / 2))
      for index in 0..<16 {
        let pair = Int32(byte(block, 32 &+ place &+ index) &>> shift & 3)
        let third = Int32(byte(block, thirdPlace &+ index) &>> thirdShift & 1)
        target[part &* 16 &+ index] = step * Float(pair &+ third &* 4 &- 4)
      }
    }
  }

  /// Scale and minimum of an eighth of a `Q4_K` or `Q5_K` block, six bits each, in 12 bytes.
  @inline(__always)
  private static func scaleAndMinimum(_ block: UnsafeRawPointer, _ part: Int) -> (UInt8, UInt8) {
    let (first, second) = (byte(block, 4 + part % 4), byte(block, 8 + part % 4))
    guard part >= 4 else { return (first & 63, second & 63) }
    let low = byte(block, 8 + part)
    return (low & 15 | first >> 2 & 48, low >> 4 | second >> 2 & 48)
  }

  /// `Q4_K`, `Q5_K`: fp16 scale and minimum, 12 bytes of eight scales and minima, perhaps 32 bytes of fifth bits, and
  /// 128 bytes: of each 32 the low halves come first.
  @inline(__always)
  private static func superQuads(_ block: UnsafeRawPointer, hasFifth: Bool, _ target: UnsafeMutablePointer<Float>) {
    let (scale, minimum) = (half(block, 0), half(block, 2))
    for part in 0..<8 {
      let (factor, offset) = scaleAndMinimum(block, part)
      let (step, low) = (scale * Float(factor), minimum * Float(offset))
      let place = (hasFifth ? 48 : 16) + part / 2 * 32
      let shift = UInt8(part % 2 * 4)
      for index in 0..<32 {
        var number = byte(block, place &+ index) &>> shift & 15
        if hasFifth { number |= (byte(block, 16 &+ index) &>> UInt8(part) & 1) &<< 4 }
        target[part &* 32 &+ index] = step * Float(number) - low
      }
    }
  }

  /// `Q6_K`: 128 bytes of two low quads, 64 bytes of four high pairs, 16 signed scales, an fp16 scale.
  @inline(__always)
  private static func sixes(_ block: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>) {
    let scale = half(block, 208)
    for part in 0..<16 {
      let step = scale * Float(Int8(bitPattern: byte(block, 192 + part)))
      // Of each half of the block: four runs of 32; the first two have the low quads of its 64 bytes.
      let (half, run, side) = (part / 8, part % 8 / 2, part % 2 * 16)
      let (place, shift) = (half * 64 + run % 2 * 32 + side, UInt8(run / 2 * 4))
      let (highPlace, highShift) = (128 + half * 32 + side, UInt8(run * 2))
      for index in 0..<16 {
        let low = byte(block, place &+ index) &>> shift & 15
        let high = byte(block, highPlace &+ index) &>> highShift & 3
        target[part &* 16 &+ index] = step * Float(Int32(low | high &<< 4) &- 32)
      }
    }
  }
}
