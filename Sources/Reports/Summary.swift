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
    /// The share of responses in which a call failed.
    public var failed: Double?
    /// Of those, the share in which a later call ran and the answer is right.
    public var mended: Double?
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
      failed = figure(.failed)
      mended = figure(.mended)
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
      case failed, mended
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
      try values.encode(failed, forKey: .failed)
      try values.encode(mended, forKey: .mended)
      try values.encode(calcShare, forKey: .calcShare)
      try values.encode(verifyShare, forKey: .verifyShare)
    }
  }

  /// How far the accuracy of the stage `of` is above that of `over`, in points (hundredths), paired by problem.
  public struct Gain: Codable, Sendable, Equatable {
    /// The stage that gains.
    public var of: String
    /// The stage it is compared with.
    public var over: String
    /// The difference in hundredths.
    public var points: Double
    /// The ends of its 95 % interval.
    public var low: Double?
    /// The upper end.
    public var high: Double?

    /// A gain in points.
    public init(of: String, over: String, points: Double, low: Double? = nil, high: Double? = nil) {
      self.of = of
      self.over = over
      self.points = points
      self.low = low
      self.high = high
    }

    public func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(of, forKey: .of)
      try values.encode(over, forKey: .over)
      try values.encode(points, forKey: .points)
      try values.encode(low, forKey: .low)
      try values.encode(high, forKey: .high)
    }

    /// `hint-rl over base: +12.3 points [+8.1, +16.4]`
    public var text: String {
      let signed = { (value: Double) in (value < 0 ? "" : "+") + decimals(value, 1) }
      let text = "\(of) over \(over): \(signed(points)) points"
      guard let low, let high else { return text }
      return text + " [\(signed(low)), \(signed(high))]"
    }
  }

  /// The evaluated models, in the order of the file.
  public var rows: [Row]
  /// One for each stage that the pipeline's `summary.over` names.
  public var gains: [Gain]

  /// A table of `rows`.
  public init(rows: [Row], gains: [Gain] = []) {
    self.rows = rows
    self.gains = gains
  }

  /// A summary written before there were `gains` has none.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    rows = try values.decode([Row].self, forKey: .rows)
    gains = try values.decodeIfPresent([Gain].self, forKey: .gains) ?? []
  }

  /// Headings of `Row.cells`.
  static let headings = [
    "stage", "accuracy", "tokens", "code", "calls", "exec ok", "failed", "mended", "calc", "verify", "problems",
  ]

  /// The table for a terminal, with accuracies in percent and their intervals. The gains are below.
  public var table: String {
    alignedTable([Self.headings] + rows.map(\.cells)) + gains.map { $0.text + "\n" }.joined()
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
      share(failed), share(mended), share(calcShare), share(verifyShare), "\(problems)",
    ]
  }
}
