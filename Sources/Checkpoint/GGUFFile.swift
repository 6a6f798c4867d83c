import Foundation
import Support

/// The tables of a GGUF file, version 2 or 3, little-endian: key-value pairs, then where each tensor lies.
/// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
struct GGUFFile {
  enum Value {
    case integer(Int)
    case number(Double)
    case bool(Bool)
    case text(String)
    case texts([String])
    case integers([Int])
    /// Arrays of anything else: nothing here reads them.
    case skipped
  }

  /// The types of tensors that are read, by the format's numbers.
  static let formats: [UInt32: NumberFormat] = [
    0: .float32, 1: .float16, 2: .q4_0, 3: .q4_1, 6: .q5_0, 7: .q5_1, 8: .q8_0, 10: .q2_k, 11: .q3_k, 12: .q4_k,
    13: .q5_k, 14: .q6_k, 30: .bfloat16,
  ]

  /// The others, by the names that ggml gives them.
  static let unreadNames: [UInt32: String] = [
    9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S",
    22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
  ]

  let file: InputFile
  let values: [String: Value]
  let tensors: [String: StoredTensor]

  /// Reads and checks the tables; nothing is allocated that the file could not hold.
  /// - Throws: `MartletError` with status `io` without the file, `data` for a broken table or an unknown type of
  ///   tensor.
  init(_ path: String) throws {
    let file = try InputFile(path)
    self.file = file
    var cursor = GGUFCursor(file)
    guard try cursor.bytes(4) == Array("GGUF".utf8) else { throw cursor.fail("is not a GGUF file") }
    let version: UInt32 = try cursor.integer()
    guard version == 2 || version == 3 else {
      throw cursor.fail("has GGUF version \(version); 2 and 3 are read")
    }
    // A tensor takes at least 24 bytes of the table, a pair at least 12.
    let tensorCount = try cursor.count(elementBytes: 24)
    let valueCount = try cursor.count(elementBytes: 12)
    var values: [String: Value] = [:]
    for _ in 0..<valueCount {
      let key = try cursor.text()
      let type: UInt32 = try cursor.integer()
      guard values.updateValue(try cursor.value(type: type, key: key), forKey: key) == nil else {
        throw cursor.fail("\(key) is there twice")
      }
    }
    self.values = values
    var listed: [StoredTensor] = []
    for _ in 0..<tensorCount { listed.append(try cursor.tensor()) }

    var alignment = 32
    if case .integer(let given)? = values["general.alignment"] { alignment = given }
    guard alignment > 0, alignment <= 1 << 20, alignment % 8 == 0 else {
      throw cursor.fail("general.alignment is \(alignment)")
    }
    let start = (cursor.place + alignment - 1) / alignment * alignment
    var tensors: [String: StoredTensor] = [:]
    for tensor in listed {
      let bytes = try cursor.byteCount(tensor)
      let room = file.byteCount - start
      guard tensor.offset <= room, bytes <= room - tensor.offset else {
        throw cursor.fail(
          "\(tensor.name): its \(bytes) bytes at \(tensor.offset) do not lie in the \(room) bytes of data")
      }
      let placed = StoredTensor(
        file: file, name: tensor.name, shape: tensor.shape, format: tensor.format, offset: start + tensor.offset)
      guard tensors.updateValue(placed, forKey: tensor.name) == nil else {
        throw cursor.fail("\(tensor.name) is there twice")
      }
    }
    self.tensors = tensors
  }
}

/// Reads a GGUF file's tables from front to back, each length checked against what is left of the file.
private struct GGUFCursor {
  private let file: InputFile
  private(set) var place = 0
  /// Bytes that were read ahead.
  private var window: [UInt8] = []
  private var windowStart = 0

  init(_ file: InputFile) { self.file = file }

  func fail(_ message: String) -> MartletError {
    MartletError(.data, "\(file.path): \(message); copy the file again")
  }

  private var rest: Int { file.byteCount - place }

  mutating func bytes(_ count: Int) throws -> [UInt8] {
    guard count <= rest else { throw fail("ends at byte \(file.byteCount), inside of its tables") }
    if place + count > windowStart + window.count || place < windowStart {
      let size = min(max(count, 1 << 20), rest)
      window = [UInt8](unsafeUninitializedCapacity: size) { _, filled in filled = size }
      try window.withUnsafeMutableBytes { try file.read(into: $0, at: place) }
      windowStart = place
    }
    defer { place += count }
    return Array(window[place - windowStart..<place - windowStart + count])
  }

