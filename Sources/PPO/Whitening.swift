/// verl's masked whitening over all tokens of the batch: (x - mean) / sqrt(var + 1e-8), mean = sum / (M + 1e-8),
/// variance times M / (M - 1). Equal values give exactly 0, and so do fewer than two tokens (verl stops with an error
/// there). Places outside the mask become 0.
///
/// - Parameters:
///   - x: numbers by sample and token.
///   - mask: the tokens that count, same shape.
public func whiten(_ x: [[Double]], mask: [[Bool]]) -> [[Double]] {
  let rows = zip(x, mask).map { values, kept in zip(values, kept).filter(\.1).map(\.0) }
  let all = rows.flatMap { $0 }
  guard all.count > 1, hasSignal(all) else { return x.map { $0.map { _ in 0 } } }
  let count = Double(all.count)
  // Sums by row, rows added in ascending order: neither the order of the samples nor tokens between change a bit.
  let mean = orderFreeSum(rows.map { $0.reduce(0, +) }) / (count + 1e-8)
  let squares = orderFreeSum(rows.map { row in row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } })
  let variance = squares / (count + 1e-8) * count / (count - 1)
  let scale = 1 / (variance + 1e-8).squareRoot()
  return zip(x, mask).map { values, kept in zip(values, kept).map { $1 ? ($0 - mean) * scale : 0 } }
}
