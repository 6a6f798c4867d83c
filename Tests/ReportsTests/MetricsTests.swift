import Foundation
import Support
import TestSupport
import Testing
@testable import Reports

@Suite struct MetricsTests {
  @Test func lineKeepsOrderAndShortestNumbers() {
    var metrics = Metrics(step: 3)
    metrics["loss"] = .double(0.1)
    metrics["reward"] = .double(2)
    metrics["learning_rate"] = .double(1e-6)
    metrics["grad_norm"] = .double(.infinity)
    metrics["kl"] = .double(.nan)
    metrics["accuracy"] = .null
    metrics["name"] = .string("a \"b\"\\\n\u{1}é")
    metrics["loss"] = .double(1.0 / 3)
    #expect(
      metrics.line == #"{"step": 3, "loss": 0.3333333333333333, "reward": 2, "learning_rate": 1e-06, "#
        + #""grad_norm": null, "kl": null, "accuracy": null, "name": "a \"b\"\\\n\u0001é"}"# + "\n")
    metrics["reward"] = nil
    #expect(metrics.keys == ["step", "loss", "learning_rate", "grad_norm", "kl", "accuracy", "name"])
    #expect(metrics.numbers.map(\.key) == ["loss", "learning_rate"])
    #expect(metrics.step == 3)
  }

  @Test func everyDoubleReadsBack() throws {
    for value in [0.1, -1e300, Double.leastNonzeroMagnitude, 123456789.125, 1.0 / 3, 1e16, -0.5] {
      var metrics = Metrics()
      metrics["x"] = .double(value)
      let object = try #require(try JSONSerialization.jsonObject(with: Data(metrics.line.utf8)) as? [String: Double])
      #expect(object["x"] == value)
    }
  }

  @Test func resumeCutsLaterAndTornLines() throws {
    let folder = try ScratchFolder()
    do {
      let writer = try MetricsWriter(run: folder.path)
      for step in 1...4 {
        var metrics = Metrics(step: step)
        metrics["loss"] = .double(Double(step) / 2)
        try writer.write(metrics)
      }
      writer.close()
    }
    let whole = try folder.read("metrics.jsonl")
    #expect(whole.split(separator: "\n").count == 4)
    try folder.write(whole + "{\"step\": 5, \"lo", "metrics.jsonl")
    let writer = try MetricsWriter(run: folder.path, resumeAfter: 2)
    #expect(try folder.read("metrics.jsonl") == "{\"step\": 1, \"loss\": 0.5}\n{\"step\": 2, \"loss\": 1}\n")
    var metrics = Metrics(step: 3)
    metrics["loss"] = 7
    try writer.write(metrics)
    #expect(try folder.read("metrics.jsonl").hasSuffix("{\"step\": 2, \"loss\": 1}\n{\"step\": 3, \"loss\": 7}\n"))
  }

  @Test func missingFolderIsAnErrorThatNamesTheFile() {
    #expect { _ = try MetricsWriter(run: "/nonexistent/run") } throws: {
      "\($0)".contains("/nonexistent/run/metrics.jsonl")
    }
  }
}
