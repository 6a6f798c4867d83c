import Foundation

/// Runs the blocks and tool calls of many trajectories on a few threads, at most one of each trajectory at a time.
final class CallRunner: @unchecked Sendable {
  struct Result: Sendable {
    let index: Int
    let result: CallResult
  }

  private struct Job {
    let index: Int
    let key: UInt64
    /// Blocks that a new session executes first.
    let earlier: [String]
    let call: ToolCall
  }

  private let host: InterpreterHost?
  private let tools: ToolPrograms?
  private let threadLimit: Int
  private let condition = NSCondition()
  private var jobs: [Job] = []
  private var results: [Result] = []
  private var sessions: [Int: InterpreterSession] = [:]
  private var error: (any Error)?
  private var threads = 0
  private var idle = 0
  private var stopped = false

  init(host: InterpreterHost?, tools: ToolPrograms?, threads: Int) {
    self.host = host
    self.tools = tools
    threadLimit = threads
  }

  /// - Parameter earlier: blocks to execute first if the trajectory has no session yet.
  func submit(index: Int, key: UInt64, earlier: [String], call: ToolCall) {
    condition.lock()
    defer { condition.unlock() }
    jobs.append(Job(index: index, key: key, earlier: earlier, call: call))
    if idle < jobs.count, threads < threadLimit {
      threads += 1
      Thread.detachNewThread { self.work() }
    }
    condition.broadcast()
  }

  /// The results that have come back, in no particular order.
  /// - Parameter seconds: how long to wait for the first.
  /// - Throws: when no session could be opened, or a tool's program is at fault.
  func take(waiting seconds: Double) throws -> [Result] {
    condition.lock()
    defer { condition.unlock() }
    if results.isEmpty, error == nil, seconds > 0 { _ = condition.wait(until: Date(timeIntervalSinceNow: seconds)) }
    if let error { throw error }
    defer { results.removeAll() }
    return results
  }

  /// Ends a trajectory's session, if it has one.
  func close(index: Int) {
    condition.lock()
    let session = sessions.removeValue(forKey: index)
    condition.unlock()
    session?.close()
  }

  /// Ends the threads. A block that still runs ends at its own limit; nobody waits for it.
  func stop() {
    condition.lock()
    stopped = true
    jobs.removeAll()
    sessions.removeAll()
    condition.broadcast()
    condition.unlock()
  }

  private func work() {
    condition.lock()
    while true {
      while jobs.isEmpty, !stopped {
        idle += 1
        condition.wait()
        idle -= 1
      }
      if stopped { break }
      let job = jobs.removeFirst()
      let session = sessions[job.index]
      condition.unlock()
      let outcome = Swift.Result { try execute(job, session) }
      condition.lock()
      if stopped { break }
      switch outcome {
      case .success(let result): results.append(Result(index: job.index, result: result))
      case .failure(let failure): error = failure
      }
      condition.broadcast()
    }
    condition.unlock()
  }

  private func execute(_ job: Job, _ open: InterpreterSession?) throws -> CallResult {
    let code = job.call.code
    if let name = job.call.tool {
      guard let tools else { preconditionFailure("a call of \(name) without tools") }
      return try tools.call(name, arguments: code)
    }
    if let open { return open.run(code) }
    guard let host else { preconditionFailure("a call without an interpreter") }
    let session = try host.open(key: job.key)
    condition.lock()
    if !stopped { sessions[job.index] = session }
    condition.unlock()
    for code in job.earlier {
      let result = session.run(code)
      if result.status == .sandboxError { return result }
    }
    return session.run(code)
  }
}
