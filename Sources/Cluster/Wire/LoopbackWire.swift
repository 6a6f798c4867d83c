import Foundation
import Support

/// Ranks that are threads of one process. What can happen to real ranks can be made to happen to these.
public final class Loopback: @unchecked Sendable {
  /// What befalls a rank.
  public enum Fault: Sendable {
    /// Its messages are lost in both directions, as when its host's link is down.
    case cut
    /// Its wire thread stands still for so many seconds, as after SIGSTOP.
    case stopped(seconds: Double)
    /// Its wire fails, as when the process is killed: the others hear nothing more.
    case dead
    /// Each look at its wire takes so many seconds.
    case slow(seconds: Double)
  }

  private struct Lane: Hashable {
    var source, target, tag: Int
  }
  private struct Post {
    var bytes: UnsafeMutableRawBufferPointer
    var number: Int
  }

  /// All ranks.
  public let size: Int
  private let lock = NSLock()
  private var sends: [Lane: [Post]] = [:]
  private var receives: [Lane: [Post]] = [:]
  private var done: [[Int]]
  /// Of each rank: numbers that were given, and those that may be given again, as MPI's may.
  private var numbers: [(given: Int, free: [Int])]
  private var faults: [Int: Fault] = [:]

  /// A loop of `size` ranks.
  public init(size: Int) {
    self.size = size
    done = [[Int]](repeating: [], count: size)
    numbers = [(given: Int, free: [Int])](repeating: (0, []), count: size)
  }

  /// Lets something happen to a rank, from its next look at its wire on.
  public func inject(_ fault: Fault, to rank: Int) { lock.withLock { faults[rank] = fault } }

  /// The wire of a rank.
  public func wire(_ rank: Int) -> LoopbackWire { LoopbackWire(self, rank) }

  fileprivate func post(_ bytes: UnsafeMutableRawBufferPointer, _ source: Int, _ target: Int, _ tag: Int, sends: Bool)
    -> Int
  {
    lock.withLock {
      let lane = Lane(source: source, target: target, tag: tag)
      let number = number(for: sends ? source : target)
      let post = Post(bytes: bytes, number: number)
      if sends {
        self.sends[lane, default: []].append(post)
      } else {
        receives[lane, default: []].append(post)
      }
      match(lane)
      return number
    }
  }

  private func number(for rank: Int) -> Int {
    if let number = numbers[rank].free.popLast() { return number }
    numbers[rank].given += 1
    return numbers[rank].given
  }

  private func match(_ lane: Lane) {
    if isCut(lane.source) || isCut(lane.target) { return }
    while let send = sends[lane]?.first, let receive = receives[lane]?.first {
      precondition(
        send.bytes.count == receive.bytes.count,
        "Loopback: \(send.bytes.count) bytes from rank \(lane.source), but rank \(lane.target) expects "
          + "\(receive.bytes.count)")
      receive.bytes.copyMemory(from: UnsafeRawBufferPointer(send.bytes))
      sends[lane]?.removeFirst()
      receives[lane]?.removeFirst()
      done[lane.source].append(send.number)
      done[lane.target].append(receive.number)
    }
  }

  private func isCut(_ rank: Int) -> Bool {
    if case .cut = faults[rank] { true } else { false }
  }

  fileprivate func completed(_ rank: Int) throws -> [Int] {
    var pause = 0.0
    lock.withLock {
      switch faults[rank] {
      case .stopped(let seconds):
        pause = seconds
        faults[rank] = nil
      case .slow(let seconds): pause = seconds
      case .cut, .dead, nil: break
      }
    }
    if pause > 0 { usleep(UInt32(1e6 * pause)) }
    return try lock.withLock {
      if case .dead = faults[rank] { throw MartletError(.tryAgain, "rank \(rank) was killed") }
      defer { done[rank] = [] }
      numbers[rank].free += done[rank]
      return done[rank]
    }
  }

  fileprivate func drop(_ rank: Int) {
    lock.withLock {
      for lane in sends.keys where lane.source == rank { sends[lane] = nil }
      for lane in receives.keys where lane.target == rank { receives[lane] = nil }
    }
  }
}

/// The wire of one rank of a `Loopback`.
public final class LoopbackWire: Wire {
  /// This rank.
  public let rank: Int
  /// All ranks.
  public var size: Int { loop.size }
  private let loop: Loopback

  fileprivate init(_ loop: Loopback, _ rank: Int) {
    self.loop = loop
    self.rank = rank
  }

  /// Nothing to do.
  public func join() {}

  /// Starts a message; it is completed when its receiver has made room.
  public func send(_ bytes: UnsafeRawBufferPointer, to target: Int, tag: Int) -> Int {
    loop.post(UnsafeMutableRawBufferPointer(mutating: bytes), rank, target, tag, sends: true)
  }

  /// Makes room for a message.
  public func receive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int, tag: Int) -> Int {
    loop.post(bytes, source, rank, tag, sends: false)
  }

  /// The messages that were completed since the last call.
  /// - Throws: `MartletError` (tryAgain) when this rank was made to die.
  public func completed() throws -> [Int] { try loop.completed(rank) }

  /// Nothing to do.
  public func leave() {}

  /// Withdraws what is under way.
  public func drop() { loop.drop(rank) }
}
