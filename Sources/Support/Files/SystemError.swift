import Foundation

/// The message of an `errno` value.
package func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)) }

/// `errno` as an error about `path`, with a remedy for the usual ones.
package func systemError(_ path: String, _ what: String, _ code: Int32 = errno, bytesNeeded: Int? = nil) -> MartletError
{
  let full = code == ENOSPC || code == EDQUOT
  if full {
    let needed = bytesNeeded.map { "\($0) bytes are needed, " } ?? ""
    return MartletError(
      .io,
      "\(path): \(what): \(systemMessage(code)); \(needed)\(freeBytes(path).map { "\($0) bytes are free" } ?? "");"
        + " make room or choose another folder")
  }
  let remedy =
    switch code {
    case ENOENT, ENOTDIR: "check the path"
    case EACCES, EPERM, EROFS: "check the permissions"
    case EIO: "check the disk"
    default: "check the path and the disk"
    }
  return MartletError(.io, "\(path): \(what): \(systemMessage(code)); \(remedy)")
}

/// Bytes that an ordinary user may still write where `path` is (or will be); nil where that is unknown.
package func freeBytes(_ path: String) -> Int? {
  var status = statvfs()
  var folder = path
  while statvfs(folder, &status) != 0 {
    let parent = Support.folder(of: folder)
    if parent == folder { return nil }
    folder = parent
  }
  // Some network file systems know nothing and say 0.
  guard status.f_blocks > 0 else { return nil }
  return Int(clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
}

/// The folder that `path` lies in; `.` for a bare name. (NSString's `deletingLastPathComponent` traps on names of one
/// letter.)
package func folder(of path: String) -> String {
  let parts = path.split(separator: "/").dropLast()
  if path.hasPrefix("/") { return "/" + parts.joined(separator: "/") }
  return parts.isEmpty ? "." : parts.joined(separator: "/")
}

/// `name` inside `folder`.
package func join(_ folder: String, _ name: String) -> String { (folder as NSString).appendingPathComponent(name) }

/// Whether `path` is a folder, or a link to one.
package func isFolder(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// Whether anything is at `path`.
package func exists(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0
}

/// Names in a folder, sorted, hidden ones included.
package func names(in folder: String) throws -> [String] {
  guard let stream = opendir(folder) else { throw systemError(folder, "cannot be listed") }
  defer { closedir(stream) }
  var names: [String] = []
  while true {
    errno = 0
    guard let entry = readdir(stream) else {
      if errno != 0 { throw systemError(folder, "cannot be listed") }
      break
    }
    let length = Int(entry.pointee.d_reclen) - MemoryLayout<dirent>.offset(of: \.d_name)!
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: length) { String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names.sorted()
}

/// Syncs `folder`, so that a rename or removal in it survives a power cut.
/// - Throws: `MartletError` (io).
package func syncFolder(_ folder: String) throws {
  let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard descriptor >= 0 else { throw systemError(folder, "cannot be opened") }
  defer { close(descriptor) }
  // Some file systems do not sync folders and say so.
  if fsync(descriptor) != 0, errno != EINVAL, errno != ENOTSUP { throw systemError(folder, "cannot be synced") }
}

/// Removes a file or a whole folder, if it is there.
package func removeAll(_ path: String) {
  var status = stat()
  guard lstat(path, &status) == 0 else { return }
  if status.st_mode & S_IFMT == S_IFDIR {
    for name in (try? names(in: path)) ?? [] { removeAll(join(path, name)) }
    rmdir(path)
  } else {
    unlink(path)
  }
}
