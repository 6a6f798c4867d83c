import PPO
import Support

/// `summary.json`: how a pipeline's stages compare on held-out problems.
public struct Summary: Codable, Sendable, Equatable {
  /// One evaluated model. Shares are between 0 and 1; a figure without a value (a share of no blocks) is null.
  public struct Row: Codable, Sendable, Equatable {
    /// The stage's name in the pipeline: `base`, `hint-rl`, ...
    public var stage: String
    /// The evaluated model file.
    public var model: String
    /// The share of right answers.
    public var accuracy: Double
    /// The ends of the accuracy's 95 % interval.
    public var accuracyLow: Double?
    /// The upper end.
    public var accuracyHigh: Double?
    /// How many problems were asked.
    public var problems: Int
    /// Model and hint tokens of a response, on average.
    public var tokens: Double?
    /// The share of responses with at least one executed block.
    public var codeRatio: Double?
    /// Executed blocks of a response, on average.
    public var calls: Double?
    /// The share of executed blocks that ran without an error.
    public var execOK: Double?
    /// The share of executed blocks that calculate.
    public var calcShare: Double?
    /// The share of executed blocks that check a result.
    public var verifyShare: Double?

    /// - Parameters:
    ///   - interval: of the accuracy, over problems.
    ///   - figure: the evaluation's other figures; nil: it has no value.
    public init(
      stage: String, model: String, accuracy: Double, interval: Interval?, problems: Int,
      figure: (Evaluation.Figure) -> Double?
    ) {
      self.stage = stage
      self.model = model
      self.accuracy = accuracy
      accuracyLow = interval?.low
      accuracyHigh = interval?.high
      self.problems = problems
      tokens = figure(.tokens)
      codeRatio = figure(.codeRatio)
      calls = figure(.calls)
      execOK = figure(.execOK)
      calcShare = figure(.calcShare)
      verifyShare = figure(.verifyShare)
    }

    enum CodingKeys: String, CodingKey {
      case stage, model, accuracy
      case accuracyLow = "accuracy_low"
      case accuracyHigh = "accuracy_high"
      case problems, tokens
      case codeRatio = "code_ratio"
      case calls
      case execOK = "exec_ok"
      case calcShare = "calc_share"
      case verifyShare = "verify_share"
    }

    /// Writes all keys; absent values are null.
    public func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(stage, forKey: .stage)
      try values.encode(model, forKey: .model)
      try values.encode(accuracy, forKey: .accuracy)
      try values.encode(accuracyLow, forKey: .accuracyLow)
      try values.encode(accuracyHigh, forKey: .accuracyHigh)
      try values.encode(problems, forKey: .problems)
      try values.encode(tokens, forKey: .tokens)
      try values.encode(codeRatio, forKey: .codeRatio)
      try values.encode(calls, forKey: .calls)
      try values.encode(execOK, forKey: .execOK)
      try values.encode(calcShare, forKey: .calcShare)
      try values.encode(verifyShare, forKey: .verifyShare)
    }
  }

  /// How far one stage's accuracy is above the best of those that it is compared with, in points (hundredths).
  public struct Gain: Codable, Sendable, Equatable {
    /// The difference in hundredths.
    public var points: Double
    /// The ends of its 95 % interval.
    public var low: Double?
    /// The upper end.
    public var high: Double?

    /// A gain in points.
    public init(points: Double, low: Double? = nil, high: Double? = nil) {
      self.points = points
      self.low = low
      self.high = high
    }

    public func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(points, forKey: .points)
      try values.encode(low, forKey: .low)
      try values.encode(high, forKey: .high)
    }

    /// `+12.3 points [+8.1, +16.4]`
    public var text: String {
      let signed = { (value: Double) in (value < 0 ? "" : "+") + decimals(value, 1) }
      guard let low, let high else { return "\(signed(points)) points" }
      return "\(signed(points)) points [\(signed(low)), \(signed(high))]"
    }
  }

  /// The evaluated models, in the order of the file.
  public var rows: [Row]
  /// The last one's gain; nil: the file compares nothing.
  public var gain: Gain?

  /// A table of `rows`.
  public init(rows: [Row], gain: Gain? = nil) {
    self.rows = rows
    self.gain = gain
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(rows, forKey: .rows)
    try values.encode(gain, forKey: .gain)
  }

  /// Headings of `Row.cells`.
  static let headings = ["stage", "accuracy", "tokens", "code", "calls", "exec ok", "calc", "verify", "problems"]

  /// The table for a terminal, with accuracies in percent and their intervals. The gain is below.
  public var table: String {
    var text = alignedTable([Self.headings] + rows.map(\.cells))
    if let gain { text += "gain: \(gain.text)\n" }
    return text
  }
}

extension Summary.Row {
  /// The row as text, one cell for each heading; `-` where there is no value.
  var cells: [String] {
    func share(_ value: Double?) -> String { value.map { decimals(100 * $0, 1) + " %" } ?? "-" }
    func number(_ value: Double?, _ digits: Int) -> String { value.map { decimals($0, digits) } ?? "-" }
    var interval = ""
    if let accuracyLow, let accuracyHigh {
      interval = " [\(decimals(100 * accuracyLow, 1)), \(decimals(100 * accuracyHigh, 1))]"
    }
    return [
      stage, share(accuracy) + interval, number(tokens, 1), share(codeRatio), number(calls, 2), share(execOK),
      share(calcShare), share(verifyShare), "\(problems)",
    ]
  }
}
