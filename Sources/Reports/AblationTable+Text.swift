import Foundation
import PPO
import Support

extension AblationTable {
  /// The test behind `p`, in words.
  static let test = "paired sign-flip test over problems, means over seeds, 10,000 draws"
  static let intervals = "95 %, bootstrap over seeds and problems, 10,000 draws"

  static let headings = [
    "case", "accuracy", "against the first", "p", "tokens", "against the first", "p", "by seed",
  ]

  /// One row for each case, one cell for each heading.
  var cells: [[String]] {
    rows.map { row in
      let bySeed = row.bySeed.map { $0.accuracy.map { decimals(100 * $0, 1) } ?? "-" }
      var name = row.name
      if row.error != nil {
        name += " (failed)"
      } else if row.seeds.count < seeds.count {
        name += " (\(row.seeds.count) of \(seeds.count) seeds)"
      }
      return [name] + Self.cells(row.accuracy, scale: 100, unit: " %") + Self.cells(row.tokens, scale: 1, unit: "")
        + [bySeed.isEmpty ? "-" : bySeed.joined(separator: " ")]
    }
  }

  private static func cells(_ figure: AblationTable.Figure, scale: Double, unit: String) -> [String] {
    func signed(_ value: Double) -> String { (value < 0 ? "" : "+") + decimals(scale * value, 1) }
    func plain(_ value: Double) -> String { decimals(scale * value, 1) }
    func cell(_ value: Double?, _ interval: Interval?, _ text: (Double) -> String, _ unit: String) -> String {
      guard let value else { return "-" }
      return text(value) + unit + (interval.map { " [\(text($0.low)), \(text($0.high))]" } ?? "")
    }
    return [
      cell(figure.value, figure.interval, plain, unit), cell(figure.difference, figure.differenceInterval, signed, ""),
      figure.pValue.map { $0 < 0.001 ? "<0.001" : decimals($0, 3) } ?? "-",
    ]
  }

  /// The table for a terminal.
  package var text: String {
    var text = alignedTable([Self.headings] + cells)
    text += "row \(row); mean over seeds; intervals \(Self.intervals); p: \(Self.test)\n"
    for row in rows { if let error = row.error { text += "\(row.name) failed: \(error)\n" } }
    return text
  }

  /// `ablation.json`: shares between 0 and 1, null where there is no value.
  package func json() throws -> Data {
    let object: [String: Any] = [
      "run": run, "pipeline": pipeline, "row": row, "seeds": seeds,
      "intervals": Self.intervals, "test": Self.test,
      "cases": try rows.map { try json($0) },
    ]
    return Data((ConfigurationTree(json: object).prettyJSON() + "\n").utf8)
  }

  private func json(_ row: AblationTable.Row) throws -> [String: Any] {
    let status =
      row.error != nil ? "failed" : row.seeds.isEmpty ? "open" : row.seeds.count < seeds.count ? "partial" : "finished"
    var object: [String: Any] = [
      "name": row.name, "set": row.set, "status": status, "error": row.error ?? NSNull(),
      "effect": try JSONSerialization.jsonObject(with: Data(row.effect.json.utf8)),
      "by_seed": row.bySeed.map { seed -> [String: Any] in
        [
          "seed": seed.seed, "accuracy": seed.accuracy ?? NSNull(), "tokens": seed.tokens ?? NSNull(),
          "weights_hash": seed.weights ?? NSNull(),
        ]
      },
    ]
    for (name, figure) in [("accuracy", row.accuracy), ("tokens", row.tokens)] {
      object[name] = figure.value ?? NSNull()
      object["\(name)_low"] = figure.interval?.low ?? NSNull()
      object["\(name)_high"] = figure.interval?.high ?? NSNull()
      object["\(name)_difference"] = figure.difference ?? NSNull()
      object["\(name)_difference_low"] = figure.differenceInterval?.low ?? NSNull()
      object["\(name)_difference_high"] = figure.differenceInterval?.high ?? NSNull()
      object["\(name)_p"] = figure.pValue ?? NSNull()
    }
    return object
  }

  /// Reads `ablation.json`; nil: there is none.
  /// - Throws: `MartletError` (data) when it is not as it was written.
  init?(folder: String) throws {
    let path = folder + "/ablation.json"
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
      let cases = object["cases"] as? [[String: Any]], let seeds = object["seeds"] as? [UInt64]
    else { throw MartletError(.data, "\(path): is not in the form that ablate writes; run train ablate again") }
    func text(_ key: String) -> String { object[key] as? String ?? "" }
    (run, pipeline, row, self.seeds) = (text("run"), text("pipeline"), text("row"), seeds)
    rows = cases.map { Row(json: $0) }
  }

  /// A self-contained SVG: accuracy and tokens of each case with their intervals, and a point for each seed.
  package var picture: String {
    HTML.file(charts)
  }

  /// The charts of the picture, also for `report`.
  var charts: [(marks: String, height: Double)] {
    [
      HTML.intervals(points(rows.map(\.accuracy), scale: 100) { $0.accuracy }, title: "accuracy, %"),
      HTML.intervals(points(rows.map(\.tokens), scale: 1) { $0.tokens }, title: "tokens a response"),
    ]
  }

  private func points(
    _ figures: [Figure], scale: Double, _ seed: (AblationTable.Seed) -> Double?
  ) -> [HTML.Bar] {
    zip(rows, figures).compactMap { row, figure in
      guard let value = figure.value else { return nil }
      return HTML.Bar(
        label: row.name, value: scale * value, low: figure.interval.map { scale * $0.low },
        high: figure.interval.map { scale * $0.high }, points: row.bySeed.compactMap(seed).map { scale * $0 })
    }
  }
}

extension AblationTable.Row {
  fileprivate init(json object: [String: Any]) {
    func figure(_ name: String) -> AblationTable.Figure {
      func number(_ key: String) -> Double? { object[name + key] as? Double }
      func interval(_ key: String) -> Interval? {
        number(key + "_low").flatMap { low in number(key + "_high").map { Interval(low: low, high: $0) } }
      }
      return .init(
        value: number(""), interval: interval(""), difference: number("_difference"),
        differenceInterval: interval("_difference"), pValue: number("_p"))
    }
    let bySeed = (object["by_seed"] as? [[String: Any]] ?? []).map { seed in
      AblationTable.Seed(
        seed: seed["seed"] as? UInt64 ?? 0, accuracy: seed["accuracy"] as? Double, tokens: seed["tokens"] as? Double,
        weights: seed["weights_hash"] as? String)
    }
    self.init(
      name: object["name"] as? String ?? "", set: object["set"] as? [String] ?? [],
      effect: (object["effect"] as? [String: Any]).map(ConfigurationTree.init(json:)) ?? .map([]),
      seeds: bySeed.map(\.seed), accuracy: figure("accuracy"), tokens: figure("tokens"), bySeed: bySeed,
      error: object["error"] as? String)
  }
}
