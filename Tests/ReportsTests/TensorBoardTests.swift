import Foundation
import Support
import TestSupport
import Testing
@testable import Reports

/// What a reader of TensorBoard files sees, decoded from the description of the format, not by the writer's code.
private struct BoardEvent: Equatable {
  var wallTime = 0.0
  var step = 0
  var version: String?
  var sessionStatus: Int?
  var scalars: [String: Float] = [:]
}

private struct Field {
  var number: Int
  var integer: UInt64
  var bytes: [UInt8]
}

private func fields(_ bytes: [UInt8]) throws -> [Field] {
  var place = 0
  func variable() throws -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      try #require(place < bytes.count)
      let byte = bytes[place]
      place += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
  }
  func fixed(_ count: Int) throws -> UInt64 {
    try #require(place + count <= bytes.count)
    defer { place += count }
    return (0..<count).reduce(0) { $0 | UInt64(bytes[place + $1]) << UInt64(8 * $1) }
  }
  var found: [Field] = []
  while place < bytes.count {
    let key = try variable()
    var field = Field(number: Int(key >> 3), integer: 0, bytes: [])
    switch key & 7 {
    case 0: field.integer = try variable()
    case 1: field.integer = try fixed(8)
    case 5: field.integer = try fixed(4)
    default:
      try #require(key & 7 == 2)
      let count = Int(try variable())
      try #require(place + count <= bytes.count)
      field.bytes = Array(bytes[place..<place + count])
      place += count
    }
    found.append(field)
  }
  return found
}

/// Bit by bit, unlike the writer's table.
private func maskedChecksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
  var word: UInt32 = 0xFFFF_FFFF
  for byte in bytes {
    for bit in 0..<8 {
      let carry = (word ^ UInt32(byte) >> UInt32(bit)) & 1
      word = word >> 1 ^ (carry == 1 ? 0x82F6_3B78 : 0)
    }
  }
  word = ~word
  return (word >> 15 | word << 17) &+ 0xA282_EAD8
}

private func readEvents(_ path: String) throws -> [BoardEvent] {
  let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
  func word(_ place: Int, _ count: Int) -> UInt64 {
    (0..<count).reduce(0) { $0 | UInt64(bytes[place + $1]) << UInt64(8 * $1) }
  }
  var events: [BoardEvent] = []
  var place = 0
  while place < bytes.count {
    try #require(place + 16 <= bytes.count)
    let count = Int(word(place, 8))
    #expect(UInt32(word(place + 8, 4)) == maskedChecksum(bytes[place..<place + 8]))
    try #require(place + 16 + count <= bytes.count)
    let message = bytes[place + 12..<place + 12 + count]
    #expect(UInt32(word(place + 12 + count, 4)) == maskedChecksum(message))
    var event = BoardEvent()
    for field in try fields(Array(message)) {
      switch field.number {
      case 1: event.wallTime = Double(bitPattern: field.integer)
      case 2: event.step = Int(field.integer)
      case 3: event.version = String(decoding: field.bytes, as: UTF8.self)
      case 5:
        for value in try fields(field.bytes) where value.number == 1 {
          let parts = try fields(value.bytes)
          let tag = try #require(parts.first { $0.number == 1 })
          let number = try #require(parts.first { $0.number == 2 })
          event.scalars[String(decoding: tag.bytes, as: UTF8.self)] = Float(bitPattern: UInt32(number.integer))
        }
      case 7: event.sessionStatus = try fields(field.bytes).first { $0.number == 1 }.map { Int($0.integer) }
      default: Issue.record("unknown field \(field.number)")
      }
    }
    events.append(event)
    place += 16 + count
  }
  return events
}

@Suite struct TensorBoardTests {
  @Test func anIndependentReaderSeesWhatWasWritten() throws {
    let folder = try ScratchFolder()
    let writer = try TensorBoardWriter(folder: folder.path, clock: { 1_700_000_000.25 })
    try writer.write(step: 300, [("loss", 0.75), ("grad_norm", -1e-8)])
    try writer.write(step: 301, [("loss", 0.5)])
    try writer.write(step: 302, [])
    writer.close()
    #expect(writer.path.contains("/events.out.tfevents.1700000000."))
    #expect(
      try readEvents(writer.path) == [
        BoardEvent(wallTime: 1_700_000_000.25, version: "brain.Event:2"),
        BoardEvent(wallTime: 1_700_000_000.25, step: 300, scalars: ["loss": 0.75, "grad_norm": -1e-8]),
        BoardEvent(wallTime: 1_700_000_000.25, step: 301, scalars: ["loss": 0.5]),
      ])
  }

  @Test func aResumedRunHasAFileOfItsOwnThatForgetsLaterSteps() throws {
    let folder = try ScratchFolder()
    let first = try TensorBoardWriter(folder: folder.path, clock: { 5 })
    let second = try TensorBoardWriter(folder: folder.path, resumeAfter: 7, clock: { 5 })
    #expect(first.path < second.path)
    let events = try readEvents(second.path)
    #expect(events.map(\.step) == [0, 8])
    #expect(events.map(\.sessionStatus) == [nil, 1])
  }

  @Test func metricsReachTheBoard() throws {
    let folder = try ScratchFolder()
    let writer = try MetricsWriter(run: folder.path)
    var metrics = Metrics(step: 9)
    metrics["reward"] = .double(0.5)
    metrics["tokens"] = .int(12)
    metrics["kl"] = .double(.nan)
    metrics["state_hash"] = .string("abc")
    try writer.write(metrics)
    writer.close()
    let name = try #require(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).first { $0.hasPrefix("events") })
    let last = try #require(try readEvents(folder.path + "/" + name).last)
    #expect(last.step == 9)
    #expect(last.scalars == ["reward": 0.5, "tokens": 12])
  }
}
