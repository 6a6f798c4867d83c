import Checkpoint
import Foundation
import Reports
import Rollout
import Support
import Tensor
import Training

/// Shows, on a user's own configuration, that a killed and resumed run ends like an undisturbed one: `train
/// verify-resume`.
///
/// The program runs itself: once to the end, then with SIGKILL after random times and `--resume`, until there were
/// enough kills. Every model, metric and episode must be the same; only times may differ.
public struct ResumeCheck {
  /// What the check found.
  public struct Result: Sendable, Equatable {
    /// How many kills found the run alive.
    public var kills = 0
    /// How many killed runs came to their end.
    public var rounds = 0
    /// How many files were compared in each.
    public var files = 0
  }

  /// The program.
  public var program: String
  /// Its arguments before `--set` and `--resume`, such as `["rl", "config.yaml"]`.
  public var arguments: [String]
  /// Overrides as `key=value`, without the run's name.
  public var overrides: [String]
  /// The folder of both runs, `RUN-verify`. It is removed if they end alike.
  let folder: String
  /// How often the run is killed.
  public var kills: Int
  /// Draws the moments of the kills.
  public var seed: UInt64

  /// - Parameter run: the name that the configuration gives its run.
  public init(program: String, arguments: [String], overrides: [String], run: String, kills: Int, seed: UInt64) {
    self.program = program
    self.arguments = arguments
    self.overrides = overrides
    folder = RunFolder.path(run) + "-verify"
    self.kills = kills
    self.seed = seed
  }

  /// - Throws: `MartletError`: configuration when the folder is there; data naming the first difference, or when the
  ///   program fails; `Interrupted`.
  public func run(context: StageContext) throws -> Result {
    guard !FileManager.default.fileExists(atPath: folder) else {
      throw MartletError(
        .configuration, "\(folder): already exists, from a check that failed; look at it and remove it")
    }
    let straight = folder + "/straight"
    let killed = folder + "/killed"
    let started = ContinuousClock.now
    try toTheEnd(straight, resume: false, context)
    let seconds = started.secondsSince
    context.onEvent(.note("undisturbed it takes \(decimals(seconds, 1)) s"))
    var random = CounterRandom(seed: seed, path: [stableHash("verify-resume")])
    var result = Result()
    while result.kills < kills {
      var resume = false
      while result.kills < kills {
        let pause = random.uniform() * seconds
        guard try isKilled(killed, after: pause, resume: resume, context) else { break }
        resume = true
        result.kills += 1
        context.onEvent(.note("kill \(result.kills) of \(kills), after \(decimals(pause, 2)) s"))
      }
      // A run that was not killed has ended; resuming a finished run changes nothing.
      try toTheEnd(killed, resume: true, context)
      result.files = try RunComparison(straight, killed).files()
      result.rounds += 1
      try FileManager.default.removeItem(atPath: killed)
    }
    try FileManager.default.removeItem(atPath: folder)
    return result
  }

  private func start(_ run: String, resume: Bool) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments =
      arguments + (overrides + ["run=\(run)"]).flatMap { ["--set", $0] } + (resume ? ["--resume"] : [])
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    let log = run + ".log"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    guard FileManager.default.createFile(atPath: log, contents: nil), let errors = FileHandle(forWritingAtPath: log)
    else { throw MartletError(.io, "\(log): cannot be written; check its folder") }
    process.standardError = errors
    try process.run()
    return process
  }

  private func toTheEnd(_ run: String, resume: Bool, _ context: StageContext) throws {
    let process = try start(run, resume: resume)
    _ = try wait(for: process, seconds: .infinity, context)
    try requireSuccess(process, run)
  }

  /// - Returns: whether it still ran after `seconds`.
  private func isKilled(
    _ run: String, after seconds: Double, resume: Bool, _ context: StageContext
  ) throws -> Bool {
    let process = try start(run, resume: resume)
    if try wait(for: process, seconds: seconds, context) {
      try requireSuccess(process, run)
      return false
    }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    return process.terminationReason == .uncaughtSignal
  }

  /// - Returns: whether it ended in time.
  private func wait(for process: Process, seconds: Double, _ context: StageContext) throws -> Bool {
    let started = ContinuousClock.now
    while process.isRunning {
      if context.isCancelled {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        throw Interrupted()
      }
      if started.secondsSince >= seconds { return false }
      usleep(2000)
    }
    return true
  }

  private func requireSuccess(_ process: Process, _ run: String) throws {
    process.waitUntilExit()
    guard process.terminationReason != .exit || process.terminationStatus != 0 else { return }
    let lines = (try? String(contentsOfFile: run + ".log", encoding: .utf8))?.split(separator: "\n") ?? []
    let last = lines.last { $0.hasPrefix("error: ") } ?? lines.last ?? "nothing was written"
    throw MartletError(
      .data,
      "\(run): ended with status \(process.terminationStatus) (\(last)); see \(run).log and correct what it names")
  }
}

