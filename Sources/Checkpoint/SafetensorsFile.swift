import Foundation
import Support

/// The table of a safetensors file: 8 bytes of header length, a JSON object, then the tensors without gaps.
/// https://huggingface.co/docs/safetensors/index#format
struct SafetensorsFile {
  let file: InputFile
  let tensors: [String: StoredTensor]

  /// The limit of the format's own library.
  static let headerLimit = 100_000_000

  /// A tensor's entry in the header.
  private struct Entry: Decodable {
    let dtype: String
    let shape: [Int]
    let data_offsets: [Int]
  }

  private enum Item: Decodable {
    case tensor(Entry)
    case metadata

    init(from decoder: any Decoder) throws {
      if decoder.codingPath.last?.stringValue == "__metadata__" {
        self = .metadata
      } else {
        self = .tensor(try Entry(from: decoder))
      }
    }
  }

  /// Reads and checks the table; nothing is allocated that the file could not hold.
  /// - Throws: `MartletError` with status `io` without the file, `data` for a broken table.
  init(_ path: String) throws {
    let file = try InputFile(path)
    self.file = file
    guard file.byteCount >= 8 else {
      throw Self.fail(path, "\(file.byteCount) bytes are too few for a safetensors file")
    }
    let length = try file.bytes(0..<8).withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    guard length >= 2, length <= UInt64(Self.headerLimit), length <= UInt64(file.byteCount - 8) else {
      throw Self.fail(path, "the header's length is \(length) in a file of \(file.byteCount) bytes")
    }
    let start = 8 + Int(length)
    var tensors: [String: StoredTensor] = [:]
    var ranges: [(range: Range<Int>, name: String)] = []
    for (name, item) in try Self.header(try file.bytes(8..<start), path) {
      guard case .tensor(let entry) = item else { continue }
      guard entry.data_offsets.count == 2, entry.data_offsets[0] >= 0, entry.data_offsets[0] <= entry.data_offsets[1],
        entry.data_offsets[1] <= file.byteCount - start
      else {
        throw Self.fail(
          path, "\(name): data_offsets \(entry.data_offsets) do not lie in the \(file.byteCount - start) bytes of data")
      }
      let range = entry.data_offsets[0]..<entry.data_offsets[1]
      ranges.append((range, name))
      guard let format = NumberFormat(rawValue: entry.dtype), !format.isQuantised else {
        // Integer buffers of old exports are skipped with the other derived tensors; the reader of a model decides.
        if name.hasSuffix(Self.derivedSuffix) { continue }
        throw MartletError(
          .data, "\(path): \(name): dtype \(entry.dtype) is not supported; convert the model to F32, F16 or BF16")
      }
      try Self.check(entry, format, name, path)
      tensors[name] = StoredTensor(
        file: file, name: name, shape: entry.shape, format: format, offset: start + range.lowerBound)
    }
    try Self.checkGaps(ranges, byteCount: file.byteCount - start, path)
    self.tensors = tensors
  }

  private static func fail(_ path: String, _ message: String) -> MartletError {
    MartletError(.data, "\(path): \(message); copy the file again")
  }

  private static func header(_ json: Data, _ path: String) throws -> [String: Item] {
    do {
      return try JSONDecoder().decode([String: Item].self, from: json)
    } catch let error as DecodingError {
      var place = ""
      switch error {
      case .keyNotFound(let key, let context):
        place = " (\((context.codingPath + [key]).map(\.stringValue).joined(separator: ".")) is missing)"
      case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
        let key = context.codingPath.map(\.stringValue).joined(separator: ".")
        if !key.isEmpty { place = " (at \(key))" }
      @unknown default: break
      }
      throw fail(path, "the header is not the JSON of a safetensors file\(place)")
    }
  }

  /// Whether the shape takes the bytes that the offsets give.
  private static func check(_ entry: Entry, _ format: NumberFormat, _ name: String, _ path: String) throws {
    var bytes = format.byteCount(1)
    for size in entry.shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: size)
      guard size >= 0, !overflow else { throw fail(path, "\(name): shape \(entry.shape) is not possible") }
      bytes = product
    }
    let given = entry.data_offsets[1] - entry.data_offsets[0]
    guard bytes == given else {
      throw fail(
        path, "\(name): shape \(entry.shape) of \(entry.dtype) takes \(bytes) bytes, data_offsets give \(given)")
    }
  }

  /// Whether the tensors follow each other without gaps over all bytes of data.
  private static func checkGaps(_ ranges: [(range: Range<Int>, name: String)], byteCount: Int, _ path: String) throws {
    var next = 0
    for (range, name) in ranges.sorted(by: {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }) {
      guard range.lowerBound == next else {
        throw fail(path, "\(name): data_offsets begin at \(range.lowerBound) where the tensor before ends at \(next)")
      }
      next = range.upperBound
    }
    guard next == byteCount else { throw fail(path, "\(byteCount) bytes of data where the tensors take \(next)") }
  }

  /// Buffers that old exports of Llama saved though they follow from the configuration.
  static let derivedSuffix = ".rotary_emb.inv_freq"
}
