import Tensor

/// The gradient of the embedding table from its use as an input; only tokens that occurred have rows.
///
/// A tied table gets gradients from both ends of the model. Its rows from the input side are summed here, each one
/// chain over its occurrences in order, and added to the table's gradient once, after the head's: so the sum does not
/// depend on where micro-batches were cut. An untied table's rows go straight into the gradient, the same chain.
final class EmbeddingGradient {
  private let width: Int
  private var places: [Int32: Int] = [:]
  private var order: [Int32] = []
  private var rows: FloatBuffer

  init(width: Int) {
    self.width = width
    rows = FloatBuffer(count: 64 * width)
  }

  var isEmpty: Bool { order.isEmpty }

  /// row[token] += dX, in the order of the rows.
  func add(tokens: [Int32], dX: UnsafePointer<Float>) {
    for (row, token) in tokens.enumerated() {
      let target = self.row(token)
      let source = dX + row * width
      for column in 0..<width { target[column] += source[column] }
    }
  }

  /// Adds every row to the table's gradient, and forgets it.
  func flush(into table: UnsafeMutablePointer<Float>) {
    for (place, token) in order.enumerated() {
      let target = table + Int(token) * width
      let source = rows.pointer + place * width
      for column in 0..<width { target[column] += source[column] }
    }
    discard()
  }

  func discard() {
    places.removeAll(keepingCapacity: true)
    order.removeAll(keepingCapacity: true)
  }

  private func row(_ token: Int32) -> UnsafeMutablePointer<Float> {
    if let place = places[token] { return rows.pointer + place * width }
    let place = order.count
    if (place + 1) * width > rows.count {
      let larger = FloatBuffer(count: rows.count * 2)
      larger.pointer.update(from: rows.pointer, count: place * width)
      rows = larger
    }
    places[token] = place
    order.append(token)
    let target = rows.pointer + place * width
    target.update(repeating: 0, count: width)
    return target
  }
}
