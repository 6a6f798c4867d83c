import Foundation
import Reports
import Support

/// What a person wants to know once a run has ended: what came of it, where it lies, what to do next.
struct RunEnding {
  /// The run's folder.
  let folder: String
  /// The command that made it.
  let command: String
  let config: String

  init(_ folder: String, of command: String, config: String) {
    (self.folder, self.command, self.config) = (folder, command, config)
  }

  private struct Best: Decodable {
    var step: Int?
    var best_step: Int?
    var eval_accuracy: Double?
  }

  /// A few lines; what the run does not have is left out.
  var text: String {
    var lines = [title]
    if let figures { lines.append("  figures  " + figures) }
    let files = files
    if !files.isEmpty { lines.append("  files    " + files.joined(separator: "  ")) }
    for (place, next) in next.enumerated() { lines.append((place == 0 ? "  next     " : "           ") + next) }
    return lines.joined(separator: "\n")
  }

  private func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(folder)/\(name)") }

  /// The lines of metrics.jsonl.
  private var metrics: [Substring] {
    guard let data = FileManager.default.contents(atPath: folder + "/metrics.jsonl") else { return [] }
    return String(decoding: data, as: UTF8.self).split(separator: "\n")
  }

  /// `checkpoints/demo: 25 steps, best step 20 (accuracy 61.3 %)`
  private var title: String {
    let steps = metrics.compactMap { try? JSONDecoder().decode(Best.self, from: Data($0.utf8)) }
    guard let last = steps.last?.step else { return "\(folder) is finished" }
    var title = "\(folder) is finished: \(last) step\(last == 1 ? "" : "s")"
    if let best = steps.last(where: { $0.best_step != nil })?.best_step {
      let accuracy = steps.last { $0.step == best }?.eval_accuracy
      title += ", best step \(best)" + (accuracy.map { " (accuracy \(decimals(100 * $0, 1)) %)" } ?? "")
    }
    return title
  }

  /// Of the evaluation at the end, else of the last step.
  private var figures: String? {
    func object(_ text: some StringProtocol) -> [String: Any]? {
      (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any]
    }
    func number(_ object: [String: Any], _ key: String, _ scale: Double = 1) -> String? {
      (object[key] as? Double).map { decimals(scale * $0, scale == 1 ? 2 : 1) }
    }
    if let data = FileManager.default.contents(atPath: folder + "/eval.json"),
      let eval = object(String(decoding: data, as: UTF8.self)), let accuracy = number(eval, "accuracy", 100)
    {
      var interval = ""
      if let low = number(eval, "accuracy_low", 100), let high = number(eval, "accuracy_high", 100) {
        interval = " [\(low), \(high)]"
      }
      let others = ["tokens", "calls"].compactMap { key in number(eval, key).map { "\(key) \($0)" } }
      return (["accuracy \(accuracy) %\(interval)"] + others).joined(separator: ", ")
    }
    guard let last = metrics.last.flatMap({ object($0) }) else { return nil }
    let shown = ["loss", "reward", "accuracy", "tokens", "kl"].compactMap { key in
      (last[key] as? Double).map { "\(key) \(Format.short($0))" }
    }
    return shown.isEmpty ? nil : shown.joined(separator: ", ")
  }

  private var files: [String] {
    ["report.html", "summary.svg", "ablation.txt", "model.h5", "data.jsonl", "eval.json", "episodes"].filter(has)
      .map { shellCommand(["\(folder)/\($0)"]) }
  }

  private var next: [String] {
    func train(_ words: String...) -> String { shellCommand(["train"] + words) }
    switch command {
    case "eval": return [train("show", folder, "--wrong")]
    case "hint":
      return [
        train("show", "\(folder)/data.jsonl"),
        shellCommand(["train", "sft"]) + " FILE --set data=\(folder)/data.jsonl",
      ]
    case "sft", "rft", "rl":
      return [train("ask", folder) + " 'YOUR PROBLEM'", train("report", folder)]
    case "pipeline", "ablate":
      return has("report.html") ? ["open report.html in a browser"] : [train("report", folder)]
    default: return []
    }
  }
}
