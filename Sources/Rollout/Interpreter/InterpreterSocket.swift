import CSandbox
import Foundation

/// One end of a socket pair to a Python process. It is closed with the object.
final class InterpreterSocket: @unchecked Sendable {
  enum Failure: Error { case closed, timedOut }

  private let descriptor: Int32

  init(owning descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Tells the other side that nothing more will come.
  func shutDown() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

  /// Two connected ends, closed on exec.
  static func pair(stream: Bool) throws -> (InterpreterSocket, Int32) {
    var ends: (Int32, Int32) = (0, 0)
    let failure = withUnsafeMutablePointer(to: &ends) {
      $0.withMemoryRebound(to: Int32.self, capacity: 2) { csandbox_socketpair(stream ? 1 : 0, $0) }
    }
    if failure != 0 { throw POSIXError(POSIXErrorCode(rawValue: failure) ?? .EIO) }
    return (InterpreterSocket(owning: ends.0), ends.1)
  }

  func send(_ bytes: [UInt8], passing passed: Int32 = -1) throws {
    if csandbox_send(descriptor, bytes, bytes.count, passed) != 0 { throw Failure.closed }
  }

  /// Reads exactly `count` bytes.
  func receive(_ count: Int, before deadline: ContinuousClock.Instant) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      try wait(before: deadline)
      let got = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + filled, count - filled, 0) }
      if got > 0 {
        filled += got
      } else if got == 0 || (errno != EINTR && errno != EAGAIN) {
        throw Failure.closed
      }
    }
    return bytes
  }

  /// Whether bytes wait to be read.
  var hasInput: Bool {
    var byte: UInt8 = 0
    return recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) > 0
  }

  /// Reads one message of a packet socket, at most 64 KiB.
  func receiveMessage(before deadline: ContinuousClock.Instant) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    while true {
      try wait(before: deadline)
      let got = recv(descriptor, &bytes, bytes.count, 0)
      if got > 0 { return Array(bytes.prefix(got)) }
      if got == 0 || (errno != EINTR && errno != EAGAIN) { throw Failure.closed }
    }
  }

  private func wait(before deadline: ContinuousClock.Instant) throws {
    while true {
      let left = ContinuousClock.now.duration(to: deadline)
      let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
      if milliseconds < 0 { throw Failure.timedOut }
      var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let ready = poll(&request, 1, Int32(clamping: milliseconds + 1))
      if ready > 0 { return }
      if ready < 0 && errno != EINTR { throw Failure.closed }
    }
  }
}

extension Array where Element == UInt8 {
  /// Reads a 32-bit number in the machine's byte order.
  init(word: UInt32) { self = Swift.withUnsafeBytes(of: word) { Array($0) } }

  func word(at offset: Int) -> UInt32 {
    withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
  }
}
