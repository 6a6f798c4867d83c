import Foundation

/// Files with one JSON object on each line.
public enum JSONLines {
  /// The longest line in bytes. A longer one is an error, so that a broken file cannot fill the memory.
  public static let lineLimit = 256 << 20

  /// All lines of a file; empty lines are skipped.
  /// - Parameter allowEmpty: whether a file without any line is fine.
  /// - Throws: `MartletError`: io when the file cannot be read; data with file, line and key for what is not a `T`.
  public static func read<T: Decodable>(_ path: String, as type: T.Type, allowEmpty: Bool = false) throws -> [T] {
    var values: [T] = []
    try forEach(path, as: type, allowEmpty: allowEmpty) { value, _ in values.append(value) }
    return values
  }

  /// Calls `body` with each line's value and number (from 1), reading the file piece by piece. The numbers of `T`'s
  /// `VerbatimNumbers` are read as text.
  /// - Throws: as `read`, and what `body` throws.
  public static func forEach<T: Decodable>(
    _ path: String, as type: T.Type, allowEmpty: Bool = false, _ body: (_ value: T, _ line: Int) throws -> Void
  ) throws {
    try forEachWithText(path, as: type, allowEmpty: allowEmpty) { value, _, line in try body(value, line) }
  }

  /// The same with each line's text, for what a `Decodable` type forgets: the order of keys, the digits of numbers.
  package static func forEachWithText<T: Decodable>(
    _ path: String, as type: T.Type, allowEmpty: Bool = false,
    _ body: (_ value: T, _ text: [UInt8], _ line: Int) throws -> Void
  ) throws {
    let decoder = JSONDecoder()
    var found = false
    try lines(path) { bytes, line in
      guard !bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) else { return }
      found = true
      let value: T
      let keys = (type as? any VerbatimNumbers.Type)?.verbatimKeys
      let text = keys.map { NumberQuoter.quoted(bytes, keys: $0) } ?? bytes
      do { value = try decoder.decode(CheckedLine<T>.self, from: Data(text)).value } catch {
        throw MartletError(.data, "\(path):\(line): \(describe(error))")
      }
      try body(value, bytes, line)
    }
    guard found || allowEmpty else {
      throw MartletError(.data, "\(path): the file is empty; it must hold one JSON object a line")
    }
  }

  /// Writes one line for each value, replacing what was there.
  /// - Throws: `MartletError`: io when the file cannot be written; data for a number that is not finite.
  public static func write<T: Encodable>(_ values: some Sequence<T>, to path: String) throws {
    let file = try JSONLinesFile(path)
    for value in values { try file.append(value) }
    try file.close()
  }

  /// One line of JSON, its line end included: keys in their order, floats in the shortest round-trip form.
  /// - Throws: `MartletError` (data) for a number that is not finite.
  public static func line(_ value: some Encodable) throws -> [UInt8] {
    do { return try JSONWriter.line(value) } catch let error as EncodingError {
      throw MartletError(.data, describe(error))
    }
  }

  private static func lines(_ path: String, _ body: ([UInt8], Int) throws -> Void) throws {
    var status = stat()
    guard let file = fopen(path, "r"), stat(path, &status) == 0 else {
      throw MartletError(.io, "\(path): cannot be read: \(String(cString: strerror(errno)))")
    }
    defer { fclose(file) }
    guard status.st_mode & S_IFMT != S_IFDIR else {
      throw MartletError(.io, "\(path): is a folder; name a file of one JSON object a line")
    }
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    var held: [UInt8] = []
    var number = 0
    while true {
      let count = fread(&piece, 1, piece.count, file)
      if count == 0 { break }
      var start = 0
      while let end = piece[start..<count].firstIndex(of: 0x0A) {
        number += 1
        if held.isEmpty {
          try body(Array(piece[start..<end]), number)
        } else {
          held += piece[start..<end]
          try body(held, number)
          held.removeAll(keepingCapacity: true)
        }
        start = end + 1
      }
      held += piece[start..<count]
      guard held.count <= lineLimit else {
        throw MartletError(
          .data, "\(path):\(number + 1): the line is longer than \(lineLimit >> 20) MiB; one JSON object a line")
      }
    }
    guard ferror(file) == 0 else { throw MartletError(.io, "\(path): reading stopped after line \(number)") }
    if !held.isEmpty { try body(held, number + 1) }
  }

  /// The error of a decoder or encoder as "key: what was wrong".
  static func describe(_ error: any Error) -> String {
    func key(_ context: [any CodingKey]) -> String {
      let names = context.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
      return names.isEmpty ? "" : "\(names.joined(separator: ".").replacingOccurrences(of: ".[", with: "[")): "
    }
    switch error {
    case DecodingError.keyNotFound(let missing, let context):
      return "\(key(context.codingPath + [missing]))is missing"
    case DecodingError.typeMismatch(_, let context) where context.codingPath.isEmpty:
      return "not a JSON object on one line"
    case DecodingError.typeMismatch(let type, let context):
      return "\(key(context.codingPath))is not of type \(type)"
    case DecodingError.valueNotFound(_, let context): return "\(key(context.codingPath))is null, but needed"
    case DecodingError.dataCorrupted(let context):
      let reason = context.codingPath.isEmpty ? "not a JSON object on one line" : context.debugDescription
      return "\(key(context.codingPath))\(reason)"
    case EncodingError.invalidValue(_, let context): return "\(key(context.codingPath))\(context.debugDescription)"
    case let error as MartletError: return error.message
    default: return "\(error)"
    }
  }
}

/// A file to which lines are added as they come.
public final class JSONLinesFile {
  private let path: String
  private var file: UnsafeMutablePointer<FILE>?

  /// - Parameter appending: keeps what is there.
  /// - Throws: `MartletError` (io) when the file cannot be opened.
  public init(_ path: String, appending: Bool = false) throws {
    self.path = path
    file = fopen(path, appending ? "a" : "w")
    guard file != nil else { throw failure() }
  }

  deinit { if let file { fclose(file) } }

  /// - Throws: `MartletError`: io when it cannot be written; data for a number that is not finite.
  public func append(_ value: some Encodable) throws {
    let bytes: [UInt8]
    do { bytes = try JSONLines.line(value) } catch let error as MartletError {
      throw MartletError(error.status, "\(path): \(error.message)")
    }
    guard let file, fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw failure() }
  }

  /// Hands what was added to the system.
  public func flush() throws {
    if let file, fflush(file) != 0 { throw failure() }
  }

  /// Closes the file. Call it at the end: a full disk may show only here.
  /// - Throws: `MartletError` (io).
  public func close() throws {
    guard let open = file else { return }
    file = nil
    if fclose(open) != 0 { throw failure() }
  }

  private func failure() -> MartletError {
    MartletError(.io, "\(path): cannot be written: \(String(cString: strerror(errno)))")
  }
}
