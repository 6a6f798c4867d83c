/// Bytes between ranks, the least that a cluster needs: messages of at most 4 MB, started and asked after.
///
/// One thread of a rank makes all calls. Messages of one rank to another with one tag arrive in the order they were
/// started in; each has the length that its receiver expects.
public protocol Wire: AnyObject {
  /// Joins the others. Called once, before everything else.
  /// - Throws: `MartletError` (configuration).
  func join() throws
  /// This rank, from 0.
  var rank: Int { get }
  /// All ranks.
  var size: Int { get }
  /// Starts a message. Its bytes must stay until it is completed.
  /// - Returns: its number.
  /// - Throws: `MartletError` (tryAgain) when messages cannot be sent any more.
  func send(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Int) throws -> Int
  /// Makes room for a message.
  /// - Returns: its number.
  /// - Throws: `MartletError` (tryAgain) when messages cannot be received any more.
  func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Int) throws -> Int
  /// The messages that were completed since the last call. Their numbers may be given again from now on.
  /// - Throws: `MartletError` (tryAgain).
  func completed() throws -> [Int]
  /// Leaves together with all others, when no message is under way.
  func leave()
  /// Leaves at once. No bytes are touched afterwards.
  func drop()
}

/// What a message is about. Messages of different streams do not wait for one another.
enum WireStream: Int, CaseIterable {
  /// Heartbeats, stop flags, faults and the work queue.
  case control = 1
  /// Small exchanges that all ranks take part in.
  case exchange
  case records
  case reduction
  case gathering
  /// Work that goes from a busy rank to an idle one.
  case work
}

/// How long ranks wait for one another.
public struct WireSettings: Sendable {
  /// Seconds between two signs of life.
  public var heartbeat = 0.5
  /// Seconds without a sign of life after which a rank is taken for lost. At least 12 under Open MPI's mpirun: its own
  /// keepalive must find a lost host first, else it hangs.
  public var timeout = 30.0
  /// Seconds that a rank may live without progress.
  public var stall = 600.0
  /// The largest message.
  public var pieceBytes = 4 << 20
  /// Messages of one stream to one rank that are under way at a time.
  public var window = 4

  /// The defaults.
  public init() {}
}
