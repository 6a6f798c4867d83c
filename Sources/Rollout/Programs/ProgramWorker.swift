import CSandbox
import Foundation
import Support

/// A user's program that speaks JSON lines: one request line on its standard input, one reply line on its standard
/// output, in turn. Confined as `docs/programs.md` says. It starts with the first request and ends with this object,
/// with `stop()`, or with the trainer. Used from any thread; callers wait for each other.
public final class ProgramWorker: @unchecked Sendable {
  /// What a request came to, when it was not a reply.
  package enum Failure: Error, Equatable {
    /// Over its time limit.
    case timeout
    /// The program ended, with how and with what it last wrote to standard error.
    case ended(String)
    /// It wrote something that is no reply, and why not.
    case garbage(String)

    /// What went wrong, as a clause.
    package func text(_ command: ProgramCommand) -> String {
      switch self {
      case .timeout: "took more than \(command.timeLimit) s"
      case .ended(let how): "ended instead of answering: \(how)"
      case .garbage(let why): why
      }
    }
  }

  /// Bytes that a reply may have.
  static let replyLimit = 1 << 24

  /// The program and its time limit.
  package let command: ProgramCommand
  private let python: String?
  private let lock = NSLock()
  private var running: Running?
  private var replies = 0

  private struct Running {
    let process: pid_t
    let link: InterpreterSocket
    /// What the program writes to standard error.
    let errors: Int32
  }

  /// - Parameter python: as in `InterpreterSettings`.
  public init(_ command: ProgramCommand, python: String? = nil) {
    self.command = command
    self.python = python
  }

  deinit { stop() }

  /// Ends the program and whatever it started. The next request starts it again.
  public func stop() {
    lock.lock()
    defer { lock.unlock() }
    _ = end()
  }

  /// The launcher's process, for tests.
  package var processIdentifier: pid_t? {
    lock.lock()
    defer { lock.unlock() }
    return running?.process
  }

  /// Whether the program has ever answered.
  package var hasAnswered: Bool {
    lock.lock()
    defer { lock.unlock() }
    return replies > 0
  }

  /// Sends one request, and reads the object that answers it. After a failure the program is ended.
  /// - Throws: `Failure`; `MartletError` (configuration) when the program cannot be started.
  package func ask(_ request: JSONValue) throws -> [(key: String, value: JSONValue)] {
    lock.lock()
    defer { lock.unlock() }
    let deadline = ContinuousClock.now + .seconds(command.timeLimit)
    if running == nil { running = try start() }
    guard let link = running?.link else { throw Failure.ended("it is gone") }
    do {
      if link.hasInput { throw Failure.garbage("wrote a line that no request asked for") }
      try link.send(Array((request.text + "\n").utf8))
      let reply = try Self.object(link.receiveReply(limit: Self.replyLimit, before: deadline))
      replies += 1
      return reply
    } catch InterpreterSocket.Failure.timedOut {
      _ = end()
      throw Failure.timeout
    } catch is InterpreterSocket.Failure {
      throw Failure.ended(end())
    } catch {
      _ = end()
      throw error
    }
  }

  private static func object(_ line: [UInt8]) throws -> [(key: String, value: JSONValue)] {
    guard let text = String(validating: line, as: UTF8.self) else { throw Failure.garbage("wrote no UTF-8") }
    let shown = text.count > 200 ? text.prefix(200) + "..." : text[...]
    guard !text.contains("\n") else { throw Failure.garbage("wrote more than one line: \(shown)") }
    guard case .object(let members)? = JSONValue(json: text) else {
      throw Failure.garbage(
        "wrote no JSON object: \"\(shown)\" (replies alone belong on standard output; NaN is no JSON)")
    }
    return members
  }

  // MARK: - The process

  private struct Hello: Decodable { var ready, failed: String? }

  private func start() throws -> Running {
    let words = try command.resolved(python: python)
    let interpreter = try PythonRuntime.python(python)
    let orders: [String: Any] = [
      "command": words, "readable": command.readable(words), "tiers": ["T3", "T3-net", "T2", "T1"],
    ]
    let text = String(decoding: try JSONSerialization.data(withJSONObject: orders), as: UTF8.self)
    let (link, far) = try InterpreterSocket.pair(stream: true)
    let errors = csandbox_memory_file()
    let process: pid_t
    do {
      defer { close(far) }
      process = try PythonRuntime.spawn(
        python: interpreter, source: PythonRuntime.source("program.py"), arguments: [text], control: far,
        errors: errors)
    } catch {
      close(errors)
      throw error
    }
    running = Running(process: process, link: link, errors: errors)
    let line = (try? link.receiveLine(before: .now + .seconds(120))) ?? []
    guard let hello = try? JSONDecoder().decode(Hello.self, from: Data(line)), hello.ready != nil, let running else {
      let failed = (try? JSONDecoder().decode(Hello.self, from: Data(line)))?.failed
      let how = failed ?? (line.isEmpty ? nil : "it wrote before it was asked")
      let ended = end()
      throw MartletError(.configuration, "\(command.key): \(command.text) does not start: \(how ?? ended)")
    }
    return running
  }

  /// - Returns: how it ended, with the last lines of its standard error.
  private func end() -> String {
    guard let running else { return "it was not running" }
    self.running = nil
    defer { close(running.errors) }
    running.link.shutDown()
    // The launcher sees that and ends all; a second is plenty, then the kernel does it.
    var status: Int32 = 0
    var isGone = false
    for _ in 0..<200 where !isGone {
      isGone = waitpid(running.process, &status, WNOHANG) != 0
      if !isGone { usleep(5_000) }
    }
    if !isGone {
      kill(running.process, SIGKILL)
      waitpid(running.process, &status, 0)
    }
    let signal = status & 0x7F
    let how = signal == 0 ? "exit status \(status >> 8 & 0xFF)" : "signal \(signal)"
    let said = PythonRuntime.text(ofFile: running.errors)
    return said.isEmpty ? how : "\(how), \(said)"
  }
}

extension InterpreterSocket {
  /// Bytes up to and without the next line end, and all else that came with it.
  func receiveReply(limit: Int, before deadline: ContinuousClock.Instant) throws -> [UInt8] {
    var line: [UInt8] = []
    while line.last != 0x0A {
      line += try receiveMessage(before: deadline)
      if line.count > limit { throw ProgramWorker.Failure.garbage("wrote more than \(limit >> 20) MiB in one line") }
    }
    return Array(line.dropLast())
  }
}
