import Foundation
import Rollout
import Support
import Synchronization
import Tensor
import Training

/// The measurements that need the interpreter.
struct ToolBench {
  let host: InterpreterHost
  private let impatient: InterpreterHost
  private let effort: Double
  private static let limit = 0.5

  init(python: String?, effort: Double) throws {
    host = try InterpreterHost(settings: InterpreterSettings(python: python))
    impatient = try InterpreterHost(settings: InterpreterSettings(python: python, timeLimit: Self.limit))
    self.effort = effort
  }

  /// The latency of a small block in an open session, and how many of them all sessions together run in a second.
  func calls() throws -> [Benchmark.Result] {
    let session = try host.open(key: 1)
    _ = session.run("x = 1")
    let count = max(20, Int(200 * effort))
    let times = try (0..<count).map { index in
      try elapsed { try Self.check(session.run("x = \(index) * 7\nprint(x)")) } * 1000
    }.sorted()
    session.close()
    let sessions = 2 * WorkerPool.physicalCoreCount
    let each = max(5, count / sessions)
    let open = try (0..<sessions).map { try host.open(key: UInt64($0)) }
    let failure = Mutex<(any Error)?>(nil)
    let taken = elapsed {
      DispatchQueue.concurrentPerform(iterations: sessions) { index in
        do {
          for _ in 0..<each { try Self.check(open[index].run("print(6 * 7)")) }
        } catch {
          failure.withLock { $0 = error }
        }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return [
      Benchmark.Result("tool_call_p50", times[(count - 1) / 2], "ms"),
      Benchmark.Result("tool_call_p99", times[min(count - 1, Int((0.99 * Double(count)).rounded(.up)) - 1)], "ms"),
      Benchmark.Result("snippets_per_second", Double(sessions * each) / taken, "1/s"),
    ]
  }

  /// Milliseconds from the wall-clock limit of an endless block until it is gone and its verdict is here.
  func killOvershoot() throws -> Benchmark.Result {
    let session = try impatient.open(key: 1)
    defer { session.close() }
    _ = session.run("x = 1")
    let times = try (0..<max(1, Int(5 * effort))).map { _ in
      var status = CallResult.Status.ok
      let taken = elapsed { status = session.run("while True: pass").status }
      guard status == .timeout else {
        throw MartletError(.configuration, "sandbox: an endless block ended as \(status.rawValue); see `train doctor`")
      }
      return (taken - Self.limit) * 1000
    }
    return Benchmark.Result("kill_overshoot", median(times), "ms")
  }

  private static func check(_ result: CallResult) throws {
    guard result.status == .ok else {
      throw MartletError(
        .configuration,
        "sandbox: a small block ended as \(result.status.rawValue) (\(result.detail)); see `train doctor`")
    }
  }
}
