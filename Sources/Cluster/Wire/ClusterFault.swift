import Support

/// Why the ranks cannot go on together.
public struct ClusterFault: Error, Sendable, CustomStringConvertible {
  /// What kind of fault.
  public enum Kind: UInt64, Sendable {
    /// No sign of life for longer than the time-out.
    case silent = 1
    /// This rank itself stood still for longer than the time-out.
    case stopped
    /// Alive, but without progress.
    case stalled
    /// The messages themselves fail.
    case wire
    /// A rank ended with an error of its own.
    case error
  }

  /// What kind of fault.
  public var kind: Kind
  /// The rank that is at fault; -1: none in particular.
  public var rank: Int
  /// The exit status.
  public var status: MartletError.Status
  /// One line: rank, host, seconds, phase and step.
  public var description: String

  init(_ kind: Kind, rank: Int, status: MartletError.Status = .tryAgain, _ description: String) {
    (self.kind, self.rank, self.status, self.description) = (kind, rank, status, description)
  }

  init(_ kind: Kind, rank: Int, life: SignOfLife, seconds: Double, what: String) {
    let host = life.host.isEmpty ? "" : " on \(life.host)"
    let tenths = Int((10 * seconds).rounded())
    self.init(
      kind, rank: rank,
      "rank \(rank)\(host) \(what) \(tenths / 10).\(tenths % 10) s; it was last \(life.phase), step \(life.step)")
  }

  /// From another rank.
  init(_ message: ControlMessage) {
    let words = message.words + [0, 0, 0]
    self.init(
      Kind(rawValue: words[0]) ?? .error, rank: Int(Int64(bitPattern: words[1])),
      status: MartletError.Status(rawValue: Int32(truncatingIfNeeded: words[2])) ?? .tryAgain, message.text)
  }

  var message: ControlMessage {
    ControlMessage(
      .fault, [kind.rawValue, UInt64(bitPattern: Int64(rank)), UInt64(status.rawValue)],
      payload: Array(description.utf8))
  }

  /// As the methods of the cluster throw it.
  public var error: MartletError { MartletError(status, description) }
}
