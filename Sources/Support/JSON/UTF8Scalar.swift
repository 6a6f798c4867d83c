/// Appends a Unicode scalar as UTF-8; a lone surrogate is written like any other number of its size.
@inlinable
package func appendScalar(_ scalar: UInt32, to bytes: inout [UInt8]) {
  if scalar < 0x80 {
    bytes.append(UInt8(scalar))
  } else if scalar < 0x800 {
    bytes.append(UInt8(0xc0 | scalar >> 6))
    bytes.append(UInt8(0x80 | scalar & 0x3f))
  } else if scalar < 0x10000 {
    bytes.append(UInt8(0xe0 | scalar >> 12))
    bytes.append(UInt8(0x80 | scalar >> 6 & 0x3f))
    bytes.append(UInt8(0x80 | scalar & 0x3f))
  } else {
    bytes.append(UInt8(0xf0 | scalar >> 18))
    bytes.append(UInt8(0x80 | scalar >> 12 & 0x3f))
    bytes.append(UInt8(0x80 | scalar >> 6 & 0x3f))
    bytes.append(UInt8(0x80 | scalar & 0x3f))
  }
}
