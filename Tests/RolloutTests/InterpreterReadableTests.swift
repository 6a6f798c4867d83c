import Support
import Foundation
import Tensor
import Testing

@testable import Rollout

/// `interpreter.readable`: what of the machine's files snippets are shown besides Python.
@Suite struct InterpreterReadableTests {
  /// Each trajectory has a /tmp of its own, which must not hide what was asked for.
  @Test(arguments: [InterpreterSettings.Tier.T3, .T2])
  func aFolderBelowTmpIsShown(_ tier: InterpreterSettings.Tier) throws {
    let folder = "/tmp/martlet-readable-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder + "/shown", withIntermediateDirectories: true)
    try "told\n".write(toFile: folder + "/shown/file", atomically: false, encoding: .utf8)
    try "secret\n".write(toFile: folder + "/hidden", atomically: false, encoding: .utf8)
    let host = try InterpreterHost(
      settings: InterpreterSettings(packages: [], tier: tier, readableFolders: [folder + "/shown"]))
    defer { host.close() }
    for key in 0..<2 {
      let session = try host.open(key: UInt64(key))
      #expect(session.run("print(open('\(folder)/shown/file').read(), end='')").output == "told\n")
      #expect(session.run("open('\(folder)/hidden')").status != .ok)
      for attempt in ["open('\(folder)/shown/file', 'a')", "open('\(folder)/shown/new', 'w')"] {
        #expect(session.run(attempt).status == .refused)
      }
      // A trajectory may remove its own link, and then misses the folder itself.
      _ = session.run("import os\nos.unlink('\(folder)/shown')")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/shown") == ["file"])
  }

  @Test(arguments: ["/", "/tmp", "/tmp/.", "/home", "/martlet-is-not-here"])
  func whatCannotBeShownIsAnError(_ folder: String) throws {
    do {
      _ = try InterpreterHost(settings: InterpreterSettings(packages: [], readableFolders: [folder]))
      Issue.record("accepted")
    } catch let error as MartletError {
      #expect(error.status == .configuration)
      #expect(error.message.hasPrefix("interpreter.readable: \(folder)"))
    }
  }
}
