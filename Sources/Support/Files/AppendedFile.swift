import Foundation

/// A file that grows at its end: each piece is written whole or not at all. ``Journal``, `metrics.jsonl` and
/// TensorBoard's files are written through it.
package final class AppendedFile {
  /// Where the file lies.
  package let path: String
  /// Its length; the next piece begins here.
  package private(set) var byteCount: Int
  private var descriptor: Int32
  /// After a failed sync, or a piece that could not be taken back, nothing more can be promised of this file.
  private var isBroken = false

  /// Opens the file, or makes it.
  /// - Parameter isNew: whether it must not be there yet.
  /// - Throws: `MartletError` (io).
  package init(_ path: String, isNew: Bool = false) throws {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (isNew ? O_EXCL : 0), 0o666)
    guard descriptor >= 0 else { throw systemError(path, "cannot be opened") }
    byteCount = lseek(descriptor, 0, SEEK_END)
  }

  deinit { close() }

  /// Writes `bytes` at the end. They last through a power cut once ``sync()`` has returned.
  /// - Throws: `MartletError` (io); the file is then as before.
  package func append(_ bytes: some ContiguousBytes) throws {
    try refuseBroken()
    let (code, count) = bytes.withUnsafeBytes { (writeAll(descriptor, $0, at: byteCount), $0.count) }
    guard code == 0 else {
      // What was written of it must not stand before the next piece.
      if !truncate(descriptor, to: byteCount) { isBroken = true }
      throw systemError(path, "cannot be appended to", code, bytesNeeded: count)
    }
    byteCount += count
  }

  /// Cuts the file to its first `length` bytes, and syncs it.
  /// - Throws: `MartletError` (io).
  package func cut(to length: Int) throws {
    guard truncate(descriptor, to: length), fdatasync(descriptor) == 0 else {
      throw systemError(path, "cannot be cut to its \(length) good bytes")
    }
    byteCount = length
  }

  /// fdatasync.
  /// - Throws: `MartletError` (io); nothing can be appended afterwards.
  package func sync() throws {
    try refuseBroken()
    if fdatasync(descriptor) != 0 {
      let code = errno
      isBroken = true
      throw systemError(path, "cannot be synced", code)
    }
  }

  /// Closes the file; nothing can be appended afterwards. A second call does nothing.
  package func close() {
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
