import Support

/// SHA-256 over names, formats and shapes of all tensors as they are stored, and over the digests of their parts, so
/// that threads can check a file together. Parts: ``StoredTensor/partCount``.
struct PartsHasher {
  private var whole = SHA256()
  private var part = SHA256()
  /// Bytes that the part still takes; 0: none was begun.
  private var room = 0
  private var partBytes = 0

  /// What follows belongs to this tensor.
  mutating func begin(_ name: String, shape: [Int], _ format: NumberFormat) {
    finishPart()
    whole.update("\(name)\0\(format.rawValue)\0\(shape)\0".utf8)
    partBytes = format.byteCount(StoredTensor.partCount(shape))
  }

  /// The next bytes of the tensor, as they are stored.
  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes[...]
    while !rest.isEmpty {
      if room == 0 { (part, room) = (SHA256(), partBytes) }
      let piece = rest.prefix(room)
      part.update(UnsafeRawBufferPointer(rebasing: piece))
      rest = rest.dropFirst(piece.count)
      room -= piece.count
      if room == 0 { whole.update(part.digest()) }
    }
  }

  /// The digest of the tensor's next part, in place of its bytes.
  mutating func add(_ digest: [UInt8]) { whole.update(digest) }

  /// The last part of a tensor may be smaller.
  private mutating func finishPart() {
    if room > 0 { whole.update(part.digest()) }
    room = 0
  }

  /// The digest of all that was given.
  mutating func hexDigest() -> String {
    finishPart()
    return whole.hexDigest()
  }
}
