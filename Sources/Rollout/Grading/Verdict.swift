/// What a grader found. A gold answer that cannot be read and a comparison that took too long are not "incorrect": they
/// have verdicts of their own.
public enum Verdict: String, Codable, Sendable, CaseIterable {
  case correct, incorrect
  case noAnswer = "no_answer"
  case ungradable, timeout
}

/// A verdict, the answer it is about, and how it was found.
public struct GradeResult: Codable, Sendable, Equatable {
  /// By what means the two answers were compared.
  public enum How: String, Codable, Sendable, CaseIterable {
    /// The same text; plain numbers; fractions; everything else that is compared by value (docs/grading.md).
    case exact, numeric, fraction, value
    /// A form that only math-verify reads.
    case mathVerify = "math_verify"
  }
  /// What the grader found.
  public var verdict: Verdict
  /// The answer that was compared; nil: there was none.
  public var answer: String?
  /// nil when there was no answer to compare.
  public var how: How?

  /// A verdict on `answer`.
  public init(verdict: Verdict, answer: String?, how: How?) {
    self.verdict = verdict
    self.answer = answer
    self.how = how
  }
}
