/// How a tensor's numbers lie in a file, little-endian.
enum NumberFormat: String, CaseIterable {
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  // Quantised blocks, in GGUF files alone.
  case q4_0 = "Q4_0"
  case q4_1 = "Q4_1"
  case q5_0 = "Q5_0"
  case q5_1 = "Q5_1"
  case q8_0 = "Q8_0"
  case q2_k = "Q2_K"
  case q3_k = "Q3_K"
  case q4_k = "Q4_K"
  case q5_k = "Q5_K"
  case q6_k = "Q6_K"

  /// Numbers and bytes of what cannot be divided.
  var block: (numbers: Int, bytes: Int) {
    switch self {
    case .float32: (1, 4)
    case .float16, .bfloat16: (1, 2)
    case .q4_0: (32, 18)
    case .q4_1: (32, 20)
    case .q5_0: (32, 22)
    case .q5_1: (32, 24)
    case .q8_0: (32, 34)
    case .q2_k: (256, 84)
    case .q3_k: (256, 110)
    case .q4_k: (256, 144)
    case .q5_k: (256, 176)
    case .q6_k: (256, 210)
    }
  }

  /// Whether it is a scale times small integers: no format that is written here.
  var isQuantised: Bool { block.numbers > 1 }

  /// Bytes of `count` numbers, whole blocks.
  func byteCount(_ count: Int) -> Int { count / block.numbers * block.bytes }

  init(_ type: StoredType) { self = type == .float32 ? .float32 : .bfloat16 }
}

/// The bits of `value` as bfloat16, rounded to nearest, ties to even. What bfloat16 holds stays as it is; a NaN that it
/// does not hold stays one: it is cut, with its quiet bit set.
@inline(__always)
func bfloat16Bits(_ value: Float) -> UInt16 {
  let bits = value.bitPattern
  if bits & 0xffff == 0 { return UInt16(truncatingIfNeeded: bits &>> 16) }
  if bits & 0x7fff_ffff > 0x7f80_0000 { return UInt16(truncatingIfNeeded: bits &>> 16) | 0x40 }
  return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ (bits &>> 16 & 1)) &>> 16)
}

/// `count` numbers of `format` as fp32, exact for the short formats, which are subsets; whole blocks of a quantised
/// one.
func widen(
  _ source: UnsafeRawPointer, _ format: NumberFormat, into target: UnsafeMutablePointer<Float>, count: Int
) {
  switch format {
  case .float32: UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: count * 4)
  case .bfloat16:
    let source = source.assumingMemoryBound(to: UInt16.self)
    for index in 0..<count { target[index] = Float(bitPattern: UInt32(source[index]) &<< 16) }
  case .float16:
    let source = source.assumingMemoryBound(to: UInt16.self)
    for index in 0..<count { target[index] = Float(Float16(bitPattern: source[index])) }
  default: GGUFBlocks.dequantize(source, format, blocks: count / format.block.numbers, into: target)
  }
}
