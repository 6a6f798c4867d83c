import Reports
import Support

/// What stands at the bottom of a terminal while a command works: a line for the run and a line for what it does now.
struct ProgressDisplay {
  /// A line whose parts are left out as the window gets narrower.
  struct Line: Equatable {
    /// From the most general on; the last one stays longest.
    var head: [String]
    /// From 0 to 1; nil: no bar.
    var share: Double?
    /// From the most important on.
    var tail: [String] = []

    /// The text in at most `limit` columns.
    func text(_ limit: Int) -> String {
      var head = head[...]
      while head.count > 1, head.joined(separator: " · ").columns > limit { head.removeFirst() }
      let text = head.joined(separator: " · ").fitted(limit)
      let least = share == nil ? 0 : Self.leastBar + 2
      var tail = tail[...]
      func ending() -> String { tail.isEmpty ? "" : "  " + tail.joined(separator: ", ") }
      while !tail.isEmpty, text.columns + least + ending().columns > limit { tail.removeLast() }
      let room = limit - text.columns - ending().columns - 2
      guard let share, room >= Self.leastBar else { return text + ending() }
      let width = min(room, Self.mostBar)
      let filled = Int((min(1, max(0, share)) * Double(width)).rounded(.down))
      return text + "  " + String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        + ending()
    }

    private static let leastBar = 8
    private static let mostBar = 24
  }

  /// Counted work, and where the count stood when it was first heard of.
  private struct Counted {
    var progress: Progress
    let first: Int
    let began: ContinuousClock.Instant
    var changed: ContinuousClock.Instant

    /// What is left at the pace so far; nil: nothing has been done yet.
    func secondsLeft(_ now: ContinuousClock.Instant) -> Double? {
      let done = progress.done - first
      guard done > 0, progress.done < progress.total else { return nil }
      let spent = (changed - began).seconds
      let since = (now - changed).seconds
      guard spent > 0.5 else { return nil }
      return max(0, spent / Double(done) * Double(progress.total - progress.done) - since)
    }

    func rate(_ now: ContinuousClock.Instant) -> String? {
      if let rate = progress.rate { return "\(Format.short(rate)) tokens/s" }
      return nil
    }
  }

  private var run: Part?
  private var stage: Part?
  private var stageName: String?
  private var steps: Counted?
  private var phase: Counted?
  private var uncounted: String?

  mutating func take(_ event: Event, _ now: ContinuousClock.Instant) {
    switch event {
    case .part(let part) where part.kind == .run: (run, stage, stageName) = (part, nil, nil)
    case .part(let part): (stage, stageName) = (part, nil)
    case .stageStarted(let name, _):
      stageName = name
      (steps, phase, uncounted) = (nil, nil, nil)
    case .stageEnded: (steps, phase, uncounted) = (nil, nil, nil)
    case .steps(let progress):
      Self.count(&steps, progress, now)
      (phase, uncounted) = (nil, nil)
    case .progress(let progress):
      Self.count(&phase, progress, now)
      uncounted = nil
    case .phase(let text): (phase, uncounted) = (nil, text)
    case .note, .warning, .step, .evaluated: break
    }
  }

  /// Counts go on from where they were, or begin anew when it is other work.
  private static func count(_ counted: inout Counted?, _ progress: Progress, _ now: ContinuousClock.Instant) {
    if let known = counted, known.progress.what == progress.what, known.progress.total == progress.total,
      known.progress.done <= progress.done
    {
      if known.progress.done < progress.done { counted?.changed = now }
      counted?.progress = progress
    } else {
      counted = Counted(progress: progress, first: progress.done, began: now, changed: now)
    }
  }

  /// The lines to draw, none or up to two.
  func lines(_ now: ContinuousClock.Instant) -> [Line] { [runLine(now), phaseLine(now)].compactMap(\.self) }

  /// `stage 3/13 base`
  static func place(_ part: Part) -> String {
    "\(part.kind.rawValue) \(part.number)/\(part.count) \(part.name.printable)"
  }

  private func runLine(_ now: ContinuousClock.Instant) -> Line? {
    var head = [run, stage].compactMap { $0.map(Self.place) }
    if stage == nil, let stageName { head.append(stageName) }
    guard let steps else { return head.isEmpty ? nil : Line(head: head) }
    let progress = steps.progress
    head.append(Self.count(progress))
    return Line(
      head: head, share: Double(progress.done) / Double(max(1, progress.total)),
      tail: steps.secondsLeft(now).map { ["\(Format.time($0)) left"] } ?? [])
  }

  private func phaseLine(_ now: ContinuousClock.Instant) -> Line? {
    if let uncounted { return Line(head: [uncounted]) }
    guard let phase else { return nil }
    let progress = phase.progress
    return Line(
      head: [Self.count(progress)], share: Double(progress.done) / Double(max(1, progress.total)),
      tail: [phase.secondsLeft(now).map { "\(Format.time($0)) left" }, phase.rate(now)].compactMap(\.self))
  }

  private static func count(_ progress: Progress) -> String {
    "\(progress.what) \(progress.done)/\(progress.total)" + (progress.unit.isEmpty ? "" : " " + progress.unit)
  }

  /// Both lines as one, for a log: where the run is and what it does.
  func plain(_ now: ContinuousClock.Instant) -> String {
    lines(now).map { line in
      (line.head.joined(separator: ", ") + (line.tail.isEmpty ? "" : ", " + line.tail.joined(separator: ", ")))
    }.joined(separator: ": ")
  }
}
