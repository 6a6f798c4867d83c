/// What the `tokenizers` library says about each scalar; Swift's own properties are of another Unicode version.
package struct UnicodeProperties: OptionSet, Sendable {
  package let rawValue: UInt8

  package init(rawValue: UInt8) { self.rawValue = rawValue }

  /// `\p{L}`.
  package static let letter = UnicodeProperties(rawValue: 1)
  /// `\p{N}`.
  package static let number = UnicodeProperties(rawValue: 2)
  /// `\s`.
  package static let space = UnicodeProperties(rawValue: 4)
  /// What the Digits pre-tokenizer splits off.
  package static let numeric = UnicodeProperties(rawValue: 8)
  /// What may not stand beside an added token marked `single_word`.
  package static let word = UnicodeProperties(rawValue: 16)
  /// `\p{M}`.
  package static let mark = UnicodeProperties(rawValue: 32)
  /// Composition may change the scalar or its neighbours: text without any such scalar is in NFC already.
  package static let mayCompose = UnicodeProperties(rawValue: 64)

  package static func of(_ scalar: UInt32) -> UnicodeProperties {
    UnicodeProperties(rawValue: table[Int(scalar)])
  }

  /// One byte a scalar, 1.1 MB, made at first use.
  private static let table: [UInt8] = {
    var flags = [UInt8]()
    flags.reserveCapacity(0x110000)
    var length = 0
    var number = 0
    for unit in UnicodeTables.properties.utf8 {
      switch unit {
      case UInt8(ascii: ":"): (length, number) = (number, 0)
      case UInt8(ascii: " "), UInt8(ascii: "\n"):
        flags.append(contentsOf: repeatElement(UInt8(number), count: length))
        (length, number) = (0, 0)
      default: number = number << 4 | hexadecimalDigit(unit)
      }
    }
    flags.append(contentsOf: repeatElement(UInt8(number), count: length))
    precondition(flags.count == 0x110000, "the property runs cover \(flags.count) scalars, not 1114112")
    for scalar in CanonicalComposition.shared.changing { flags[Int(scalar)] |= mayCompose.rawValue }
    return flags
  }()

  static func hexadecimalDigit(_ unit: UInt8) -> Int {
    unit < 58 ? Int(unit) - 48 : Int(unit) - 87
  }
}

/// Reads the scalar that starts at `bytes[index]`; the text is valid UTF-8.
@inline(__always)
func decodeScalar(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> (scalar: UInt32, length: Int) {
  let first = UInt32(bytes[index])
  if first < 0x80 { return (first, 1) }
  let second = UInt32(bytes[index + 1]) & 0x3f
  if first < 0xe0 { return ((first & 0x1f) << 6 | second, 2) }
  let third = UInt32(bytes[index + 2]) & 0x3f
  if first < 0xf0 { return ((first & 0x0f) << 12 | second << 6 | third, 3) }
  return ((first & 0x07) << 18 | second << 12 | third << 6 | UInt32(bytes[index + 3]) & 0x3f, 4)
}