  mutating func integer<Integer: FixedWidthInteger>(_: Integer.Type = Integer.self) throws -> Integer {
    let bytes = try bytes(MemoryLayout<Integer>.size)
    return bytes.withUnsafeBytes { Integer(littleEndian: $0.loadUnaligned(as: Integer.self)) }
  }

  /// A count of things that each take at least `elementBytes` of the rest of the file.
  mutating func count(elementBytes: Int) throws -> Int {
    let count: UInt64 = try integer()
    guard count <= UInt64(rest / elementBytes) else {
      throw fail("says \(count) where \(rest) bytes are left (byte \(place - 8))")
    }
    return Int(count)
  }

  mutating func text() throws -> String {
    let count = try count(elementBytes: 1)
    guard let text = String(validating: try bytes(count), as: UTF8.self) else {
      throw fail("a text is not UTF-8 (byte \(place - count))")
    }
    return text
  }

  /// Bytes of a number of a metadata type; nil: no number.
  private func width(_ type: UInt32) -> Int? {
    switch type {
    case 0, 1, 7: 1
    case 2, 3: 2
    case 4, 5, 6: 4
    case 10, 11, 12: 8
    default: nil
    }
  }

  mutating func value(type: UInt32, key: String) throws -> GGUFFile.Value {
    switch type {
    case 0: .integer(Int(try integer(UInt8.self)))
    case 1: .integer(Int(try integer(Int8.self)))
    case 2: .integer(Int(try integer(UInt16.self)))
    case 3: .integer(Int(try integer(Int16.self)))
    case 4: .integer(Int(try integer(UInt32.self)))
    case 5: .integer(Int(try integer(Int32.self)))
    case 6: .number(Double(Float(bitPattern: try integer())))
    case 7: .bool(try integer(UInt8.self) != 0)
    case 8: .text(try text())
    case 9: try list(key: key)
    case 10: .integer(Int(clamping: try integer(UInt64.self)))
    case 11: .integer(Int(try integer(Int64.self)))
    case 12: .number(Double(bitPattern: try integer()))
    default: throw fail("\(key) has the unknown type \(type)")
    }
  }

  private mutating func list(key: String) throws -> GGUFFile.Value {
    let type: UInt32 = try integer()
    if type == 8 {
      let count = try count(elementBytes: 8)
      return .texts(try (0..<count).map { _ in try text() })
    }
    guard let width = width(type) else { throw fail("\(key) is a list of the type \(type), which is not read") }
    let count = try count(elementBytes: width)
    guard type == 4 || type == 5 else {
      place += count * width
      return .skipped
    }
    return .integers(
      try (0..<count).map { _ in type == 4 ? Int(try integer(UInt32.self)) : Int(try integer(Int32.self)) })
  }

  /// A tensor of the table; its offset counts from where the data begin.
  mutating func tensor() throws -> StoredTensor {
    let name = try text()
    let rank: UInt32 = try integer()
    guard rank >= 1, rank <= 4 else { throw fail("\(name): has \(rank) dimensions") }
    let shape = try (0..<rank).map { _ in Int(clamping: try integer(UInt64.self)) }
    let number: UInt32 = try integer()
    guard let format = GGUFFile.formats[number] else {
      let type = GGUFFile.unreadNames[number] ?? "number \(number)"
      let read = NumberFormat.allCases.map(\.rawValue).joined(separator: ", ")
      throw MartletError(
        .data, "\(file.path): \(name): has the tensor type \(type), which is not read; take a file of \(read)")
    }
    let offset: UInt64 = try integer()
    // The file has the innermost size first.
    return StoredTensor(
      file: file, name: name, shape: shape.reversed(), format: format, offset: Int(clamping: offset))
  }

  func byteCount(_ tensor: StoredTensor) throws -> Int {
    let block = tensor.format.block
    guard let inner = tensor.shape.last, inner % block.numbers == 0 else {
      throw fail(
        "\(tensor.name): rows of \(tensor.shape.last ?? 0) numbers cannot be cut into \(tensor.format.rawValue) blocks "
          + "of \(block.numbers)")
    }
    var bytes = inner / block.numbers
    for size in tensor.shape.dropLast() + [block.bytes] {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: size)
      guard !overflow else { throw fail("\(tensor.name): the shape \(tensor.shape) is not possible") }
      bytes = product
    }
    return bytes
  }
}
