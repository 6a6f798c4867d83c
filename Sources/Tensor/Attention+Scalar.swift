import TensorBase

/// The twin of `attention` for one row and head, one element at a time: equal bits.
/// - Parameters: query [D]; keys and values [positions seen][D].
package func scalarAttention(
  query: [Float], keys: [[Float]], values: [[Float]], scale: Float
) -> (out: [Float], maximum: Float, sum: Float) {
  precondition(keys.count == values.count, "\(keys.count) keys and \(values.count) values")
  let scores = keys.map { key in
    var score: Float = 0
    for (q, k) in zip(query, key) { score.addProduct(q, k) }
    return score * scale
  }
  let maximum = ScalarLogProbs.maximum(scores)
  let weights = scores.map { exactExp($0 - maximum) }
  var sums = [Float](repeating: 0, count: laneCount)
  for (position, weight) in weights.enumerated() { sums[position % laneCount] += weight }
  let sum = scalarTreeSum(sums)
  let out = query.indices.map { d in
    var total: Float = 0
    for start in stride(from: 0, to: weights.count, by: AttentionShape.restart) {
      var part: Float = 0
      for position in start..<min(start + AttentionShape.restart, weights.count) {
        part.addProduct(weights[position], values[position][d])
      }
      total = start == 0 ? part : total + part
    }
    return total / sum
  }
  return (out, maximum, sum)
}
