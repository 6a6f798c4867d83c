import CSandbox
import Foundation
import Support

/// The Python interpreter of the rollouts: one warm process from which each trajectory's process is forked.
///
/// Start it early, before anything large is allocated. It ends with this object, with `close()`, or with the trainer,
/// whatever ends that. All methods may be called from any thread.
///
/// A block's output is what it prints. If its last statement is an expression, the value's `repr` follows, as in a
/// notebook (not for None, and not before a semicolon). Variables persist within a session. A block that raises keeps
/// its changes; a block that is killed (time, memory, output, crash, `os._exit`) loses its own changes and no others.
public final class InterpreterHost: @unchecked Sendable {
  /// What the interpreters were started with.
  public let settings: InterpreterSettings
  private let lock = NSLock()
  private var zygote: Zygote?
  private var starts = 0
  private var lastSerial = 0
  private var closed = false

  private struct Zygote {
    let process: pid_t
    let control: InterpreterSocket
    let report: SandboxReport
  }

  /// Starts the processes and waits until they are warm and confined.
  /// - Throws: `MartletError` (configuration) when no Python is found, none of the asked tiers holds on this machine,
  ///   or a limit or a readable folder makes no sense.
  public init(settings: InterpreterSettings = InterpreterSettings()) throws {
    guard settings.timeLimit > 0, settings.timeLimit <= 1e6 else {
      throw MartletError(
        .configuration,
        "interpreter.time_limit: \(settings.timeLimit) is not a number of seconds above 0 and up to 1,000,000")
    }
    guard (1...100_000).contains(settings.processLimit) else {
      throw MartletError(
        .configuration, "interpreter.processes: \(settings.processLimit) is not from 1 to 100,000")
    }
    guard settings.memoryBytes >= 64 << 20 else {
      throw MartletError(
        .configuration, "interpreter.memory: \(settings.memoryBytes) bytes; at least 64 MiB are needed")
    }
    guard settings.outputBytes >= 2, settings.outputLimit >= settings.outputBytes else {
      throw MartletError(
        .configuration,
        "interpreter.output: keeps \(settings.outputBytes) and stops at \(settings.outputLimit) bytes; "
          + "the first must be at least 2 and not above the second")
    }
    try settings.checkReadableFolders()
    self.settings = settings
    zygote = try start()
  }

  deinit { close() }

  /// What holds the snippets in.
  public var report: SandboxReport {
    lock.lock()
    defer { lock.unlock() }
    return zygote?.report
      ?? SandboxReport(tier: "none", landlock: 0, python: "", preloaded: [:], missing: [], reasons: [:], unshared: "")
  }

  /// A trajectory's own interpreter, with empty variables. `key` seeds `random` and `numpy.random`.
  /// - Throws: `MartletError` (configuration) when the processes died and cannot be started again.
  public func open(key: UInt64) throws -> InterpreterSession {
    let (link, serial) = try connect(key: key)
    return InterpreterSession(host: self, key: key, link: link, serial: serial)
  }

  /// Ends every process, at once. Sessions still open answer `sandbox_error` from then on.
  public func close() {
    lock.lock()
    closed = true
    let last = zygote
    zygote = nil
    lock.unlock()
    if let last { Self.end(last) }
  }

  // MARK: - Sessions

  func connect(key: UInt64) throws -> (InterpreterSocket, Int) {
    lock.lock()
    defer { lock.unlock() }
    if closed { throw MartletError(.configuration, "interpreter: closed") }
    for _ in 0..<2 {
      if zygote == nil {
        guard starts < 8 else {
          throw MartletError(.configuration, "interpreter: its process died \(starts) times; see `train doctor`")
        }
        zygote = try start()
      }
      guard let current = zygote else { break }
      lastSerial += 1
      let (near, far) = try InterpreterSocket.pair(stream: true)
      defer { Glibc.close(far) }
      let request = "{\"op\": \"open\", \"id\": \(lastSerial), \"key\": \(key)}"
      if (try? current.control.send(Array(request.utf8), passing: far)) != nil { return (near, lastSerial) }
      zygote = nil
      Self.end(current)
    }
    throw MartletError(.configuration, "interpreter: its process does not answer; see `train doctor`")
  }

  /// Has the zygote kill a session's processes: the last resort when its guardian does not answer.
  func kill(serial: Int) {
    lock.lock()
    defer { lock.unlock() }
    try? zygote?.control.send(Array("{\"op\": \"kill\", \"id\": \(serial)}".utf8))
  }

  // MARK: - The zygote

  private struct Hello: Decodable {
    var ready: String?
    var landlock: Int?
    var preloaded: [String: String]?
    var missing: [String]?
    var python: String?
    var reasons: [String: String]?
    var unshared: String?
    var failed: [String: String]?
  }

  private func start() throws -> Zygote {
    starts += 1
    let python = try PythonRuntime.python(settings.python)
    let source = try PythonRuntime.source("zygote.py")
    let orders: [String: Any] = [
      "tiers": settings.tiersToTry, "time": settings.timeLimit, "memory": settings.memoryBytes,
      "output": settings.outputBytes, "flood": settings.outputLimit, "processes": settings.processLimit,
      "readable": settings.readableFolders, "preload": settings.packages,
      "library": PythonRuntime.snapshotLibrary ?? "",
    ]
    let text = String(decoding: try JSONSerialization.data(withJSONObject: orders), as: UTF8.self)
    let (control, far) = try InterpreterSocket.pair(stream: false)
    let errors = csandbox_memory_file()
    defer { Glibc.close(errors) }
    let process: pid_t
    do {
      defer { Glibc.close(far) }  // only the child's copy counts from here on: its end must be ours to see
      process = try PythonRuntime.spawn(
        python: python, source: source, arguments: [text], control: far, errors: errors)
    }
    do {
      let reply = try control.receiveMessage(before: .now + .seconds(120))
      let hello = try JSONDecoder().decode(Hello.self, from: Data(reply))
      if let tier = hello.ready {
        let report = SandboxReport(
          tier: tier, landlock: hello.landlock ?? 0, python: hello.python ?? "", preloaded: hello.preloaded ?? [:],
          missing: hello.missing ?? [], reasons: hello.reasons ?? [:], unshared: hello.unshared ?? "")
        return Zygote(process: process, control: control, report: report)
      }
      let reasons = (hello.failed ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
      Self.end(Zygote(process: process, control: control, report: Self.noReport))
      throw MartletError(
        .configuration,
        "sandbox: model code cannot be confined on this machine (\(reasons.joined(separator: "; "))); "
          + "`train doctor` names the remedies")
    } catch is InterpreterSocket.Failure {
      Self.end(Zygote(process: process, control: control, report: Self.noReport))
      throw MartletError(
        .configuration, "python: \(python) could not run \(source): \(PythonRuntime.text(ofFile: errors))")
    }
  }

  private static let noReport = SandboxReport(
    tier: "none", landlock: 0, python: "", preloaded: [:], missing: [], reasons: [:], unshared: "")

  private static func end(_ zygote: Zygote) {
    zygote.control.shutDown()
    // Its end of file makes it kill what it has and leave; a second is plenty, then the kernel does it.
    for attempt in 0..<200 {
      if waitpid(zygote.process, nil, WNOHANG) != 0 { return }
      usleep(attempt < 20 ? 500 : 5_000)
    }
    Glibc.kill(zygote.process, SIGKILL)
    waitpid(zygote.process, nil, 0)
  }
}
