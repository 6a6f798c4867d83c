import Foundation
import Support

/// The interpreter of one trajectory. `run` is synchronous. Sessions are independent and may be used from different
/// threads; calls of one session wait for each other.
public final class InterpreterSession: @unchecked Sendable {
  private let host: InterpreterHost
  private let key: UInt64
  private let lock = NSLock()
  private var link: InterpreterSocket?
  private var serial: Int
  private var closed = false

  init(host: InterpreterHost, key: UInt64, link: InterpreterSocket, serial: Int) {
    self.host = host
    self.key = key
    self.link = link
    self.serial = serial
  }

  deinit { close() }

  /// Ends the trajectory's processes.
  public func close() {
    lock.lock()
    defer { lock.unlock() }
    closed = true
    link = nil
  }

  private struct Header: Decodable {
    var status: CallResult.Status
    var detail: String
    var ms: Double
    var head: Int
    var tail: Int
    var total: Int
  }

  /// Runs one block. It never throws: every end has a status. After a `sandbox_error` all variables are gone.
  public func run(_ code: String) -> CallResult {
    lock.lock()
    defer { lock.unlock() }
    if closed { return .sandboxError("the session is closed") }
    do {
      if link == nil { (link, serial) = try host.connect(key: key) }
      guard let link else { return .sandboxError("no session") }
      let bytes = Array(code.utf8)
      try link.send([UInt8](word: UInt32(clamping: bytes.count)) + bytes)
      // The guardian process keeps the time. This bound, which includes start, fork and verdict, is for a machine that
      // is too busy to let it.
      let settings = host.settings
      let deadline = ContinuousClock.now + .seconds(settings.timeLimit + 60)
      let lengths = try link.receive(8, before: deadline)
      let headerBytes = try link.receive(Int(lengths.word(at: 0)), before: deadline)
      let output = try link.receive(Int(lengths.word(at: 4)), before: deadline)
      let header = try JSONDecoder().decode(Header.self, from: Data(headerBytes))
      guard header.head >= 0, header.tail >= 0, header.head + header.tail == output.count else {
        throw InterpreterSocket.Failure.closed
      }
      if header.status == .sandboxError, header.detail.hasPrefix("start: ") { self.link = nil }
      var text = InterpreterOutput.text(
        head: Array(output.prefix(header.head)), tail: Array(output.suffix(header.tail)),
        total: header.status == .output ? settings.outputLimit : header.total, flooded: header.status == .output)
      text = InterpreterOutput.withNote(text, status: header.status, detail: header.detail, settings: settings)
      return CallResult(status: header.status, detail: header.detail, output: text, ms: header.ms)
    } catch let error as MartletError {
      return .sandboxError(error.message)
    } catch {
      host.kill(serial: serial)
      link = nil
      return .sandboxError(
        (error as? InterpreterSocket.Failure) == .timedOut ? "no verdict in time" : "the session's process ended")
    }
  }
}
