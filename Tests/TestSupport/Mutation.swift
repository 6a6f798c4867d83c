import Foundation

/// Damages bytes as disks, copies and attackers do. The same seed gives the same damage.
public struct Mutator {
  private var state: UInt64

  public init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

  /// SplitMix64 (Steele, Lea & Flood 2014).
  private mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  private mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(bound, 1))) }

  /// `bytes` with one to three places damaged; never equal to `bytes`.
  public mutating func damage(_ bytes: Data) -> Data {
    var result = [UInt8](bytes)
    repeat {
      for _ in 0...below(3) { damage(&result) }
    } while result.elementsEqual(bytes)
    return Data(result)
  }

  private mutating func damage(_ bytes: inout [UInt8]) {
    guard !bytes.isEmpty else { return bytes.append(UInt8(truncatingIfNeeded: next())) }
    // Tables stand at the beginning: half of the damage goes there.
    let place = next() & 1 == 0 ? below(bytes.count) : below(min(bytes.count, 512))
    let end = min(bytes.count, place + 1 + below(64))
    switch below(9) {
    case 0, 1: bytes[place] ^= 1 << UInt8(below(8))
    case 2: bytes[place] = UInt8(truncatingIfNeeded: next())
    case 3: bytes.removeSubrange(place...)
    case 4: for index in place..<end { bytes[index] = 0 }
    case 5: bytes.insert(contentsOf: bytes[place..<end], at: below(bytes.count))
    case 6: bytes.removeSubrange(place..<end)
    case 7:
      // A length that no file has.
      let huge: [UInt64] = [.max, .max >> 1, 1 << 63, 1 << 40, 1 << 32, 0xffff_ffff]
      let value = huge[below(huge.count)]
      for (offset, index) in (place..<min(bytes.count, place + 8)).enumerated() {
        bytes[index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * offset))
      }
    default:
      let signs = Array("{}[]\",:\\-0123456789eE\u{FEFF}\u{0}".utf8)
      bytes[place] = signs[below(signs.count)]
    }
  }
}
