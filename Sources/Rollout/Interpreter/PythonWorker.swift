import CSandbox
import Foundation
import Support

/// A Python process for one kind of work. It handles one request at a time, each within a wall-clock limit. It starts
/// on first use and again after it died. Any thread may use it; callers wait for each other.
public final class PythonWorker: @unchecked Sendable {
  /// What a worker does: grade answers, or render chat templates.
  public enum Kind: String, Sendable { case grade, template }

  /// How a request failed.
  package enum Failure: Error, Equatable {
    /// It ran over its wall-clock limit or its memory, or a signal ended it.
    case timeout, memory, crashed
    /// It raised an exception with this text.
    case raised(String)
  }

  private let kind: Kind
  private let python: String?
  private let lock = NSLock()
  private var running: (process: pid_t, link: InterpreterSocket)?

  /// - Parameter python: as in `InterpreterSettings`.
  public init(kind: Kind, python: String? = nil) {
    self.kind = kind
    self.python = python
  }

  deinit { stop() }

  /// Ends the process. The next request starts another.
  public func stop() {
    lock.lock()
    defer { lock.unlock() }
    end()
  }

  /// The process's id, for tests that kill it.
  package var processIdentifier: pid_t? {
    lock.lock()
    defer { lock.unlock() }
    return running?.process
  }

  private struct Trouble: Decodable {
    var failed: String?
    var message: String?
    var missing: String?
  }

  /// Sends a JSON object and returns the bytes of the reply.
  /// - Throws: `Failure` when the request failed; `MartletError` (configuration) when the worker cannot start.
  package func call(_ request: [String: Any], limit: Double) throws -> Data {
    lock.lock()
    defer { lock.unlock() }
    var request = request
    request["limit"] = limit
    let line = [UInt8](try JSONSerialization.data(withJSONObject: request)) + [0x0A]
    for attempt in 0... {
      if running == nil { try start() }
      guard let link = running?.link else { throw Failure.crashed }
      do {
        try link.send(line)
        // The worker keeps the time itself. This bound is for a worker that is stopped or gone.
        let reply = Data(try link.receiveLine(before: .now + .seconds(limit + 60)))
        let trouble = try? JSONDecoder().decode(Trouble.self, from: reply)
        switch trouble?.failed {
        case nil: return reply
        case "timeout": throw Failure.timeout
        case "memory", "recursion": throw Failure.memory
        case "crashed": throw Failure.crashed
        default: throw Failure.raised(trouble?.message ?? "")
        }
      } catch is InterpreterSocket.Failure {
        end()
        if attempt == 1 { throw Failure.crashed }
      }
    }
    throw Failure.crashed
  }

  private func start() throws {
    let program = try PythonRuntime.python(python)
    let source = try PythonRuntime.source("worker.py")
    let (link, far) = try InterpreterSocket.pair(stream: true)
    let errors = csandbox_memory_file()
    defer { close(errors) }
    let process: pid_t
    do {
      defer { close(far) }
      process = try PythonRuntime.spawn(
        python: program, source: source, arguments: [kind.rawValue], control: far, errors: errors)
    }
    running = (process, link)
    do {
      let hello = try link.receiveLine(before: .now + .seconds(120))
      if let missing = (try? JSONDecoder().decode(Trouble.self, from: Data(hello)))?.missing {
        end()
        throw MartletError(
          .configuration,
          "python: \(program): \(missing); install what requirements.txt lists (`\(program) -m pip install -r "
            + "requirements.txt`), or run `make deps` once")
      }
    } catch is InterpreterSocket.Failure {
      end()
      throw MartletError(
        .configuration, "python: \(program) could not run \(source): \(PythonRuntime.text(ofFile: errors))")
    }
  }

  private func end() {
    guard let (process, link) = running else { return }
    running = nil
    link.shutDown()
    kill(process, SIGKILL)
    waitpid(process, nil, 0)
  }
}

extension InterpreterSocket {
  /// Reads the bytes up to the next line end. The peer must send one line and wait.
  func receiveLine(before deadline: ContinuousClock.Instant) throws -> [UInt8] {
    var line: [UInt8] = []
    while true {
      let part = try receiveMessage(before: deadline)
      line += part
      if line.last == 0x0A { return Array(line.dropLast()) }
    }
  }
}
