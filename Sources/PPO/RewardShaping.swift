/// Whose form of DAPO's overlong penalty; they differ beyond the hard limit.
public enum OverlongForm: String, Codable, Sendable, CaseIterable {
  /// Goes on falling beyond the limit.
  case verl
  /// Stops at -factor.
  case openrlhf
  /// Without factor: 0, linear, then -1.
  case trl
}

/// Soft overlong punishment (DAPO, eq. 13): 0 up to `limit - buffer` tokens, falling to -factor at `limit`.
/// `length` counts what the caller gives: the pipeline counts tool tokens too.
public func overlongPenalty(
  length: Int, limit: Int, buffer: Int, factor: Double = 1, form: OverlongForm = .openrlhf
) -> Double {
  precondition(buffer > 0 && buffer <= limit, "the buffer must lie in 1...\(limit), got \(buffer)")
  let excess = Double(length - (limit - buffer))
  if excess <= 0 { return 0 }
  let share = excess / Double(buffer)
  switch form {
  case .verl: return -share * factor
  case .openrlhf: return -min(share, 1) * factor
  case .trl: return length > limit ? -1 : -share
  }
}

/// Reward of a truncated answer (OpenRLHF's stop-properly penalty): times `coefficient` in 0...1, or `coefficient`
/// itself if negative.
public func truncatedReward(_ reward: Double, coefficient: Double) -> Double {
  coefficient >= 0 ? reward * coefficient : coefficient
}

/// penalty * (1 - different n-grams / n-grams) over token ids; 0 when the text is shorter than one n-gram.
public func repetitionPenalty(_ tokens: [Int32], n: Int = 3, penalty: Double = -1) -> Double {
  precondition(n > 0, "n must be positive, got \(n)")
  let total = tokens.count - n + 1
  if total <= 0 { return 0 }
  let distinct = Set((0..<total).map { tokens[$0..<($0 + n)] })
  return penalty * (1 - Double(distinct.count) / Double(total))
}

/// CoRT's code term: `penalty` when every executed block failed (error or no output), else 0. An answer without code
/// was penalised upstream by accident; `withoutCode` decides here.
///
/// - Parameter failures: for each executed block, whether it ended in an error or printed nothing.
public func codeReward(failures: [Bool], penalty: Double = -0.1, withoutCode: Bool = false) -> Double {
  if failures.isEmpty { return withoutCode ? penalty : 0 }
  return failures.allSatisfy { $0 } ? penalty : 0
}

/// Dynamic sampling (DAPO, eq. 11): whether a group carries a signal. `accuracies` are the graded answers, not the
/// shaped reward; a group of one is kept, as verl does. Decided by max == min, never by a rounded deviation.
public func groupHasSignal(_ accuracies: [Double]) -> Bool {
  accuracies.count == 1 || hasSignal(accuracies.filter { !$0.isNaN })
}

/// OpenRLHF's form: the mean lies strictly between two bounds.
public func groupHasSignal(_ accuracies: [Double], above low: Double, below high: Double) -> Bool {
  let scorable = accuracies.filter { !$0.isNaN }
  if scorable.isEmpty { return false }
  let center = mean(scorable)
  return low < center && center < high
}
