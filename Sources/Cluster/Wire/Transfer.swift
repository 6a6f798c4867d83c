import Glibc

/// Bytes on their way to or from another rank, in pieces. They must stay where they are until it is done.
public final class Transfer: @unchecked Sendable {
  let base: UnsafeMutableRawPointer?
  let count: Int
  let lane: Lane
  /// For the wire thread: what was started so far, and what of it is not completed.
  var started = 0
  var pending = 0
  /// Under the communicator's lock.
  var isDone: Bool

  init(_ bytes: UnsafeMutableRawBufferPointer, _ lane: Lane) {
    base = bytes.baseAddress
    count = bytes.count
    self.lane = lane
    isDone = bytes.isEmpty
  }
}

/// What keeps its order: one stream with one rank in one direction.
struct Lane: Hashable {
  var peer: Int
  var stream: WireStream
  var sends: Bool
}

/// What went over the wire, for the metrics.
public struct WireCounters: Sendable, Equatable {
  /// Bytes sent, without heartbeats.
  public var bytesSent = 0
  /// Bytes received, without heartbeats.
  public var bytesReceived = 0
  /// Seconds in which something was under way.
  public var busySeconds = 0.0
  /// Seconds in which work waited for the wire.
  public var waitSeconds = 0.0
  /// Seconds in which something was under way and the work went on.
  public var hiddenSeconds: Double { max(0, busySeconds - waitSeconds) }
}

/// Why a run should stop. The strongest that any rank knows wins.
public enum StopRequest: UInt64, Sendable, Comparable {
  /// Go on.
  case none
  /// USR1: save, and leave with 75.
  case save
  /// INT: save, and leave with 130.
  case interrupt
  /// TERM: save, and leave with 143.
  case terminate

  /// By strength.
  public static func < (left: StopRequest, right: StopRequest) -> Bool { left.rawValue < right.rawValue }
}

/// Seconds on a clock that stands still while the machine sleeps.
func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
}

/// The name of this host.
func hostName() -> String {
  var name = [CChar](repeating: 0, count: 256)
  guard gethostname(&name, name.count - 1) == 0 else { return "" }
  return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
