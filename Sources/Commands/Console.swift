import Foundation
import Reports
import Synchronization
import Training

/// Shows events on standard error: on a terminal two lines that are drawn again and again below the messages, elsewhere
/// plain lines now and then. Results go to standard output.
final class Console: Sendable {
  static let shared = Console()

  private struct Shown {
    var display = ProgressDisplay()
    var drawn: ContinuousClock.Instant?
    /// When progress, and a step, last got a line of their own.
    var progressLine: ContinuousClock.Instant?
    var stepLine: ContinuousClock.Instant?
  }
  private let shown = Mutex(Shown())
  private var terminal: Terminal { .errors }

  /// How often the bottom lines are drawn, how often a log gets a line about progress, and how often a step gets one.
  private static let drawPause = Duration.milliseconds(100)
  private static let logPause = Duration.seconds(10)
  private static let stepPause = Duration.seconds(1)

  /// A line of results on standard output.
  static func out(_ text: String) { stream(text.hasSuffix("\n") ? text : text + "\n") }

  /// Text on standard output as it stands.
  /// - Returns: whether somebody still reads. That nobody does is no reason to stop the work.
  @discardableResult
  static func stream(_ text: String) -> Bool {
    shared.shown.withLock { state in
      shared.erase()
      return Terminal.output.write(text)
    }
  }

  /// A line on standard error, above what is being drawn.
  static func note(_ text: String) { shared.shown.withLock { shared.line(text, &$0) } }
  static func warning(_ text: String) { note("warning: \(text)") }
  static func error(_ text: String) { note("error: \(text)") }

  func show(_ event: Event) {
    shown.withLock { state in
      let now = ContinuousClock.now
      state.display.take(event, now)
      switch event {
      case .progress, .steps, .phase: progress(&state, now)
      case .part(let part): if !terminal.isInteractive { line(ProgressDisplay.place(part), &state) }
      case .note(let text): line(text, &state)
      case .warning(let text): line("warning: " + text, &state)
      case .stageStarted(let name, let detail): line("== \(name): \(detail)", &state)
      case .stageEnded(let name, let seconds): line("   \(name) took \(Format.time(seconds))", &state)
      case .step(let metrics): step(metrics, &state, now)
      case .evaluated(let evaluation, let step):
        line("evaluation" + (step.map { " of step \($0)" } ?? "") + ": " + evaluation.line, &state)
      }
    }
  }

  /// Takes away what is drawn, and draws nothing more: to be called before the last messages.
  func finish() {
    shown.withLock { state in
      erase()
      state = Shown()
    }
  }

  private func line(_ text: String, _ state: inout Shown) {
    erase()
    terminal.write(text.hasSuffix("\n") ? text : text + "\n")
    if state.drawn != nil { draw(&state, .now) }
  }

  private func progress(_ state: inout Shown, _ now: ContinuousClock.Instant) {
    if terminal.isInteractive {
      guard state.drawn.map({ now - $0 > Self.drawPause }) ?? true else { return }
      draw(&state, now)
    } else {
      // The first line after a pause: short work needs none.
      guard let last = state.progressLine else { return state.progressLine = now }
      guard now - last > Self.logPause else { return }
      state.progressLine = now
      line(state.display.plain(now), &state)
    }
  }

  /// Draws the lines and goes back to where they begin. Whatever a change of the window makes of them, they are below
  /// the cursor and can be erased.
  private func draw(_ state: inout Shown, _ now: ContinuousClock.Instant) {
    state.drawn = now
    let size = terminal.size
    // The last column stays free: some terminals begin a new line once it is written.
    let lines = state.display.lines(now).suffix(max(1, min(2, size.rows - 1))).map { $0.text(max(1, size.columns - 1)) }
    let back = lines.count > 1 ? "\u{1B}[\(lines.count - 1)A" : ""
    terminal.write("\r\u{1B}[J" + lines.joined(separator: "\n") + back + "\r")
    Terminal.isDrawn.store(!lines.isEmpty, ordering: .relaxed)
  }

  private func erase() {
    guard Terminal.isDrawn.exchange(false, ordering: .relaxed) else { return }
    terminal.write("\r\u{1B}[J")
  }

  /// A step's line. Of quick ones only some are shown; metrics.jsonl has all.
  private func step(_ metrics: Metrics, _ state: inout Shown, _ now: ContinuousClock.Instant) {
    guard state.stepLine.map({ now - $0 > Self.stepPause }) ?? true else { return }
    state.stepLine = now
    line(Self.summary(metrics, columns: terminal.isInteractive ? terminal.size.columns : .max), &state)
  }

  /// A step on one line: of its figures as many as fit.
  private static func summary(_ metrics: Metrics, columns: Int) -> String {
    let shown = [
      "step", "loss", "reward", "accuracy", "tokens", "kl", "teacher_kl", "grad_norm", "entropy", "tokens_per_second",
    ]
    var parts: [String] = []
    for key in shown {
      switch metrics[key] {
      case .int(let value)?: parts.append("\(key) \(value)")
      case .double(let value)?: parts.append("\(key) \(Format.short(value))")
      default: break
      }
    }
    while parts.count > 1, parts.joined(separator: "  ").columns > columns { parts.removeLast() }
    return parts.joined(separator: "  ")
  }
}
