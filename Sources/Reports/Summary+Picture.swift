extension Summary {
  /// `summary.svg`: accuracy with its interval and tokens a response, one line for each row. The file is
  /// self-contained.
  package var picture: String {
    HTML.file([
      HTML.intervals(rows.map(Self.accuracyBar), title: "right, %"),
      HTML.intervals(rows.compactMap(Self.tokenBar), title: "tokens a response"),
    ])
  }

  private static func accuracyBar(_ row: Row) -> HTML.Bar {
    HTML.Bar(
      label: row.stage, value: 100 * row.accuracy, low: row.accuracyLow.map { 100 * $0 },
      high: row.accuracyHigh.map { 100 * $0 }, points: [])
  }

  private static func tokenBar(_ row: Row) -> HTML.Bar? {
    row.tokens.map { HTML.Bar(label: row.stage, value: $0, low: nil, high: nil, points: []) }
  }
}
