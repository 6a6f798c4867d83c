import Foundation
import Support

/// Writes scalars for TensorBoard: `events.out.tfevents.*`, TFRecords of `Event` messages.
///
/// A record is its length (8 bytes, little endian), the masked CRC-32C of these bytes, the message, its masked CRC-32C
/// (tensorflow/core/lib/io/record_writer.h). Fields are numbered as in tensorflow/core/util/event.proto and
/// tensorflow/core/framework/summary.proto.
public final class TensorBoardWriter {
  /// The file that is written.
  public var path: String { file.path }
  private let file: AppendedFile
  private let clock: () -> Double

  /// Starts a new file in `folder`.
  /// - Parameters:
  ///   - resumeAfter: the last step that counts. TensorBoard then ignores what older files say of later steps.
  ///   - clock: seconds since 1970.
  /// - Throws: `MartletError` (io).
  public init(
    folder: String, resumeAfter: Int? = nil, clock: @escaping () -> Double = { Date().timeIntervalSince1970 }
  ) throws {
    self.clock = clock
    // TensorBoard reads the files of a folder in the order of their names: the second, then a counter.
    let second = String(Int(clock()))
    let base = folder + "/events.out.tfevents." + String(repeating: "0", count: max(0, 10 - second.count)) + second
    let counter = (0..<10_000).first { !exists("\(base).\($0).martlet") } ?? 0
    file = try AppendedFile("\(base).\(counter).martlet", isNew: true)
    var version = event(step: 0)
    version.bytes(3, Array("brain.Event:2".utf8))
    try append(version)
    guard let resumeAfter else { return }
    var session = Message()
    session.integer(1, 1)  // SessionLog.START
    var start = event(step: resumeAfter + 1)
    start.bytes(7, session.bytes)
    try append(start)
  }

  /// Adds one event with all `scalars`.
  /// - Throws: `MartletError` (io).
  public func write(step: Int, _ scalars: [(key: String, value: Double)]) throws {
    guard !scalars.isEmpty else { return }
    var summary = Message()
    for scalar in scalars {
      var value = Message()
      value.bytes(1, Array(scalar.key.utf8))
      value.float(2, Float(scalar.value))
      summary.bytes(1, value.bytes)
    }
    var message = event(step: step)
    message.bytes(5, summary.bytes)
    try append(message)
  }

  /// Closes the file.
  public func close() { file.close() }

  private func event(step: Int) -> Message {
    var message = Message()
    message.double(1, clock())
    message.integer(2, step)
    return message
  }

  private func append(_ message: Message) throws {
    var record = Self.littleEndian(UInt64(message.bytes.count))
    record += Self.littleEndian(Self.maskedChecksum(record))
    record += message.bytes
    record += Self.littleEndian(Self.maskedChecksum(message.bytes))
    try file.append(record)
  }

  private static func littleEndian<Word: FixedWidthInteger>(_ word: Word) -> [UInt8] {
    withUnsafeBytes(of: word.littleEndian) { Array($0) }
  }

  private static func maskedChecksum(_ bytes: [UInt8]) -> UInt32 {
    let checksum = crc32c(bytes)
    return (checksum >> 15 | checksum << 17) &+ 0xA282_EAD8
  }

  /// A protocol buffer message under construction.
  private struct Message {
    private(set) var bytes: [UInt8] = []

    mutating func integer(_ field: Int, _ value: Int) {
      key(field, wire: 0)
      variable(UInt64(bitPattern: Int64(value)))
    }

    mutating func double(_ field: Int, _ value: Double) {
      key(field, wire: 1)
      bytes += littleEndian(value.bitPattern)
    }

    mutating func bytes(_ field: Int, _ value: [UInt8]) {
      key(field, wire: 2)
      variable(UInt64(value.count))
      bytes += value
    }

    mutating func float(_ field: Int, _ value: Float) {
      key(field, wire: 5)
      bytes += littleEndian(value.bitPattern)
    }

    private mutating func key(_ field: Int, wire: Int) { variable(UInt64(field << 3 | wire)) }

    private mutating func variable(_ value: UInt64) {
      var rest = value
      while rest > 0x7F {
        bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      bytes.append(UInt8(rest))
    }
  }
}
