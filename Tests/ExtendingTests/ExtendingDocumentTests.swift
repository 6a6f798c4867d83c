import Foundation
import PPO
import Rollout
import Support
import TestSupport
import Testing

/// docs/extending.md shows code that is compiled and run.
@Suite struct ExtendingDocumentTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  private static func text(_ name: String) throws -> String {
    try String(contentsOfFile: root + "/" + name, encoding: .utf8)
  }

  @Test func everyBlockStandsInItsFile() throws {
    let document = try Self.text("docs/extending.md")
    let lines = document.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count <= 125 && lines.allSatisfy { $0.count <= 100 })
    let blocks = document.matches(of: /<!-- (\S+) -->\n```\w+\n((?:.*\n)*?)```\n/)
    #expect(blocks.count == 6 && document.matches(of: /(?m)^```/).count == 12, "a block without its file")
    for block in blocks {
      let (name, code) = (String(block.1), String(block.2))
      #expect(code.count > 100, "\(name)")
      #expect(try Self.text(name).hasSuffix(code), "\(name) is not what the document shows")
    }
    for name in document.matches(of: /\]\(([^)#]+)\)/).map(\.1) {
      #expect(FileManager.default.fileExists(atPath: Self.root + "/docs/" + name), "\(name)")
    }
    for name in document.matches(of: /`([A-Za-z+]+\.swift)`/).map(\.1) {
      let found = try FileManager.default.subpathsOfDirectory(atPath: Self.root + "/Sources").contains {
        $0.hasSuffix("/" + name)
      }
      #expect(found, "\(name) is in no module")
    }
  }

  @Test func theFamilyIsAFileOfProblems() throws {
    let folder = try ScratchFolder()
    try JSONLines.write(clockProblems(count: 500), to: folder.path + "/clock.jsonl")
    let problems = try Problem.readFile(folder.path + "/clock.jsonl")
    #expect(problems == clockProblems(count: 500) && Set(problems.map(\.id)).count == 500)
    #expect(problems[30].problem.hasPrefix("A train leaves at minute 1110 and travels 405 minutes."))
    #expect(problems[30].gold == "75")
  }

  /// The derivative is that of the loss.
  @Test func theLossIsDifferentiatedRightly() {
    let objective = PolicyObjective(policy: RootLoss())
    #expect(!objective.requiresSequence)
    for advantage in [-4.0, 0, 0.25] {
      let step = 1e-3 as Float
      func loss(_ logProb: Float) -> Double {
        objective.token(logProb: logProb, oldLogProb: -2, advantage: advantage, weight: 0.5).loss
      }
      let slope = (loss(-1 + step) - loss(-1 - step)) / Double(2 * step)
      let token = objective.token(logProb: -1, oldLogProb: -2, advantage: advantage, weight: 0.5)
      #expect(abs(token.dLogProb - slope) < 1e-4)
      #expect(token.dLogProb == (advantage < 0 ? 0.5 : -0.5) * abs(advantage).squareRoot())
    }
  }

  @Test func theArchitectureNamesItsParameters() {
    #expect(
      addedParameters() == ["model.layers.0.self_attn.q_norm.weight", "model.layers.0.self_attn.k_norm.weight"])
  }
}
