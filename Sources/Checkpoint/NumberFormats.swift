/// How a tensor's numbers lie in a file, little-endian.
enum NumberFormat: String {
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"

  var byteCount: Int { self == .float32 ? 4 : 2 }

  init(_ type: StoredType) { self = type == .float32 ? .float32 : .bfloat16 }
}

/// The bits of `value` as bfloat16, rounded to nearest, ties to even. A NaN stays one: it is cut, with its quiet bit
/// set.
@inline(__always)
func bfloat16Bits(_ value: Float) -> UInt16 {
  let bits = value.bitPattern
  if bits & 0x7fff_ffff > 0x7f80_0000 { return UInt16(truncatingIfNeeded: bits &>> 16) | 0x40 }
  return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ (bits &>> 16 & 1)) &>> 16)
}

/// `count` numbers of `format` as fp32; exact, because both short formats are subsets.
func widen(
  _ source: UnsafePointer<UInt16>, _ format: NumberFormat, into target: UnsafeMutablePointer<Float>, count: Int
) {
  switch format {
  case .bfloat16:
    for index in 0..<count { target[index] = Float(bitPattern: UInt32(source[index]) &<< 16) }
  case .float16:
    for index in 0..<count { target[index] = Float(Float16(bitPattern: source[index])) }
  case .float32: preconditionFailure("widen: fp32 needs no widening")
  }
}
