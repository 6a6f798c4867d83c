extension Duration {
  /// In seconds.
  package var seconds: Double { self / .seconds(1) }
}

extension ContinuousClock.Instant {
  /// Seconds from this moment until now.
  package var secondsSince: Double { (.now - self).seconds }
}

/// Wall-clock seconds that `body` takes.
package func elapsed(_ body: () throws -> Void) rethrows -> Double {
  let start = ContinuousClock.now
  try body()
  return start.secondsSince
}
