import Foundation

/// An append-only file of records, each `[length: 4 bytes][crc32c: 4 bytes][bytes]`, little-endian. The checksum covers
/// the length too, so that a run of zeros is no record, and goes on from the record before, so that no record can be
/// missing or be there twice.
public final class Journal {
  /// What was found when the file was opened.
  public private(set) var records: [Data] = []
  /// Bytes of a torn or damaged end that were cut off when the file was opened.
  public private(set) var cutBytes = 0

  private let path: String
  private var descriptor: Int32
  private var end = 0
  /// The checksum of the last record.
  private var last: UInt32 = 0
  /// After a failed sync nothing more can be promised of this file.
  private var isBroken = false

  private static let headerBytes = 8

  /// Opens or makes the file. A torn end is cut off; everything before it is in ``records``.
  /// - Throws: `MartletError` with status `io`.
  public init(path: String) throws {
    self.path = path
    let isNew = !exists(path)
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw systemError(path, "cannot be opened") }
    do {
      if isNew { try syncFolder(folder(of: path)) }
      let file = try InputFile(path)
      try scan(file)
      cutBytes = file.byteCount - end
      if cutBytes > 0, !truncate(descriptor, to: end) || fdatasync(descriptor) != 0 {
        throw systemError(path, "cannot be cut to its \(end) good bytes")
      }
    } catch {
      Glibc.close(descriptor)
      descriptor = -1
      throw error
    }
  }

  deinit { close() }

  private func scan(_ file: InputFile) throws {
    while file.byteCount - end >= Self.headerBytes {
      let header = try file.bytes(end..<end + Self.headerBytes)
      let (length, sum) = header.withUnsafeBytes {
        (
          UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)),
          UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        )
      }
      let start = end + Self.headerBytes
      guard Int(length) <= file.byteCount - start else { return }
      let record = try file.bytes(start..<start + Int(length))
      guard checksum(record) == sum else { return }
      last = sum
      records.append(record)
      end = start + Int(length)
    }
  }

  private func checksum(_ record: Data) -> UInt32 {
    crc32c(record, after: crc32c(withUnsafeBytes(of: UInt32(record.count).littleEndian) { Array($0) }, after: last))
  }

  /// Writes a record, whole or not at all. It lasts through a power cut once ``sync()`` has returned.
  /// - Throws: `MartletError` with status `io`.
  public func append(_ record: Data) throws {
    try refuseBroken()
    precondition(record.count <= Int(UInt32.max), "Journal: a record of \(record.count) bytes")
    var bytes = withUnsafeBytes(of: UInt32(record.count).littleEndian) { Data($0) }
    let sum = checksum(record)
    withUnsafeBytes(of: sum.littleEndian) { bytes.append(contentsOf: $0) }
    bytes.append(record)
    let code = bytes.withUnsafeBytes { writeAll(descriptor, $0, at: end) }
    if code != 0 {
      // What was written of it must not stand before the next record.
      if !truncate(descriptor, to: end) { isBroken = true }
      throw systemError(path, "cannot be appended to", code, bytesNeeded: bytes.count)
    }
    end += bytes.count
    last = sum
  }

  /// fdatasync.
  public func sync() throws {
    try refuseBroken()
    if fdatasync(descriptor) != 0 {
      let code = errno
      isBroken = true
      throw systemError(path, "cannot be synced", code)
    }
  }

  /// Starts anew with an empty file, atomically.
  public func reset() throws {
    try writeFileAtomically(Data(), to: path)
    let fresh = open(path, O_RDWR | O_CLOEXEC)
    guard fresh >= 0 else { throw systemError(path, "cannot be opened") }
    close()
    descriptor = fresh
    (end, last, isBroken, records, cutBytes) = (0, 0, false, [], 0)
  }

  public func close() {
    guard descriptor >= 0 else { return }
    Glibc.close(descriptor)
    descriptor = -1
  }

  private func refuseBroken() throws {
    if isBroken || descriptor < 0 {
      throw MartletError(.io, "\(path): an earlier write failed or it was closed; save a checkpoint and start it anew")
    }
  }
}

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`, continuing from `sum`.
package func crc32c(_ bytes: some Sequence<UInt8>, after sum: UInt32 = 0) -> UInt32 {
  var value = ~sum
  for byte in bytes { value = crcTable[Int((value ^ UInt32(byte)) & 0xff)] ^ (value >> 8) }
  return ~value
}

private let crcTable: [UInt32] = (0..<256).map { index in
  (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82f6_3b78 : value >> 1 }
}
