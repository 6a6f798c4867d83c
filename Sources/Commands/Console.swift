import Foundation
import Reports
import Synchronization
import Training

/// Shows events on standard error: a progress bar on a terminal, plain lines every few seconds elsewhere. Results go to
/// standard output.
final class Console: Sendable {
  static let shared = Console()

  private let isTerminal = isatty(2) == 1
  private struct Shown {
    var hasBar = false
    var last: ContinuousClock.Instant?
    var started: [String: ContinuousClock.Instant] = [:]
  }
  private let shown = Mutex(Shown())

  /// A line of results on standard output.
  static func out(_ text: String) { write(text.hasSuffix("\n") ? text : text + "\n", to: 1) }
  /// Text on standard output as it stands.
  static func stream(_ text: String) { write(text, to: 1) }
  /// A line on standard error, below what is being drawn.
  static func note(_ text: String) { shared.shown.withLock { shared.line(text, &$0) } }
  static func warning(_ text: String) { note("warning: \(text)") }
  static func error(_ text: String) { note("error: \(text)") }

  /// Nobody reads any more: that is no reason to stop the work.
  private static func write(_ text: String, to file: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }

  func show(_ event: Event) {
    shown.withLock { state in
      switch event {
      case .progress(let progress): draw(progress, &state)
      case .note(let text): line(text, &state)
      case .warning(let text): line("warning: " + text, &state)
      case .stageStarted(let name, let detail): line("== \(name): \(detail)", &state)
      case .stageEnded(let name, let seconds): line("   \(name) took \(Self.time(seconds))", &state)
      case .step(let metrics): line(Self.summary(metrics), &state)
      }
    }
  }

  /// Takes an unfinished bar away, so that whatever comes next begins a line.
  func finish() {
    shown.withLock { state in
      if state.hasBar { Self.write("\n", to: 2) }
      state.hasBar = false
    }
  }

  private func line(_ text: String, _ state: inout Shown) {
    let end = text.hasSuffix("\n") ? "" : "\n"
    Self.write((state.hasBar ? "\r\u{1B}[K" : "") + text + end, to: 2)
    state.hasBar = false
  }

  private func draw(_ progress: Reports.Progress, _ state: inout Shown) {
    let now = ContinuousClock.now
    let isLast = progress.done >= progress.total
    let start = state.started[progress.what] ?? now
    state.started[progress.what] = isLast ? nil : start
    let pause: Duration = isTerminal ? .milliseconds(100) : .seconds(5)
    guard isLast || state.last.map({ now - $0 > pause }) ?? true else { return }
    state.last = now
    var text = "\(progress.what) \(progress.done)/\(progress.total) \(progress.unit)"
    let spent = Double((now - start) / .milliseconds(1)) / 1000
    if let rate = progress.rate {
      text += ", \(Self.short(rate)) tokens/s"
    } else if progress.done > 0, spent > 0.5 {
      text += ", \(Self.short(Double(progress.done) / spent))/s"
    }
    if progress.done > 0, !isLast, spent > 0.5 {
      text += ", " + Self.time(spent * Double(progress.total - progress.done) / Double(progress.done)) + " left"
    }
    guard isTerminal else { return line(text, &state) }
    let width = 24
    let filled = min(width, width * progress.done / max(1, progress.total))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    Self.write("\r\u{1B}[K\(bar) \(text)" + (isLast ? "\n" : ""), to: 2)
    state.hasBar = !isLast
  }

  private static func time(_ seconds: Double) -> String {
    switch seconds {
    case ..<60: "\(short(seconds)) s"
    case ..<3600: "\(Int(seconds) / 60) min \(Int(seconds) % 60) s"
    default: "\(Int(seconds) / 3600) h \(Int(seconds) % 3600 / 60) min"
    }
  }

  /// A step on one line.
  private static func summary(_ metrics: Metrics) -> String {
    let shown = ["step", "loss", "reward", "accuracy", "tokens", "kl", "entropy", "grad_norm", "tokens_per_second"]
    var parts: [String] = []
    for key in shown {
      switch metrics[key] {
      case .int(let value)?: parts.append("\(key) \(value)")
      case .double(let value)?: parts.append("\(key) \(short(value))")
      default: break
      }
    }
    if case .string(let hash)? = metrics["state_hash"] { parts.append("state \(hash.prefix(12))") }
    return parts.joined(separator: "  ")
  }

  /// Four digits are enough to read.
  private static func short(_ value: Double) -> String {
    value.magnitude >= 1000 && value.magnitude < 1e15 ? String(Int(value)) : String(format: "%.4g", value)
  }
}
