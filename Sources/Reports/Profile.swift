import Support
import Tensor

/// Where the time of a piece of work went.
public struct Profile: Codable, Sendable, Equatable {
  /// One part's time.
  public struct Part: Codable, Sendable, Equatable {
    /// Which part.
    public var part: PartTimer.Part
    /// Wall-clock seconds.
    public var seconds: Double
    /// Its share of the whole, from 0 to 1.
    public var share: Double
  }

  /// The name of what was measured.
  public var name: String
  /// The parts, in the order of `PartTimer.Part`.
  public var parts: [Part]

  /// A profile of what a timer measured.
  public init(_ name: String, _ seconds: PartTimer.Seconds) {
    self.name = name
    let order = PartTimer.Part.allCases
    let whole = order.reduce(0) { $0 + (seconds[$1] ?? 0) }
    parts = order.compactMap { part in
      seconds[part].map { Part(part: part, seconds: $0, share: whole > 0 ? $0 / whole : 0) }
    }
  }

  /// The table for a terminal.
  public var table: String {
    alignedTable(
      [[name, "seconds", "share"]]
        + parts.map { [$0.part.rawValue, shortNumber($0.seconds), decimals(100 * $0.share, 1) + " %"] })
  }
}

extension PartTimer {
  /// A timer by the wall clock.
  public static func wall() -> PartTimer {
    let start = ContinuousClock.now
    return PartTimer { start.secondsSince }
  }
}

extension Metrics {
  /// Adds the times as `profile_...`, in seconds.
  package mutating func add(profile: PartTimer.Seconds) {
    for part in PartTimer.Part.allCases {
      if let seconds = profile[part] { self["profile_" + part.rawValue] = .double(seconds) }
    }
  }
}

/// Collects the profiles of measurements.
package final class Profiler {
  /// What the work is timed with.
  package let timer = PartTimer.wall()
  /// One profile for each name, in the order of their first measurement.
  package private(set) var profiles: [Profile] = []
  private var seconds: [String: PartTimer.Seconds] = [:]
  private var name = ""

  /// A profiler with a timer by the wall clock.
  package init() {}

  /// Times from here on count for `name`.
  package func begin(_ name: String) {
    self.name = name
    _ = timer.take()
  }

  /// Ends the work's measurement. Work without parts has no profile.
  package func end() {
    let parts = timer.take()
    guard parts.keys.contains(where: { $0 != .other }) else { return }
    seconds[name, default: [:]].merge(parts) { $0 + $1 }
    let profile = Profile(name, seconds[name] ?? [:])
    if let place = profiles.firstIndex(where: { $0.name == name }) {
      profiles[place] = profile
    } else {
      profiles.append(profile)
    }
  }
}
