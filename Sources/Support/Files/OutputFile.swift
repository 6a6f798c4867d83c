import Foundation
import Synchronization

/// A file that is written under a temporary name and takes its real name once all of it is on the disk.
///
/// Until ``commit()`` the old file of that name stays as it was. Without it nothing is left behind.
package final class OutputFile {
  /// The name that the file will have.
  package let path: String
  private let temporary: String
  private var descriptor: Int32
  private let bytesNeeded: Int

  private static let serial = Atomic<Int>(0)

  /// - Parameter bytesNeeded: the size it will have. A disk that is too full is refused before anything is written.
  package init(replacing path: String, bytesNeeded: Int) throws {
    self.path = path
    self.bytesNeeded = bytesNeeded
    let parent = folder(of: path)
    let serial = Self.serial.wrappingAdd(1, ordering: .relaxed).newValue
    temporary = join(parent, ".\((path as NSString).lastPathComponent).tmp-\(getpid())-\(serial)")
    if let free = freeBytes(parent), free < bytesNeeded {
      throw systemError(path, "cannot be written", ENOSPC, bytesNeeded: bytesNeeded)
    }
    descriptor = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o666)
    if descriptor < 0 { throw systemError(path, "cannot be written", bytesNeeded: bytesNeeded) }
  }

  deinit { abandon() }

  /// Writes `bytes` at `offset`.
  /// - Throws: `MartletError` (io), with the bytes needed and free where the disk is full.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    let code = writeAll(descriptor, bytes, at: offset)
    if code != 0 { throw systemError(path, "cannot be written", code, bytesNeeded: bytesNeeded) }
  }

  /// Syncs the file, renames it, and syncs the folder.
  /// - Throws: `MartletError` (io).
  package func commit() throws {
    // A failed fsync is not tried again: the kernel may have dropped the pages.
    if fsync(descriptor) != 0 { throw systemError(path, "cannot be synced", bytesNeeded: bytesNeeded) }
    let closed = close(descriptor)
    let code = errno
    descriptor = -1
    if closed != 0, code != EINTR {
      unlink(temporary)
      throw systemError(path, "cannot be closed", code, bytesNeeded: bytesNeeded)
    }
    if rename(temporary, path) != 0 {
      let code = errno
      unlink(temporary)
      throw systemError(path, "cannot be given its name", code)
    }
    try syncFolder(folder(of: path))
  }

  func abandon() {
    guard descriptor >= 0 else { return }
    close(descriptor)
    descriptor = -1
    unlink(temporary)
  }
}

/// Writes all of `bytes` at `offset`, with as many calls as it takes.
/// - Returns: 0, or the error's number; `ENOSPC` where nothing more could be written.
package func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int32 {
  var done = 0
  while done < bytes.count {
    // Linux writes at most 2 GiB - 4 KiB at once; short writes are normal.
    let count = pwrite(descriptor, bytes.baseAddress! + done, min(bytes.count - done, 1 << 30), offset + done)
    if count > 0 {
      done += count
    } else if count == 0 || errno != EINTR {
      return count == 0 ? ENOSPC : errno
    }
  }
  return 0
}

/// Cuts a file to `length` bytes.
/// - Returns: whether it worked.
func truncate(_ descriptor: Int32, to length: Int) -> Bool {
  var result: Int32
  repeat { result = ftruncate(descriptor, off_t(length)) } while result != 0 && errno == EINTR
  return result == 0
}

/// Writes `data` under a temporary name in the same folder, fsyncs, renames, and fsyncs the folder.
///
/// - Throws: `MartletError` (io), with the bytes needed and free where the disk is full. The old file is then as it
///   was, and no temporary file is left.
public func writeFileAtomically(_ data: Data, to path: String) throws {
  let file = try OutputFile(replacing: path, bytesNeeded: data.count)
  try data.withUnsafeBytes { try file.write($0, at: 0) }
  try file.commit()
}

/// Makes a folder and the folders above it.
/// - Throws: `MartletError` (io).
package func makeFolder(_ path: String) throws {
  if isFolder(path) { return }
  let parent = folder(of: path)
  if parent != path { try makeFolder(parent) }
  if mkdir(path, 0o777) != 0, errno != EEXIST { throw systemError(path, "cannot be made") }
}
