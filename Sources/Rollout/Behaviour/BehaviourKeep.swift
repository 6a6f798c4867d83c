extension BehaviourAnalysis {
  /// Whether an episode is worth training on: rejection fine-tuning's filter.
  public struct Verdict: Sendable, Equatable {
    /// Whether the response may be trained on.
    public let keep: Bool
    /// Why not, one sentence each; empty when kept.
    public let reasons: [String]
  }

  /// Keeps a response that is correct and short, ran code without errors, and neither delays nor distrusts.
  /// - Parameters:
  ///   - correct: the grader's verdict.
  ///   - calls: the executed calls.
  ///   - tokens: model and hint tokens of the response.
  ///   - maximumTokens: the longest response to keep; `nil`: any.
  public func verdict(correct: Bool, calls: [TraceCall], tokens: Int, maximumTokens: Int? = nil) -> Verdict {
    var reasons: [String] = []
    if !correct { reasons.append("the answer is not correct") }
    if calls.isEmpty { reasons.append("no code was executed") }
    let failed = calls.count { !$0.succeeded }
    if failed > 0 { reasons.append("\(failed) of \(calls.count) calls failed") }
    reasons += delayed.map { "delayed computation: \($0.reason)" }
    reasons += distrust.map { "result distrust: \($0.reason)" }
    if let maximumTokens, tokens > maximumTokens {
      reasons.append("\(tokens) tokens, more than \(maximumTokens)")
    }
    return Verdict(keep: reasons.isEmpty, reasons: reasons)
  }
}
