import Support
import Testing

@Suite struct SHA256Tests {
  /// FIPS 180-2, appendix B, and the empty message.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      String(repeating: "a", count: 1_000_000),
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    ),
  ])
  func standardVectors(message: String, digest: String) {
    #expect(sha256Hex(of: message) == digest)
    var portable = SHA256(instructions: false)
    portable.update(message.utf8)
    #expect(portable.hexDigest() == digest)
  }

  @Test func piecesOfAnyLengthGiveTheSameDigest() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 37 + $0 / 7) }
    for length in [0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 1000] {
      let whole = sha256Hex(of: bytes.prefix(length))
      for step in [1, 3, 63, 64, 65, 200] {
        for instructions in [true, false] {
          var pieces = SHA256(instructions: instructions)
          for start in stride(from: 0, to: length, by: step) { pieces.update(bytes[start..<min(start + step, length)]) }
          #expect(pieces.hexDigest() == whole, "\(length) bytes in pieces of \(step)")
        }
      }
    }
  }

  @Test func theStableHashIsTheDigestsBeginning() {
    #expect(stableHash("abc") == 0xba78_16bf_8f01_cfea)
  }
}
