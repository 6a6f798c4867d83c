import Foundation
import Support
import Synchronization

@testable import Cluster

/// Runs `body` as every rank of a loop, each on a thread with a wire of its own.
/// - Returns: what each rank returned or threw, in order.
func onRanks<T: Sendable>(
  _ size: Int, _ settings: WireSettings = .forTests, loop: Loopback? = nil, finishes: Bool = true,
  _ body: @escaping @Sendable (WiredCluster) throws -> T
) -> [Result<T, any Error>] {
  let loop = loop ?? Loopback(size: size)
  let results = Mutex([Result<T, any Error>?](repeating: nil, count: size))
  let group = DispatchGroup()
  for rank in 0..<size {
    group.enter()
    let thread = Thread {
      let result = Result {
        let communicator = Communicator(loop.wire(rank), settings: settings, onFault: { _ in })
        try communicator.start()
        let value = try body(WiredCluster(communicator))
        if finishes { try communicator.finish() }
        return value
      }
      results.withLock { $0[rank] = result }
      group.leave()
    }
    thread.start()
  }
  group.wait()
  return results.withLock { $0.map { $0! } }
}

extension WireSettings {
  /// Small pieces, so that small buffers have many; a time-out that a busy machine does not reach.
  static var forTests: WireSettings {
    var settings = WireSettings()
    settings.pieceBytes = 100_000
    settings.heartbeat = 0.1
    return settings
  }

  /// For ranks that are lost.
  static func impatient(timeout: Double, stall: Double = 600) -> WireSettings {
    var settings = WireSettings.forTests
    (settings.heartbeat, settings.timeout, settings.stall) = (0.1, timeout, stall)
    return settings
  }
}

extension Result {
  var error: MartletError? {
    guard case .failure(let error) = self else { return nil }
    return error as? MartletError
  }
}
