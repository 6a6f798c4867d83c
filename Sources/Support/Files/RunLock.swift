import Foundation

/// The right to write into a run's folder: a lock on `run/LOCK`. The kernel releases it when the process ends, whatever
/// ended it.
public final class RunLock: @unchecked Sendable {
  private struct Owner: Codable {
    let host: String
    let pid: Int32
    /// When the process began, in clock ticks since the machine started. A reused pid has another value.
    let startTicks: Int

    enum CodingKeys: String, CodingKey {
      case host, pid
      case startTicks = "start_ticks"
    }
  }

  private var descriptor: Int32

  /// Makes the run's folder where it is missing, and takes its lock.
  /// - Throws: `MartletError` with status `tryAgain`, naming the owner, when it is held; `io` when there can be no
  ///   lock.
  public init(run: String) throws {
    try makeFolder(run)
    let path = join(run, "LOCK")
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw systemError(path, "cannot be opened") }
    var result: Int32
    repeat { result = flock(descriptor, LOCK_EX | LOCK_NB) } while result != 0 && errno == EINTR
    guard result == 0 else {
      let code = errno
      defer { close(descriptor) }
      guard code == EWOULDBLOCK else {
        throw MartletError(
          .io, "\(path): cannot be locked: \(systemMessage(code)); put the run on a file system with locks")
      }
      let owner = try? JSONDecoder().decode(Owner.self, from: readFile(path, limit: 4096))
      let who = owner.map { "process \($0.pid) on \($0.host)" } ?? "another process"
      throw MartletError(
        .tryAgain, "\(run): is in use by \(who); wait until it ends, stop it, or choose another run")
    }
    self.descriptor = descriptor
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let owner = try JSONEncoder().encode(Owner(host: host, pid: getpid(), startTicks: Self.startTicks()))
    var code = owner.withUnsafeBytes { writeAll(descriptor, $0, at: 0) }
    if code == 0, !truncate(descriptor, to: owner.count) { code = errno }
    if code != 0 {
      release()
      throw systemError(path, "cannot be written", code)
    }
  }

  deinit { release() }

  /// Releases the lock. The file stays: removing it could remove another process's lock.
  public func release() {
    guard descriptor >= 0 else { return }
    close(descriptor)
    descriptor = -1
  }

  /// Field 22 of `/proc/self/stat`; the fields after the name, which may hold anything, begin at the last ")".
  private static func startTicks() -> Int {
    guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8), let end = text.lastIndex(of: ")")
    else { return 0 }
    let fields = text[text.index(after: end)...].split(separator: " ")
    return fields.count > 19 ? Int(fields[19]) ?? 0 : 0
  }
}
