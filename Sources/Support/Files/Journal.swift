import Foundation

/// An append-only file of records, each `[length: 4 bytes][crc32c: 4 bytes][bytes]`, little-endian. The checksum covers
/// the length, so that zeros are no record. It continues the checksum of the record before, so that a missing or
/// repeated record shows.
public final class Journal {
  /// The records that were there when the file was opened.
  public private(set) var records: [Data] = []
  /// Bytes of a torn or damaged end that were cut off when the file was opened.
  public private(set) var cutBytes = 0

  private let file: AppendedFile
  /// The checksum of the last record.
  private var last: UInt32 = 0

  private static let headerBytes = 8

  /// Opens or makes the file. A torn end is cut off; everything before it is in ``records``.
  /// - Throws: `MartletError` with status `io`.
  public init(path: String) throws {
    let isNew = !exists(path)
    file = try AppendedFile(path)
    if isNew { try syncFolder(folder(of: path)) }
    let end = try scan(InputFile(path))
    cutBytes = file.byteCount - end
    if cutBytes > 0 { try file.cut(to: end) }
  }

  /// Reads the records that are whole.
  /// - Returns: where the last of them ends.
  private func scan(_ file: InputFile) throws -> Int {
    var end = 0
    while file.byteCount - end >= Self.headerBytes {
      let header = try file.bytes(end..<end + Self.headerBytes)
      let (length, sum) = header.withUnsafeBytes {
        (
          UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)),
          UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        )
      }
      let start = end + Self.headerBytes
      guard Int(length) <= file.byteCount - start else { break }
      let record = try file.bytes(start..<start + Int(length))
      guard checksum(record) == sum else { break }
      last = sum
      records.append(record)
      end = start + Int(length)
    }
    return end
  }

  private func checksum(_ record: Data) -> UInt32 {
    crc32c(record, after: crc32c(withUnsafeBytes(of: UInt32(record.count).littleEndian) { Array($0) }, after: last))
  }

  /// Writes a record, whole or not at all. It lasts through a power cut once ``sync()`` has returned.
  /// - Throws: `MartletError` with status `io`.
  public func append(_ record: Data) throws {
    precondition(record.count <= Int(UInt32.max), "Journal: a record of \(record.count) bytes")
    var bytes = withUnsafeBytes(of: UInt32(record.count).littleEndian) { Data($0) }
    let sum = checksum(record)
    withUnsafeBytes(of: sum.littleEndian) { bytes.append(contentsOf: $0) }
    bytes.append(record)
    try file.append(bytes)
    last = sum
  }

  /// Returns when all records are on the disk (fdatasync).
  /// - Throws: `MartletError` with status `io`; nothing can be appended afterwards.
  public func sync() throws { try file.sync() }

  /// Closes the file; nothing can be appended afterwards.
  public func close() { file.close() }
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
