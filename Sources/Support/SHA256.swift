import CIntrinsics

/// SHA-256 (FIPS 180-4), fed piece by piece.
public struct SHA256: Sendable {
  private var state: SIMD8<UInt32> = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
  ]
  private var byteCount: UInt64 = 0
  /// The bytes of the block that is not yet full.
  private var tail: [UInt8] = []
  private let usesInstructions: Bool

  /// The hash of no bytes yet; uses the processor's own instructions where it has them.
  public init() { self.init(instructions: true) }

  /// `instructions: false` keeps to the portable form, for tests.
  package init(instructions: Bool) {
    usesInstructions = instructions && SHA256.hasInstructions
    tail.reserveCapacity(64)
  }

  /// Absorbs `bytes`.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    byteCount &+= UInt64(bytes.count)
    var rest = bytes[...]
    if !tail.isEmpty {
      let taken = min(64 - tail.count, rest.count)
      tail.append(contentsOf: rest.prefix(taken))
      rest = rest.dropFirst(taken)
      guard tail.count == 64 else { return }
      tail.withUnsafeBytes { absorb($0) }
      tail.removeAll(keepingCapacity: true)
    }
    let whole = rest.count & ~63
    if whole > 0 { absorb(UnsafeRawBufferPointer(rebasing: rest.prefix(whole))) }
    tail.append(contentsOf: rest.dropFirst(whole))
  }

  /// Absorbs the bytes of an array, a string's UTF-8 or data.
  public mutating func update(_ bytes: some Sequence<UInt8>) {
    let direct: Void? = bytes.withContiguousStorageIfAvailable { update(UnsafeRawBufferPointer($0)) }
    if direct == nil { Array(bytes).withUnsafeBytes { update($0) } }
  }

  /// The 32 bytes of the digest of all that was absorbed. More can be absorbed afterwards.
  public func digest() -> [UInt8] {
    var last = self
    let bits = byteCount &* 8
    var padding: [UInt8] = [0x80]
    padding += [UInt8](repeating: 0, count: (119 - Int(byteCount % 64)) % 64)
    for shift in stride(from: 56, through: 0, by: -8) {
      padding.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
    }
    padding.withUnsafeBytes { last.update($0) }
    return (0..<32).map { UInt8(truncatingIfNeeded: last.state[$0 / 4] >> UInt32(24 - $0 % 4 * 8)) }
  }

  /// The digest as 64 lower-case hexadecimal digits.
  public func hexDigest() -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private mutating func absorb(_ blocks: UnsafeRawBufferPointer) {
    let data = blocks.baseAddress!
    SHA256.constants.withUnsafeBufferPointer { constants in
      let constants = constants.baseAddress!
      if usesInstructions {
        withUnsafeMutableBytes(of: &state) { state in
          martlet_sha256_blocks(
            state.baseAddress!.assumingMemoryBound(to: UInt32.self), constants,
            data.assumingMemoryBound(to: UInt8.self), blocks.count / 64)
        }
      } else {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { words in
          for offset in stride(from: 0, to: blocks.count, by: 64) {
            state &+= SHA256.compress(state, data + offset, constants, words.baseAddress!)
          }
        }
      }
    }
  }

  /// The eight working variables after the 64 rounds of one block.
  private static func compress(
    _ state: SIMD8<UInt32>, _ block: UnsafeRawPointer, _ constants: UnsafePointer<UInt32>,
    _ w: UnsafeMutablePointer<UInt32>
  ) -> SIMD8<UInt32> {
    for t in 0..<16 { w[t] = UInt32(bigEndian: block.loadUnaligned(fromByteOffset: t &* 4, as: UInt32.self)) }
    for t in 16..<64 {
      let (w2, w15) = (w[t &- 2], w[t &- 15])
      let low = rotated(w15, 7) ^ rotated(w15, 18) ^ (w15 &>> 3)
      let high = rotated(w2, 17) ^ rotated(w2, 19) ^ (w2 &>> 10)
      w[t] = high &+ w[t &- 7] &+ low &+ w[t &- 16]
    }
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for t in 0..<64 {
      let choice = (e & f) ^ (~e & g)
      let first = h &+ (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) &+ choice &+ constants[t] &+ w[t]
      let majority = (a & b) ^ (a & c) ^ (b & c)
      let second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) &+ majority
      (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
    }
    return SIMD8(a, b, c, d, e, f, g, h)
  }

  @inline(__always)
  private static func rotated(_ x: UInt32, _ bits: UInt32) -> UInt32 { x &>> bits | x &<< (32 &- bits) }

  private static let hasInstructions = martlet_sha256_available() != 0

  /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
  private static let constants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
  ]
}

/// The SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
public func sha256Hex(of bytes: UnsafeRawBufferPointer) -> String {
  var hash = SHA256()
  hash.update(bytes)
  return hash.hexDigest()
}

/// The SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
public func sha256Hex(of bytes: some Sequence<UInt8>) -> String {
  var hash = SHA256()
  hash.update(bytes)
  return hash.hexDigest()
}

/// The SHA-256 of the UTF-8 form of `text` as 64 lower-case hexadecimal digits.
public func sha256Hex(of text: String) -> String { sha256Hex(of: text.utf8) }

/// The first eight bytes of the SHA-256 of `text`, big-endian: the same on every machine, for ever.
public func stableHash(_ text: String) -> UInt64 {
  var hash = SHA256()
  hash.update(text.utf8)
  return hash.digest().prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
}
