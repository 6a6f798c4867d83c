import Support

/// Charts of cases: one line each, with the mean and its interval, and the seeds as small points.
extension HTML {
  struct Bar {
    var label: String
    var value: Double
    var low, high: Double?
    var points: [Double]
  }

  /// The height of a chart of `count` cases.
  private static func height(_ count: Int) -> Double { 58 + 26 * Double(count) }
  private static let width = 760.0

  /// A chart as an SVG group with its own origin.
  static func intervals(_ bars: [Bar], title: String) -> (marks: String, height: Double) {
    guard !bars.isEmpty else { return ("", 0) }
    let all = bars.flatMap { [$0.value, $0.low ?? $0.value, $0.high ?? $0.value] + $0.points }
    let scale = Scale(all.reduce(.infinity, min), all.reduce(-.infinity, max))
    let left = min(320, 24 + 7 * Double(bars.map(\.label.count).max() ?? 0))
    func x(_ value: Double) -> String {
      decimals(left + (value - scale.low) / (scale.high - scale.low) * (width - left - 70), 1)
    }
    let bottom = height(bars.count) - 26
    var marks = text(title, x: "8", y: "18", "class=\"title\"")
    for tick in scale.ticks {
      marks += "<path class=\"grid\" d=\"M\(x(tick)) 28V\(decimals(bottom, 1))\"/>"
      marks += text(shortNumber(tick), x: x(tick), y: decimals(bottom + 16, 1), "text-anchor=\"middle\"")
    }
    for (index, bar) in bars.enumerated() {
      let (y, baseline) = (decimals(44 + 26 * Double(index), 1), decimals(48 + 26 * Double(index), 1))
      let colour = "var(--c\(index % 8))"
      marks += text(bar.label, x: decimals(left - 12, 1), y: baseline, "text-anchor=\"end\"")
      if let low = bar.low, let high = bar.high {
        marks += "<path d=\"M\(x(low)) \(y)H\(x(high))\" stroke=\"\(colour)\" stroke-width=\"3\" opacity=\".5\"/>"
      }
      for point in bar.points {
        marks += "<circle cx=\"\(x(point))\" cy=\"\(y)\" r=\"2.5\" fill=\"none\" stroke=\"\(colour)\"/>"
      }
      marks += "<circle cx=\"\(x(bar.value))\" cy=\"\(y)\" r=\"5\" fill=\"\(colour)\"/>"
      marks += text(shortNumber(bar.value), x: decimals(width - 8, 1), y: baseline, "text-anchor=\"end\"")
    }
    return (marks, height(bars.count))
  }

  /// Charts, one below the other.
  static func stacked(_ charts: [(marks: String, height: Double)], attributes: String = "", before: String = "")
    -> String
  {
    var y = 0.0
    var text = ""
    for chart in charts {
      text += "<g transform=\"translate(0 \(decimals(y, 1)))\">\(chart.marks)</g>\n"
      y += chart.height
    }
    let size = "viewBox=\"0 0 \(Int(width)) \(Int(y))\" width=\"\(Int(width))\""
    return "<svg \(size) role=\"img\"\(attributes)>\(before)\n\(text)</svg>\n"
  }

  /// The same as a file of its own.
  static func file(_ charts: [(marks: String, height: Double)]) -> String {
    stacked(
      charts, attributes: " xmlns=\"http://www.w3.org/2000/svg\"",
      before: "<style>svg{background:var(--bg);font:11px system-ui,sans-serif}\(style)</style>")
  }
}
