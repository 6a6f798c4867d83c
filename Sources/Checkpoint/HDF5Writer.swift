@preconcurrency import CHDF5
import Foundation
import Support

/// One dataset of an HDF5 file to be written.
struct HDF5Entry {
  enum Content {
    /// UTF-8, shown as a string.
    case text(Data)
    case bytes(Data)
    /// fp32 numbers in memory, row by row; they outlive the writing.
    case floats(UnsafePointer<Float>, shape: [Int], type: StoredType)
    /// The ``weightsHash(_:)`` of the numbers written before it, as they are stored.
    case weightsHash
    /// The ``PartsHasher``'s digest of the same.
    case partsHash
  }

  /// Its place, such as `/parameters/model.norm.weight`.
  let path: String
  let content: Content

  var byteCount: Int {
    switch content {
    case .text(let data), .bytes(let data): data.count
    case .floats(_, let shape, let type): shape.reduce(type.byteCount, *)
    case .weightsHash, .partsHash: 64
    }
  }
}

/// Writes an HDF5 file without ever holding it in memory.
///
/// The library lays the file out in an unnamed file in memory, where datasets are holes: only their places are taken
/// from it. The file on the disk is then the library's own bytes with ours in the holes, so no failure of the disk ever
/// happens inside of the library, and the same content always gives the same bytes.
struct HDF5Writer {
  let entries: [HDF5Entry]

  /// Bytes of the datasets: the file's size but for a little.
  var byteCount: Int { entries.reduce(0) { $0 + $1.byteCount } }

  /// The library does not ask again after a signal: the file in memory is made anew.
  private func layout() throws -> HDF5Layout {
    for _ in 0..<3 {
      do { return try HDF5.exclusively { try HDF5Layout(entries, $0) } } catch let failure as HDF5.Failure
        where failure.reason.contains("errno = \(EINTR),")
      { continue }
    }
    return try HDF5.exclusively { try HDF5Layout(entries, $0) }
  }

  /// Writes to `path`, atomically.
  /// - Parameter parameterName: the parameter that a path holds, for the hashes; nil where it is none.
  /// - Returns: the ``weightsHash(_:)`` of the parameters, as they are stored.
  @discardableResult
  func write(to path: String, parameterName: (String) -> String? = { _ in nil }) throws -> String {
    do {
      let layout = try layout()
      let file = try OutputFile(replacing: path, bytesNeeded: layout.byteCount)
      try layout.writeSkeleton(to: file)
      var hasher = WeightsHasher()
      var parts = PartsHasher()
      for (entry, offset) in zip(entries, layout.offsets) {
        switch entry.content {
        case .text(let data), .bytes(let data): try data.withUnsafeBytes { try file.write($0, at: offset) }
        case .floats(let values, let shape, let type):
          let name = parameterName(entry.path)
          if let name {
            hasher.begin(name, shape: shape)
            parts.begin(name, shape: shape, NumberFormat(type))
          }
          let floats = UnsafeBufferPointer(start: values, count: shape.reduce(1, *))
          try writeFloats(floats, type, to: file, at: offset) { numbers, bytes in
            guard name != nil else { return }
            hasher.update(numbers)
            parts.update(bytes)
          }
        case .weightsHash: try file.write(hasher.hexDigest(), at: offset)
        case .partsHash: try file.write(parts.hexDigest(), at: offset)
        }
      }
      try file.commit()
      return hasher.hexDigest()
    } catch let failure as HDF5.Failure {
      throw MartletError(
        .io, "\(path): cannot be laid out: HDF5 \(failure.call): \(failure.reason); make room in /dev/shm or TMPDIR")
    }
  }
}

extension OutputFile {
  fileprivate func write(_ text: String, at offset: Int) throws {
    try Array(text.utf8).withUnsafeBytes { try write($0, at: offset) }
  }
}

/// Writes fp32 numbers as `type`, slice by slice; `stored` sees each slice as a reader will, and its bytes in the file.
func writeFloats(
  _ values: UnsafeBufferPointer<Float>, _ type: StoredType, to file: OutputFile, at offset: Int,
  stored: (_ numbers: UnsafeBufferPointer<Float>, _ bytes: UnsafeRawBufferPointer) -> Void = { _, _ in }
) throws {
  let slice = StoredTensor.sliceCount
  guard type == .bfloat16 else {
    for start in stride(from: 0, to: values.count, by: slice) {
      let piece = UnsafeBufferPointer(rebasing: values[start..<min(start + slice, values.count)])
      try file.write(UnsafeRawBufferPointer(piece), at: offset + start * 4)
      stored(piece, UnsafeRawBufferPointer(piece))
    }
    return
  }
  let short = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: min(slice, values.count))
  let rounded = UnsafeMutableBufferPointer<Float>.allocate(capacity: min(slice, values.count))
  defer {
    short.deallocate()
    rounded.deallocate()
  }
  for start in stride(from: 0, to: values.count, by: slice) {
    let count = min(slice, values.count - start)
    for index in 0..<count { short[index] = bfloat16Bits(values[start + index]) }
    let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(short)[..<(count * 2)])
    try file.write(bytes, at: offset + start * 2)
    widen(short.baseAddress!, .bfloat16, into: rounded.baseAddress!, count: count)
    stored(UnsafeBufferPointer(rebasing: rounded[..<count]), bytes)
  }
}
