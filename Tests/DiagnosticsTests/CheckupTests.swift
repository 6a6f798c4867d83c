import Foundation
import Support
import TestSupport
import Testing
@testable import Diagnostics

@Suite struct CheckupTests {
  @Test func thisMachineIsLookedAt() throws {
    let folder = try ScratchFolder()
    let checkup = Checkup.run(folder: folder.path + "/runs")
    let found = Dictionary(uniqueKeysWithValues: checkup.findings.map { ($0.name, $0) })
    // What this very test needs to run at all must be found in order.
    for name in ["processor", "cores", "OpenBLAS", "Python", "disk", "fsync"] {
      let finding = try #require(found[name], "\(name) was not looked at")
      #expect(finding.ok, "\(name): \(finding.text)")
    }
    #expect(found["OpenBLAS"]?.text.contains("OpenBLAS") == true)
    for name in ["math-verify", "sandbox", "grader"] {
      let finding = try #require(found[name])
      #expect(finding.status == .ok || finding.remedy != nil, "\(finding.text)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/runs").isEmpty)
    #expect(checkup.text.split(separator: "\n").count >= checkup.findings.count)
    let data = try JSONEncoder().encode(checkup)
    #expect(try JSONDecoder().decode(Checkup.self, from: data) == checkup)
  }

  @Test func whatIsMissingHasARemedy() {
    let checkup = Checkup.run(folder: "/proc/nowhere", python: "/nonexistent/python3")
    for name in ["Python", "sandbox", "grader", "disk"] {
      let finding = checkup.findings.first { $0.name == name }
      #expect(finding?.status == .failed && finding?.remedy != nil, "\(name): \(finding?.text ?? "not looked at")")
    }
    #expect(!checkup.ok && checkup.text.contains("FAILED"))
  }
}
