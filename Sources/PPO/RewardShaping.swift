/// Soft overlong punishment (DAPO, eq. 13): 0 up to `limit - buffer` tokens, falling to -factor at `limit` and no
/// further. `length` counts what the caller gives: the pipeline counts tool tokens too.
public func overlongPenalty(length: Int, limit: Int, buffer: Int, factor: Double = 1) -> Double {
  precondition(buffer > 0 && buffer <= limit, "the buffer must lie in 1...\(limit), got \(buffer)")
  let excess = Double(length - (limit - buffer))
  return excess <= 0 ? 0 : -min(excess / Double(buffer), 1) * factor
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
