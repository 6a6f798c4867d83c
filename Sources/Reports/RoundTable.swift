import Foundation
import PPO
import Support

/// Accuracy and tokens against rounds of hints at test time: `rounds` of `eval.json`.
package struct RoundTable: Decodable, Sendable {
  /// The responses after a round. Shares are between 0 and 1.
  struct Row: Decodable {
    var round: Int
    /// Responses that got a hint in this round.
    var hinted: Int
    var accuracy: Double?
    var accuracyLow: Double?
    var accuracyHigh: Double?
    /// The accuracy above that of round 0, paired by problem.
    var gain: Double?
    var gainLow: Double?
    var gainHigh: Double?
    var tokens: Double?
    var responseTokens: Double?
    var calls: Double?

    enum CodingKeys: String, CodingKey {
      case round, hinted, accuracy
      case accuracyLow = "accuracy_low"
      case accuracyHigh = "accuracy_high"
      case gain
      case gainLow = "gain_low"
      case gainHigh = "gain_high"
      case tokens
      case responseTokens = "response_tokens"
      case calls
    }
  }

  var rows: [Row]

  /// - Parameter rounds: the same problems after each round, from round 0, and how many responses got a hint in it.
  package init(_ rounds: [(evaluation: Evaluation, hinted: Int)]) {
    let first = rounds.first?.evaluation.ratio(.accuracy)
    rows = rounds.enumerated().map { number, round in
      let (evaluation, accuracy) = (round.evaluation, round.evaluation.ratio(.accuracy))
      let interval = ProblemBootstrap().interval(accuracy)
      let gain = first.flatMap { ProblemBootstrap().difference(accuracy, $0) }
      return Row(
        round: number, hinted: round.hinted, accuracy: accuracy.value, accuracyLow: interval?.low,
        accuracyHigh: interval?.high,
        gain: accuracy.value.flatMap { value in first?.value.map { value - $0 } }, gainLow: gain?.low,
        gainHigh: gain?.high, tokens: evaluation.value(.tokens), responseTokens: evaluation.value(.responseTokens),
        calls: evaluation.value(.calls))
    }
  }

  /// As the array of `eval.json`.
  package init(from decoder: any Decoder) throws {
    rows = try [Row](from: decoder)
  }

  /// What `eval.json` holds; absent values are null.
  package var report: [[String: Any]] {
    rows.map { row in
      func value(_ number: Double?) -> Any { number.map { $0 as Any } ?? NSNull() }
      return [
        "round": row.round, "hinted": row.hinted, "accuracy": value(row.accuracy),
        "accuracy_low": value(row.accuracyLow), "accuracy_high": value(row.accuracyHigh), "gain": value(row.gain),
        "gain_low": value(row.gainLow), "gain_high": value(row.gainHigh), "tokens": value(row.tokens),
        "response_tokens": value(row.responseTokens), "calls": value(row.calls),
      ]
    }
  }

  /// The table for a terminal.
  package var text: String { alignedTable([Self.headings] + rows.map(Self.cells)) }

  static let headings = ["round", "hinted", "accuracy, %", "over round 0", "tokens", "with output", "calls"]

  static func cells(_ row: Row) -> [String] {
    func shown(_ value: Double?, _ low: Double?, _ high: Double?, sign: Bool = false) -> String {
      guard let value else { return "-" }
      func text(_ value: Double) -> String { (sign && value >= 0 ? "+" : "") + decimals(100 * value, 1) }
      guard let low, let high else { return text(value) }
      return "\(text(value)) [\(text(low)), \(text(high))]"
    }
    func plain(_ value: Double?, _ digits: Int) -> String { value.map { decimals($0, digits) } ?? "-" }
    return [
      "\(row.round)", "\(row.hinted)", shown(row.accuracy, row.accuracyLow, row.accuracyHigh),
      row.round == 0 ? "-" : shown(row.gain, row.gainLow, row.gainHigh, sign: true), plain(row.tokens, 1),
      plain(row.responseTokens, 1), plain(row.calls, 2),
    ]
  }

  /// The rounds as points: accuracy in percent over tokens with output.
  var points: [HTML.Point] {
    rows.compactMap { row in
      guard let tokens = row.responseTokens, let accuracy = row.accuracy else { return nil }
      return HTML.Point(
        label: "round \(row.round)", x: tokens, y: 100 * accuracy, low: row.accuracyLow.map { 100 * $0 },
        high: row.accuracyHigh.map { 100 * $0 })
    }
  }

  /// `rounds.svg`: accuracy with its interval and tokens a response, one line for each round.
  package var picture: String {
    func bar(_ row: Row, _ value: Double?, _ low: Double? = nil, _ high: Double? = nil) -> HTML.Bar? {
      value.map { HTML.Bar(label: "round \(row.round)", value: $0, low: low, high: high, points: []) }
    }
    return HTML.file([
      HTML.intervals(
        rows.compactMap { row in
          bar(
            row, row.accuracy.map { 100 * $0 }, row.accuracyLow.map { 100 * $0 }, row.accuracyHigh.map { 100 * $0 })
        }, title: "right, %"),
      HTML.intervals(rows.compactMap { bar($0, $0.responseTokens) }, title: "tokens a response, output included"),
    ])
  }

  /// The section of `report.html`.
  var html: String {
    var text = "<h3>Hints at test time</h3>\n"
    text +=
      "<p class=\"soft\">Hinted: responses that got a hint in the round. Over round 0: points of accuracy, paired by "
    text += "problem. Intervals: 95 %, bootstrap over problems.</p>\n"
    text += HTML.table([Self.headings] + rows.map(Self.cells))
    return text + HTML.scatter(points, xTitle: "tokens a response", yTitle: "accuracy, %", isJoined: true)
  }
}
