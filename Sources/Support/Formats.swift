/// `value` with a fixed number of decimals, rounded half away from zero; `-0.0` is written as `0.0`.
package func decimals(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
  let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
  let scaled = (value.magnitude * scale).rounded()
  let sign = value < 0 && scaled > 0 ? "-" : ""
  let whole = (scaled / scale).rounded(.down)
  guard digits > 0 else { return "\(sign)\(Int(scaled))" }
  let fraction = String(Int(scaled - whole * scale))
  return "\(sign)\(Int(whole))." + String(repeating: "0", count: max(0, digits - fraction.count)) + fraction
}

/// `value` in a few characters: `0.5`, `12.3`, `1234`, `1.2e-5`.
package func shortNumber(_ value: Double) -> String {
  let size = value.magnitude
  if size == 0 { return "0" }
  if size >= 1e5 || size < 1e-3 {
    var power = 0
    var rest = size
    while rest >= 9.9995 {
      rest /= 10
      power += 1
    }
    while rest < 0.99995 {
      rest *= 10
      power -= 1
    }
    return (value < 0 ? "-" : "") + withoutTrailingZeros(decimals(rest, 2)) + "e\(power)"
  }
  return withoutTrailingZeros(decimals(value, size >= 1000 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 3 : 5))
}

private func withoutTrailingZeros(_ text: String) -> String {
  guard text.contains(".") else { return text }
  var text = text
  while text.last == "0" { text.removeLast() }
  if text.last == "." { text.removeLast() }
  return text
}

/// `bytes` as a person reads it: `3.2 GB` (10^9), `41 MB`, `7 kB`.
package func byteText(_ bytes: Int) -> String {
  let value = Double(bytes)
  if value >= 1e9 { return decimals(value / 1e9, 1) + " GB" }
  if value >= 1e6 { return decimals(value / 1e6, 0) + " MB" }
  return decimals(value / 1e3, 0) + " kB"
}

/// `text` with spaces behind it, or before it, up to `width` characters.
package func padded(_ text: String, to width: Int, right: Bool = false) -> String {
  let space = String(repeating: " ", count: max(0, width - text.count))
  return right ? space + text : text + space
}

/// A table for a terminal: columns are as wide as their widest cell. The first column is aligned to the left, the
/// others to the right; a rule follows the first row, which holds the headings.
package func alignedTable(_ rows: [[String]]) -> String {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in rows.reduce(0) { max($0, column < $1.count ? $1[column].count : 0) } }
  var text = ""
  for (index, row) in rows.enumerated() {
    let cells = row.enumerated().map { column, cell in padded(cell, to: widths[column], right: column > 0) }
    var line = cells.joined(separator: "  ")
    while line.last == " " { line.removeLast() }
    text += line + "\n"
    if index == 0 { text += widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ") + "\n" }
  }
  return text
}
