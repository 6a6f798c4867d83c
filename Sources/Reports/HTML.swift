import Support

/// Pieces of a self-contained page: escaped text, tables, charts as inline SVG. Charts use the page's colour variables,
/// so that they follow its light and dark form.
package enum HTML {
  /// Escapes `text` for use between tags or in a quoted attribute.
  static func escape(_ text: String) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      // A page must not hold control characters. A mark shows where the model wrote one.
      case _ where scalar.value < 0x20 && scalar != "\n" && scalar != "\t": result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// A table whose first row holds the headings. The first column is text, the others are figures.
  static func table(_ rows: [[String]]) -> String {
    let lines = rows.enumerated().map { index, row in
      let cell = index == 0 ? "th" : "td"
      return "<tr>\(row.map { "<\(cell)>\(escape($0))</\(cell)>" }.joined())</tr>"
    }
    return "<div class=\"wide\"><table>\n\(lines.joined(separator: "\n"))\n</table></div>\n"
  }

  /// A text in a chart, at `x` and `y`, with further attributes such as `text-anchor="end"`.
  static func text(_ content: String, x: String, y: String, _ attributes: String = "") -> String {
    "<text x=\"\(x)\" y=\"\(y)\"\(attributes.isEmpty ? "" : " " + attributes)>\(escape(content))</text>"
  }

  /// A point of a scatter plot, with the interval of its height where there is one.
  struct Point {
    var label: String
    var x: Double
    var y: Double
    var low: Double?
    var high: Double?
  }

  /// A scatter plot of labelled points with the intervals of their heights.
  /// - Parameter isJoined: whether a line goes from each point to the next.
  static func scatter(_ points: [Point], xTitle: String, yTitle: String, isJoined: Bool = false) -> String {
    guard !points.isEmpty else { return "" }
    let frame = Frame(
      width: 760, height: 380, left: 52, right: 130, top: 14, bottom: 42,
      x: Scale(0, points.reduce(0) { max($0, $1.x) }),
      y: Scale(
        points.reduce(.infinity) { min($0, $1.low ?? $1.y) }, points.reduce(-.infinity) { max($0, $1.high ?? $1.y) }))
    var marks = ""
    if isJoined, points.count > 1 {
      let path = points.map { "\(frame.x($0.x)) \(frame.y($0.y))" }.joined(separator: "L")
      marks += "<path d=\"M\(path)\" fill=\"none\" stroke=\"var(--soft)\" stroke-width=\"1.2\"/>"
    }
    for (index, point) in points.enumerated() {
      let (x, y) = (frame.x(point.x), frame.y(point.y))
      let colour = "var(--c\(index % 8))"
      if let low = point.low, let high = point.high {
        marks +=
          "<path d=\"M\(x) \(frame.y(low))V\(frame.y(high))\" stroke=\"\(colour)\" stroke-width=\"2\" opacity=\".55\"/>"
      }
      marks += "<circle cx=\"\(x)\" cy=\"\(y)\" r=\"5\" fill=\"\(colour)\"/>"
    }
    // A label goes beside its point, or to the nearest height where neither a label nor another point is in its way.
    var taken = points.map { (x: frame.pixelX($0.x) - 6, width: 12.0, y: frame.pixelY($0.y) + 4) }
    for (index, point) in points.enumerated() {
      let (x, width) = (frame.pixelX(point.x) + 9, 7 * Double(point.label.count))
      let beside = frame.pixelY(point.y) + 4
      let heights = [0.0, -13, 13, -26, 26, -39, 39, -52, 52].map { beside + $0 }
      let y =
        heights.first { y in
          !taken.contains { abs($0.y - y) < 12 && $0.x < x + width && x < $0.x + $0.width }
        } ?? beside
      taken.append((x, width, y))
      marks += text(point.label, x: decimals(x, 1), y: decimals(y, 1), "style=\"fill:var(--c\(index % 8))\"")
    }
    return frame.svg(marks, xTitle: xTitle, yTitle: yTitle, name: "\(yTitle) against \(xTitle)")
  }

  /// A line chart of one series over steps.
  static func line(_ series: [(x: Double, y: Double)], title: String) -> String {
    let points = thinned(series)
    guard let first = points.first, let last = series.last else { return "" }
    let frame = Frame(
      width: 372, height: 180, left: 52, right: 20, top: 26, bottom: 24, x: Scale(first.x, last.x, nice: false),
      y: Scale(points.reduce(.infinity) { min($0, $1.y) }, points.reduce(-.infinity) { max($0, $1.y) }))
    var marks = text(title, x: "52", y: "15", "class=\"title\"")
    marks += text("last " + shortNumber(last.y), x: "352", y: "15", "text-anchor=\"end\"")
    if points.count == 1 {
      marks += "<circle cx=\"\(frame.x(first.x))\" cy=\"\(frame.y(first.y))\" r=\"3\" fill=\"var(--c0)\"/>"
    } else {
      let path = points.map { "\(frame.x($0.x)) \(frame.y($0.y))" }.joined(separator: "L")
      marks +=
        "<path d=\"M\(path)\" fill=\"none\" stroke=\"var(--c0)\" stroke-width=\"1.6\" stroke-linejoin=\"round\"/>"
    }
    return frame.svg(marks, xTitle: "", yTitle: "", name: title)
  }

  /// At most 400 points, each the mean of neighbours.
  private static func thinned(_ series: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    let size = (series.count + 399) / 400
    guard size > 1 else { return series }
    return stride(from: 0, to: series.count, by: size).map { start in
      let part = series[start..<min(start + size, series.count)]
      return (part.reduce(0) { $0 + $1.x } / Double(part.count), part.reduce(0) { $0 + $1.y } / Double(part.count))
    }
  }

  /// The range of an axis and the places of its marks.
  struct Scale {
    var low, high: Double
    var ticks: [Double]

    /// - Parameter nice: whether to widen the range to whole marks.
    init(_ low: Double, _ high: Double, nice: Bool = true) {
      var (low, high) = (low, high)
      if !(high > low) {
        let margin = max(low.magnitude * 0.1, nice ? 1e-6 : 0.5)
        (low, high) = low == 0 ? (0, 1) : (low - margin, high + margin)
      }
      var step = 1.0
      while step > (high - low) / 4 { step /= 10 }
      while step * 10 <= (high - low) / 4 { step *= 10 }
      for factor in [5.0, 2.0] where step * factor <= (high - low) / 3 {
        step *= factor
        break
      }
      let first = nice ? (low / step).rounded(.down) : (low / step).rounded(.up)
      let last = nice ? (high / step).rounded(.up) : (high / step).rounded(.down)
      ticks = last - first < 20 ? stride(from: first, through: last, by: 1).map { $0 * step } : []
      self.low = nice ? first * step : low
      self.high = nice ? last * step : high
    }
  }

  private struct Frame {
    var width, height, left, right, top, bottom: Double
    var x, y: Scale

    init(
      width: Double, height: Double, left: Double, right: Double, top: Double, bottom: Double, x: Scale, y: Scale
    ) {
      (self.width, self.height, self.left, self.right, self.top, self.bottom) = (
        width, height, left, right, top, bottom
      )
      (self.x, self.y) = (x, y)
    }

    func pixelX(_ value: Double) -> Double { left + (value - x.low) / (x.high - x.low) * (width - left - right) }
    func pixelY(_ value: Double) -> Double {
      height - bottom - (value - y.low) / (y.high - y.low) * (height - top - bottom)
    }
    func x(_ value: Double) -> String { decimals(pixelX(value), 1) }
    func y(_ value: Double) -> String { decimals(pixelY(value), 1) }

    func svg(_ marks: String, xTitle: String, yTitle: String, name: String) -> String {
      var text = "<svg viewBox=\"0 0 \(Int(width)) \(Int(height))\" width=\"\(Int(width))\" role=\"img\""
      text += " aria-label=\"\(escape(name))\">"
      for tick in y.ticks {
        text += "<path class=\"grid\" d=\"M\(decimals(left, 1)) \(y(tick))H\(decimals(width - right, 1))\"/>"
        let (beside, middle) = (decimals(left - 6, 1), decimals(pixelY(tick) + 4, 1))
        text += HTML.text(shortNumber(tick), x: beside, y: middle, "text-anchor=\"end\"")
      }
      for tick in x.ticks {
        let below = decimals(height - bottom + 15, 1)
        text += HTML.text(shortNumber(tick), x: x(tick), y: below, "text-anchor=\"middle\"")
      }
      if !xTitle.isEmpty {
        let (middle, below) = (decimals((left + width - right) / 2, 1), decimals(height - 6, 1))
        text += HTML.text(xTitle, x: middle, y: below, "text-anchor=\"middle\"")
      }
      if !yTitle.isEmpty {
        let middle = decimals((top + height - bottom) / 2, 1)
        text +=
          "<text transform=\"translate(12 \(middle)) rotate(-90)\" text-anchor=\"middle\">\(escape(yTitle))</text>"
      }
      return text + marks + "</svg>\n"
    }
  }

  /// A whole page.
  static func page(title: String, body: String) -> String {
    """
    <!DOCTYPE html>
    <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark"><title>\(escape(title))</title>
    <style>\(style)</style></head><body><main>
    \(body)</main></body></html>

    """
  }

  static let style = """
    :root{--bg:#fff;--fg:#1c2024;--soft:#60656c;--line:#e2e5e9;--panel:#f6f7f9;--code:#eaf2fd;--codefg:#0b4f9e;
    --tool:#edf7ee;--toolfg:#1d6b2f;--hint:#fdf0d5;--hintfg:#8a5300;--good:#1d7a35;--bad:#b3261e;--c0:#2563c9;
    --c1:#c2571a;--c2:#1d7a35;--c3:#a3308f;--c4:#00798c;--c5:#8a6d00;--c6:#6b4fc8;--c7:#b3261e}
    @media(prefers-color-scheme:dark){:root{--bg:#131517;--fg:#e6e8eb;--soft:#9ba1a8;--line:#2c3035;--panel:#1b1e22;
    --code:#152a44;--codefg:#9cc7ff;--tool:#14301c;--toolfg:#92dba3;--hint:#3a2b0b;--hintfg:#ffcf7a;
    --good:#6fcf87;--bad:#ff8a80;
    --c0:#7aaeff;--c1:#ff9d5c;--c2:#6fcf87;--c3:#ee8fdc;--c4:#5ed0e0;--c5:#e0c04c;--c6:#b6a2ff;--c7:#ff8a80}}
    body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
    main{max-width:1180px;margin:0 auto;padding:24px 20px 80px}
    h1{font-size:26px;margin:0 0 4px}
    h2{font-size:20px;margin:40px 0 8px;padding-top:12px;border-top:1px solid var(--line)}
    h3{font-size:15px;margin:20px 0 6px}p{margin:6px 0}.soft{color:var(--soft)}
    .wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
    th,td{padding:4px 14px 4px 0;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
    th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:600}
    svg{max-width:100%;height:auto;font:11px system-ui,sans-serif}text{fill:var(--soft)}
    svg .title{fill:var(--fg);font-weight:600}.grid{stroke:var(--line);fill:none}
    .plots{display:flex;flex-wrap:wrap;gap:8px}
    details{margin:6px 0;border:1px solid var(--line);border-radius:6px;background:var(--panel)}
    summary{cursor:pointer;padding:6px 10px}
    .good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
    pre{margin:0;padding:10px;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;
    font:13px/1.5 ui-monospace,Menlo,"DejaVu Sans Mono",monospace;border-top:1px solid var(--line)}
    .prompt{color:var(--soft)}.code{background:var(--code);color:var(--codefg)}
    .tool{background:var(--tool);color:var(--toolfg)}
    .hint{background:var(--hint);color:var(--hintfg);font-weight:600}
    .key span{padding:1px 7px;border-radius:4px;margin-right:6px}
    """
}
