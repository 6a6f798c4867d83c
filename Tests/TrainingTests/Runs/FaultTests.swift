import Checkpoint
import Foundation
import Support
import Testing

/// Every call that changes a file, gone wrong in every way (`Fixtures/faults.c`, preloaded): what a run leaves behind
/// is whole or absent, and `--resume` ends as if nothing had happened. A sample of the calls; all of them with
/// `MARTLET_ALL_FAULTS=1`.
@Suite(.serialized) struct FaultTests {
  let program: TrainProgram
  private let library: String
  private static let kinds = ["kill", "torn", "enospc", "eio", "short", "eintr"]

  init() throws {
    program = try TrainProgram()
    library = program.file("faults.so")
    let compiler = Process()
    compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let source = try #require(Bundle.module.path(forResource: "Fixtures/faults", ofType: "c"))
    compiler.arguments = ["clang", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]
    try compiler.run()
    compiler.waitUntilExit()
    #expect(compiler.terminationStatus == 0, "clang, which comes with Swift, could not compile faults.c")
  }

  private func train(_ run: String, call: Int?, kind: String = "", resume: Bool = false) throws -> TrainProgram.Outcome
  {
    let arguments =
      ["sft", "sft.yaml", "--set", "run=./\(run)", "--set", "save_every=1", "--threads", "1"]
      + (resume ? ["--resume"] : [])
    var environment = ProcessInfo.processInfo.environment
    if let call {
      environment["LD_PRELOAD"] = library
      environment["FAULT_CALL"] = "\(call)"
      environment["FAULT_KIND"] = kind
      environment["FAULT_LOG"] = program.file("calls.log")
    }
    return try program.end(program.start(arguments, environment: environment))
  }

  /// The hash of each step folder's weights, and of the model's; every folder that has its name must open.
  private func hashes(_ run: String) throws -> [String: String] {
    var hashes: [String: String] = [:]
    // The first calls come before the folder.
    guard FileManager.default.fileExists(atPath: program.file(run)) else { return hashes }
    for name in try FileManager.default.contentsOfDirectory(atPath: program.file(run)) {
      guard name == "model.h5" || name.hasPrefix("step-") else { continue }
      hashes[name] = weightsHash(try ModelSource.load(program.file("\(run)/\(name)")).model)
    }
    return hashes
  }

  @Test func whateverFailsNothingIsTorn() throws {
    _ = try program.makeModel()
    _ = try program.makeStage()
    let clean = try train("clean", call: 0)
    #expect(clean.status == 0, "\(clean.errors)")
    let wanted = try hashes("clean")
    #expect(wanted.keys.sorted() == ["model.h5", "step-00000001", "step-00000002", "step-00000003"])
    let calls = try String(contentsOfFile: program.file("calls.log"), encoding: .utf8).split(separator: "\n")
    for name in ["pwrite", "fsync", "rename", "mkdir", "unlink"] {
      #expect(calls.contains { $0.hasSuffix(" " + name) }, "\(name) is not among the \(calls.count) calls")
    }
    let all = ProcessInfo.processInfo.environment["MARTLET_ALL_FAULTS"] != nil
    // A prime step visits every kind of call without visiting every call.
    let pairs = (1...calls.count).flatMap { call in Self.kinds.map { (call, $0) } }
    var failed = 0
    for (index, (call, kind)) in pairs.enumerated() where all || index % 37 == 5 {
      let outcome = try train("run", call: call, kind: kind)
      let place = "\(kind) at call \(calls[call - 1])"
      switch kind {
      case "kill": #expect(outcome.status == SIGKILL, "\(place)")
      case "torn": #expect([0, SIGKILL].contains(outcome.status), "\(place): \(outcome.errors)")
      case "short", "eintr": #expect(outcome.status == 0, "\(place): \(outcome.errors)")
      default: #expect([0, 74].contains(outcome.status), "\(place): \(outcome.status) \(outcome.errors)")
      }
      if outcome.status != 0 { failed += 1 }
      for (name, hash) in try hashes("run") { #expect(hash == wanted[name], "\(place): \(name)") }
      let resumed = try train("run", call: nil, resume: true)
      #expect(resumed.status == 0, "\(place): \(resumed.errors)")
      #expect(try hashes("run")["model.h5"] == wanted["model.h5"], "\(place)")
      let names = try FileManager.default.contentsOfDirectory(atPath: program.file("run"))
      let litter = names.filter { $0.hasPrefix(".") }
      #expect(litter.isEmpty, "\(place): \(litter)")
      try FileManager.default.removeItem(atPath: program.file("run"))
    }
    #expect(failed > 5)
  }
}
