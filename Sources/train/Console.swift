import Foundation
import Pipeline
import Synchronization

/// Shows events: a progress bar on a terminal, plain lines elsewhere. All on standard error, but for results.
final class Console: Sendable {
  private let isTerminal = isatty(2) == 1
  private struct Shown {
    var bar = false
    var last = ContinuousClock.now - .seconds(60)
    var started: [String: ContinuousClock.Instant] = [:]
  }
  private let shown = Mutex(Shown())

  static func error(_ message: String) { write("error: \(message)\n") }

  /// A line of results on standard output.
  static func out(_ text: String) {
    FileHandle.standardOutput.write(Data((text.hasSuffix("\n") ? text : text + "\n").utf8))
  }

  static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

  func show(_ event: Event) {
    shown.withLock { state in
      switch event {
      case .progress(let progress): draw(progress, &state)
      case .note(let text): line(text, &state)
      case .warning(let text): line("warning: " + text, &state)
      case .stageStarted(let name, let detail): line("== \(name): \(detail)", &state)
      case .stageEnded(let name, let seconds): line("   \(name) took \(Self.time(seconds))", &state)
      case .step(let metrics): line(Self.summary(metrics), &state)
      case .episode: break
      }
    }
  }

  private func line(_ text: String, _ state: inout Shown) {
    Self.write((state.bar ? "\r\u{1B}[K" : "") + text + "\n")
    state.bar = false
  }

  private func draw(_ progress: Pipeline.Progress, _ state: inout Shown) {
    let now = ContinuousClock.now
    let start = state.started[progress.what] ?? now
    state.started[progress.what] = progress.done >= progress.total ? nil : start
    let isLast = progress.done >= progress.total
    guard isLast || now - state.last > (isTerminal ? .milliseconds(100) : .seconds(10)) else { return }
    state.last = now
    var text = "\(progress.what) \(progress.done)/\(progress.total) \(progress.unit)"
    if let rate = progress.rate { text += ", \(Int(rate)) tokens/s" }
    let spent = Double((now - start) / .milliseconds(1)) / 1000
    if progress.done > 0, !isLast, spent > 0.5 {
      text += ", " + Self.time(spent * Double(progress.total - progress.done) / Double(progress.done)) + " left"
    }
    guard isTerminal else { return Self.write(text + "\n") }
    let width = 24
    let filled = width * progress.done / max(1, progress.total)
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    Self.write("\r\u{1B}[K\(bar) \(text)" + (isLast ? "\n" : ""))
    state.bar = !isLast
  }

  private static func time(_ seconds: Double) -> String {
    seconds < 60
      ? "\((seconds * 10).rounded() / 10) s" : "\(Int(seconds) / 60) min \(Int(seconds) % 60) s"
  }

  /// A step on one line.
  private static func summary(_ metrics: Metrics) -> String {
    let shown = ["step", "loss", "reward", "accuracy", "tokens", "kl", "entropy", "grad_norm", "tokens_per_second"]
    var parts: [String] = []
    for key in shown {
      switch metrics[key] {
      case .int(let value)?: parts.append("\(key) \(value)")
      case .double(let value)?: parts.append("\(key) \(Float(value).rounded4)")
      default: break
      }
    }
    if case .string(let hash)? = metrics["state_hash"] { parts.append("state \(hash.prefix(12))") }
    return parts.joined(separator: "  ")
  }
}

extension Float {
  /// Four digits are enough to read.
  fileprivate var rounded4: String { String(format: "%.4g", Double(self)) }
}
