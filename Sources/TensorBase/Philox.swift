/// Philox 4x32-10: a bijection of 128-bit counters for every 64-bit key (Salmon, Moraes, Dror and Shaw, "Parallel
/// random numbers: as easy as 1, 2, 3", SC 2011).
public struct Philox {
  /// The four random words of `counter` under `key`.
  public static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var (c0, c1, c2, c3) = (counter[0], counter[1], counter[2], counter[3])
    var (k0, k1) = (key[0], key[1])
    for _ in 0..<10 {
      let first = UInt64(c0) &* 0xd251_1f53
      let second = UInt64(c2) &* 0xcd9e_8d57
      c0 = UInt32(truncatingIfNeeded: second >> 32) ^ c1 ^ k0
      c1 = UInt32(truncatingIfNeeded: second)
      c2 = UInt32(truncatingIfNeeded: first >> 32) ^ c3 ^ k1
      c3 = UInt32(truncatingIfNeeded: first)
      k0 &+= 0x9e37_79b9
      k1 &+= 0xbb67_ae85
    }
    return SIMD4(c0, c1, c2, c3)
  }
}
