/// The printable characters that stand for bytes in a byte-level vocabulary.
enum ByteAlphabet {
  /// Byte -> scalar: printable Latin-1 bytes stand for themselves, the others for U+0100 on, in order.
  static let scalars: [UInt32] = {
    var next: UInt32 = 0x100
    return (0..<256).map { (byte: UInt32) in
      if (0x21...0x7e).contains(byte) || (0xa1...0xac).contains(byte) || (0xae...0xff).contains(byte) { return byte }
      next += 1
      return next - 1
    }
  }()

  private static let bytes: [Int16] = {
    var table = [Int16](repeating: -1, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { table[Int(scalar)] = Int16(byte) }
    return table
  }()

  /// Writes the bytes that `spelling` (valid UTF-8) stands for; false if a character stands for none.
  static func decode(_ spelling: UnsafeBufferPointer<UInt8>, into result: inout [UInt8]) -> Bool {
    result.removeAll(keepingCapacity: true)
    var index = 0
    while index < spelling.count {
      let (scalar, length) = decodeScalar(spelling, index)
      guard scalar < bytes.count, bytes[Int(scalar)] >= 0 else { return false }
      result.append(UInt8(bytes[Int(scalar)]))
      index += length
    }
    return true
  }
}

/// Spellings -> ids.
struct TokenizerVocabulary: Sendable {
  /// Keyed by the bytes the spelling stands for.
  private var byteLevel: ByteStringTable
  /// Spellings with characters that stand for no byte; merging cannot make them.
  private var others: ByteStringTable
  private(set) var count = 0

  init(capacity: Int) {
    byteLevel = ByteStringTable(capacity: capacity)
    others = ByteStringTable(capacity: 16)
  }

  /// False if the spelling is known already.
  mutating func insert(_ spelling: [UInt8], decoded: [UInt8]?, id: Int32) -> Bool {
    count += 1
    if let decoded { return decoded.withUnsafeBufferPointer { byteLevel.insert($0, id) } == nil }
    return spelling.withUnsafeBufferPointer { others.insert($0, id) } == nil
  }

  func find(bytes: UnsafeBufferPointer<UInt8>) -> Int32? { byteLevel.find(bytes) }

  func find(spelling: UnsafeBufferPointer<UInt8>) -> Int32? {
    var decoded: [UInt8] = []
    guard ByteAlphabet.decode(spelling, into: &decoded) else { return others.find(spelling) }
    return decoded.withUnsafeBufferPointer { byteLevel.find($0) }
  }
}

/// Id -> the bytes it decodes to.
struct TokenBytes: Sendable {
  private var arena: [UInt8] = []
  private var ranges: [Range<Int32>?] = []

  /// The largest id + 1.
  var count: Int { ranges.count }

  func contains(_ id: Int32) -> Bool { id >= 0 && Int(id) < ranges.count && ranges[Int(id)] != nil }

  mutating func insert(_ bytes: [UInt8], _ id: Int32) {
    if Int(id) >= ranges.count {
      ranges.append(contentsOf: repeatElement(nil, count: Int(id) + 1 - ranges.count))
    }
    ranges[Int(id)] = Int32(arena.count)..<Int32(arena.count + bytes.count)
    arena.append(contentsOf: bytes)
  }

  subscript(id: Int32) -> ArraySlice<UInt8> {
    guard id >= 0, Int(id) < ranges.count, let range = ranges[Int(id)] else { return [] }
    return arena[Int(range.lowerBound)..<Int(range.upperBound)]
  }
}
