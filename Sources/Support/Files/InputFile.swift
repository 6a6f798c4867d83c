import Foundation

/// A file open for reading. It is never mapped into memory: a file that shrinks meanwhile is then an error, not a
/// signal.
package final class InputFile {
  /// Where the file lies.
  package let path: String
  /// Its size when it was opened.
  package let byteCount: Int
  private let descriptor: Int32

  /// - Throws: `MartletError` (io) when the file cannot be opened.
  package init(_ path: String) throws {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw systemError(path, "cannot be opened") }
    var status = stat()
    if fstat(descriptor, &status) != 0 {
      let code = errno
      close(descriptor)
      throw systemError(path, "cannot be read", code)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw MartletError(.data, "\(path): is not a regular file; give the path of a file")
    }
    byteCount = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// Fills `target` with the bytes from `offset` on.
  /// - Throws: `MartletError` (io) where the file ends before.
  package func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(MartletError) {
    var done = 0
    while done < target.count {
      let count = pread(descriptor, target.baseAddress! + done, min(target.count - done, 1 << 30), offset + done)
      if count > 0 {
        done += count
      } else if count == 0 {
        throw MartletError(
          .data, "\(path): ends at byte \(offset + done), before byte \(offset + target.count); copy the file again")
      } else if errno != EINTR {
        throw systemError(path, "cannot be read")
      }
    }
  }

  /// The bytes of `range`, which lies inside the file.
  /// - Throws: `MartletError` (io).
  package func bytes(_ range: Range<Int>) throws -> Data {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "InputFile: \(range) of \(byteCount) bytes")
    guard !range.isEmpty else { return Data() }
    var data = Data(count: range.count)
    try data.withUnsafeMutableBytes { try read(into: $0, at: range.lowerBound) }
    return data
  }

  /// The SHA-256 of the whole file in hexadecimal.
  package func sha256() throws -> String {
    var hash = SHA256()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { buffer.deallocate() }
    var offset = 0
    while offset < byteCount {
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, byteCount - offset)])
      try read(into: piece, at: offset)
      hash.update(UnsafeRawBufferPointer(piece))
      offset += piece.count
    }
    return hash.hexDigest()
  }
}

/// The bytes of a file of at most `limit` bytes.
package func readFile(_ path: String, limit: Int) throws -> Data {
  let file = try InputFile(path)
  guard file.byteCount <= limit else {
    throw MartletError(
      .data, "\(path): \(file.byteCount) bytes are more than the \(limit) allowed; give the right file")
  }
  return try file.bytes(0..<file.byteCount)
}

/// The bytes of a file, or nil when there is none.
package func readFileIfThere(_ path: String, limit: Int) throws -> Data? {
  exists(path) ? try readFile(path, limit: limit) : nil
}
