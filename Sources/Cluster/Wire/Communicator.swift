import Foundation
import Support

/// A rank's end of the wire: transfers of any length, signs of life, and the requests to stop of all ranks.
///
/// A thread of its own makes all calls of the wire. Transfers therefore go on while the caller computes. Signs of life
/// go twice a second between rank 0 and each other rank. Who hears nothing for longer than the time-out, or hears that
/// another rank is lost, calls `onFault` and lets every waiting call throw.
public final class Communicator: @unchecked Sendable {
  /// This rank, from 0.
  public private(set) var rank = 0
  /// All ranks.
  public private(set) var size = 1
  /// How long ranks wait for one another.
  public let settings: WireSettings

  let wire: any Wire
  let onFault: @Sendable (ClusterFault) -> Void
  /// Guards `shared`; broadcast when something is done.
  let condition = NSCondition()
  var shared = Shared()
  /// What the wire thread alone touches.
  var local = Local()

  /// What the threads share.
  struct Shared {
    var submitted: [Transfer] = []
    var control: [(peer: Int, message: ControlMessage)] = []
    var life = SignOfLife()
    var waiting = 0
    /// The phase is another: the others should hear of it before something happens in it.
    var hasNews = false
    var counters = WireCounters()
    var fault: ClusterFault?
    /// The error of this rank itself, which the others are to hear of.
    var ownError: ClusterFault?
    var isJoined = false
    var isFinishing = false
    var isEnded = false
    var joinError: (any Error)?
    /// Called under the lock.
    var onWork: ((_ peer: Int, ControlMessage) -> Void)?
    /// What came for the work queue before there was one.
    var earlyWork: [(peer: Int, message: ControlMessage)] = []
  }

  /// - Parameter onFault: called once on the wire thread, before waiting calls throw. The default says what happened
  ///   and ends the process, since a computation cannot be asked to stop.
  public init(
    _ wire: any Wire, settings: WireSettings = WireSettings(),
    onFault: @escaping @Sendable (ClusterFault) -> Void = Communicator.endProcess
  ) {
    self.wire = wire
    self.settings = settings
    self.onFault = onFault
    shared.life.host = hostName()
  }

  /// Writes the fault to standard error and leaves with its status.
  public static let endProcess: @Sendable (ClusterFault) -> Void = { fault in
    let line = "error: \(fault); the run ends on all ranks, go on with --resume\n"
    _ = line.utf8.withContiguousStorageIfAvailable { write(2, $0.baseAddress, $0.count) }
    _exit(fault.status.rawValue)
  }

  /// Joins the others.
  /// - Throws: `MartletError` (configuration).
  public func start() throws {
    let thread = Thread { [self] in run() }
    thread.name = "wire"
    thread.start()
    condition.lock()
    defer { condition.unlock() }
    while !shared.isJoined, shared.joinError == nil { condition.wait() }
    if let error = shared.joinError { throw error }
    (rank, size) = (wire.rank, wire.size)
  }

  // MARK: - Transfers

  func send(_ bytes: UnsafeRawBufferPointer, to peer: Int, _ stream: WireStream) -> Transfer {
    submit(UnsafeMutableRawBufferPointer(mutating: bytes), Lane(peer: peer, stream: stream, sends: true))
  }

  func receive(_ bytes: UnsafeMutableRawBufferPointer, from peer: Int, _ stream: WireStream) -> Transfer {
    submit(bytes, Lane(peer: peer, stream: stream, sends: false))
  }

  private func submit(_ bytes: UnsafeMutableRawBufferPointer, _ lane: Lane) -> Transfer {
    precondition(lane.peer != rank && (0..<size).contains(lane.peer), "Communicator: rank \(lane.peer) of \(size)")
    let transfer = Transfer(bytes, lane)
    guard !transfer.isDone else { return transfer }
    condition.lock()
    defer { condition.unlock() }
    if lane.sends { shared.counters.bytesSent += bytes.count } else { shared.counters.bytesReceived += bytes.count }
    shared.submitted.append(transfer)
    condition.broadcast()
    return transfer
  }

  /// Waits until all of `transfers` are done.
  /// - Throws: `MartletError` with the fault's status.
  func wait(_ transfers: [Transfer]) throws {
    try wait { transfers.allSatisfy(\.isDone) }
  }

  /// Waits until `condition`, which may read what the lock guards.
  func wait(until isMet: () -> Bool) throws {
    condition.lock()
    defer { condition.unlock() }
    if isMet() { return }
    let began = monotonicSeconds()
    shared.waiting += 1
    defer {
      shared.waiting -= 1
      shared.life.progress &+= 1
      shared.counters.waitSeconds += monotonicSeconds() - began
    }
    while !isMet() {
      if let fault = shared.fault { throw fault.error }
      precondition(!shared.isEnded, "Communicator: a transfer after the end")
      condition.wait()
    }
  }

  // MARK: - What this rank says of itself

  /// Says what comes next, for the report should this rank be lost.
  public func begin(_ phase: String, step: Int) {
    condition.withLock {
      (shared.life.phase, shared.life.step) = (phase, UInt64(max(0, step)))
      shared.life.progress &+= 1
      shared.hasNews = true
    }
  }

  /// Says that work goes on. Whoever computes for minutes without a transfer calls it now and then.
  public func progress() { condition.withLock { shared.life.progress &+= 1 } }

  /// Asks all ranks to stop at the next opportunity. May not be called in a signal handler.
  public func request(_ stop: StopRequest) {
    condition.withLock { shared.life.stop = max(shared.life.stop, stop.rawValue) }
  }

  /// The strongest request that this rank has heard of: a hint. ``Cluster/largest(_:)`` makes it a decision.
  public var stopHint: StopRequest {
    condition.withLock { StopRequest(rawValue: shared.life.stop) ?? .terminate }
  }

  /// What went over the wire since the start.
  public var counters: WireCounters { condition.withLock { shared.counters } }

  /// Why the ranks cannot go on together; nil: they can.
  public var fault: ClusterFault? { condition.withLock { shared.fault } }

  // MARK: - The end

  /// Leaves together with the others, which must do the same.
  /// - Throws: `MartletError` with the fault's status.
  public func finish() throws {
    _ = try exchange([])
    condition.lock()
    shared.isFinishing = true
    condition.broadcast()
    condition.unlock()
    try wait { shared.isEnded }
    if let fault { throw fault.error }
  }

  /// Tells the others that this rank cannot go on, so that they end at once and with its status.
  public func leave(because error: MartletError) {
    condition.lock()
    defer { condition.unlock() }
    guard shared.fault == nil, !shared.isEnded else { return }
    let text = "rank \(rank) on \(shared.life.host) ended: \(error.message)"
    shared.ownError = ClusterFault(.error, rank: rank, status: error.status, text)
    condition.broadcast()
    while !shared.isEnded { condition.wait() }
  }
}

extension NSCondition {
  func withLock<T>(_ body: () throws -> T) rethrows -> T {
    lock()
    defer { unlock() }
    return try body()
  }
}