/// Whether two runs' folders hold the same results.
struct RunComparison {
  private let first, second: String
  /// Keys that depend on the clock or on the folder's name.
  private static let ignored: Set = ["seconds", "sampling_seconds", "tokens_per_second", "ms", "model", "path"]

  init(_ first: String, _ second: String) {
    self.first = first
    self.second = second
  }

  /// - Returns: the number of files compared.
  /// - Throws: `MartletError` (data) naming the first difference.
  func files() throws -> Int {
    let names = Self.results(first)
    let others = Self.results(second)
    if let lost = Set(names).symmetricDifference(others).min() {
      throw MartletError(.data, "\(names.contains(lost) ? second : first): has no \(lost), the other run has")
    }
    for name in names {
      let (a, b) = (first + "/" + name, second + "/" + name)
      if name.hasSuffix(".h5") {
        let hashes = try [a, b].map { weightsHash(try ModelFile.read($0).model) }
        guard hashes[0] == hashes[1] else { throw different(name, "weights", hashes[0], hashes[1]) }
      } else {
        try compareLines(name, Self.lines(a), Self.lines(b))
      }
    }
    return names.count
  }

  private func compareLines(_ name: String, _ a: [String], _ b: [String]) throws {
    for (index, (x, y)) in zip(a, b).enumerated() where x != y {
      let place = "line \(index + 1)"
      guard let one = Self.plain(x), let other = Self.plain(y) else { throw different(name, place, x, y) }
      if let found = Self.difference(one, other, at: "") {
        throw different(name, place + found.place, found.first, found.second)
      }
    }
    guard a.count == b.count else { throw different(name, "lines", "\(a.count)", "\(b.count)") }
  }

  private func different(_ name: String, _ what: String, _ a: String, _ b: String) -> MartletError {
    MartletError(
      .data, "\(name): \(what): \(a) when left alone, \(b) when killed and resumed; both are in \(first), \(second)")
  }

  /// Model files, lines and summaries, relative to the folder. Intermediate checkpoints are not results; a report only
  /// pictures them.
  private static func results(_ folder: String) -> [String] {
    let all = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return all.filter { name in
      let parts = name.split(separator: "/")
      guard let last = parts.last, !last.hasPrefix("."), !parts.dropLast().contains(where: { $0.hasPrefix("step-") })
      else { return false }
      return [".h5", ".jsonl", ".json"].contains { last.hasSuffix($0) }
    }.sorted()
  }

  /// The lines of a file; one line for a file that is one JSON value.
  private static func lines(_ path: String) throws -> [String] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw MartletError(.io, "\(path): cannot be read; check its rights")
    }
    let text = String(decoding: data, as: UTF8.self)
    return path.hasSuffix(".jsonl") ? text.split(separator: "\n").map(String.init) : [text]
  }

  private static func plain(_ line: String) -> Any? {
    try? JSONSerialization.jsonObject(with: Data(line.utf8), options: .fragmentsAllowed)
  }

  /// The first place where two JSON values differ, apart from what is ignored.
  static func difference(_ a: Any, _ b: Any, at place: String) -> (place: String, first: String, second: String)? {
    switch (a, b) {
    case (let a as [String: Any], let b as [String: Any]):
      for key in Set(a.keys).union(b.keys).sorted() where !ignored.contains(key) {
        if let found = difference(a[key] ?? NSNull(), b[key] ?? NSNull(), at: place + ", " + key) { return found }
      }
      return nil
    case (let a as [Any], let b as [Any]) where a.count == b.count:
      for index in a.indices {
        if let found = difference(a[index], b[index], at: place + "[\(index)]") { return found }
      }
      return nil
    case (let a as NSObject, let b as NSObject) where a == b: return nil
    default: return (place, "\(a)", "\(b)")
    }
  }
}
