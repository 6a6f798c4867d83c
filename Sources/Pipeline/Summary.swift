/// `summary.json`: how a pipeline's stages compare on held-out problems.
public struct Summary: Codable, Sendable, Equatable {
  /// One evaluated model. Shares are between 0 and 1; what has no value (a share of no blocks) is null.
  public struct Row: Codable, Sendable, Equatable {
    /// base, base-tools, prompt-hint-sft, hint-sft, hint-rft, hint-rl, control.
    public var stage: String
    /// The evaluated model file.
    public var model: String
    /// Right / all samples, with its interval over problems.
    public var accuracy: Double
    public var accuracyLow: Double?
    public var accuracyHigh: Double?
    public var problems: Int
    /// Mean of model and hint tokens a response.
    public var tokens: Double?
    public var codeRatio: Double?
    public var calls: Double?
    public var execOK: Double?
    /// Share of responses in which a call failed.
    public var failed: Double?
    /// Of those, the share in which a later call ran and the answer is right.
    public var mended: Double?
    public var calcShare: Double?
    public var verifyShare: Double?

    public init(
      stage: String, model: String, accuracy: Double, accuracyLow: Double? = nil, accuracyHigh: Double? = nil,
      problems: Int, tokens: Double? = nil, codeRatio: Double? = nil, calls: Double? = nil, execOK: Double? = nil,
      failed: Double? = nil, mended: Double? = nil, calcShare: Double? = nil, verifyShare: Double? = nil
    ) {
      self.stage = stage
      self.model = model
      self.accuracy = accuracy
      self.accuracyLow = accuracyLow
      self.accuracyHigh = accuracyHigh
      self.problems = problems
      self.tokens = tokens
      self.codeRatio = codeRatio
      self.calls = calls
      self.execOK = execOK
      self.failed = failed
      self.mended = mended
      self.calcShare = calcShare
      self.verifyShare = verifyShare
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

    /// All keys are written: absent values as null.
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

  /// Accuracy of the stage `of` above that of `over`, in points (hundredths), with its interval, paired by problem.
  public struct Gain: Codable, Sendable, Equatable {
    public var of: String
    public var over: String
    public var points: Double
    public var low: Double?
    public var high: Double?

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

  public var rows: [Row]
  /// One for each stage that the pipeline's `summary.over` names.
  public var gains: [Gain]

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

  /// The table for a terminal: columns aligned, accuracy in percent with its interval, the gains below.
  public var table: String {
    alignedTable([Self.headings] + rows.map(\.cells)) + gains.map { $0.text + "\n" }.joined()
  }
}

extension Summary.Row {
  /// The row as text, one cell a heading; `-` where there is no value.
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

/// `value` with a fixed number of decimals.
func decimals(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
  let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
  let scaled = (value.magnitude * scale).rounded()
  let sign = value < 0 && scaled > 0 ? "-" : ""
  let whole = (scaled / scale).rounded(.down)
  guard digits > 0 else { return "\(sign)\(Int(scaled))" }
  let fraction = String(Int(scaled - whole * scale))
  return "\(sign)\(Int(whole))." + String(repeating: "0", count: max(0, digits - fraction.count)) + fraction
}

/// Columns padded to their widest cell: the first to the left, the others to the right; a rule below the first row.
func alignedTable(_ rows: [[String]]) -> String {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in rows.reduce(0) { max($0, column < $1.count ? $1[column].count : 0) } }
  var text = ""
  for (index, row) in rows.enumerated() {
    let cells = row.enumerated().map { column, cell in
      let space = String(repeating: " ", count: widths[column] - cell.count)
      return column == 0 ? cell + space : space + cell
    }
    var line = cells.joined(separator: "  ")
    while line.last == " " { line.removeLast() }
    text += line + "\n"
    if index == 0 { text += widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ") + "\n" }
  }
  return text
}
