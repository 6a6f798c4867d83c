import Tensor

extension TrainingPass {
  /// `a.attended` and, where a backward pass may follow, `a.statistics`.
  func attend(_ a: LayerActivations) {
    let c = model.configuration
    attention(
      a.attended, outStride: c.queryWidth, query: a.query, queryStride: c.queryWidth, key: a.key,
      keyStride: c.keyValueWidth, value: a.value, valueStride: c.keyValueWidth, sequences: batch.sequences,
      shape: c.attentionShape, statistics: gradients == nil ? nil : a.statistics, scratch: attentionScratch,
      pool: pool)
  }

  /// dQuery, dKey, dValue of `b` from its dAttended.
  func attendBackward(_ a: LayerActivations, _ b: TrainingBuffers) {
    let c = model.configuration
    let (Q, KV, N) = (c.queryWidth, c.keyValueWidth, batch.tokens.count)
    b.dQuery.update(repeating: 0, count: N * Q)
    b.dKey.update(repeating: 0, count: N * KV)
    b.dValue.update(repeating: 0, count: N * KV)
    let sequences = batch.sequences
    let K = c.keyValueHeadCount
    pool.run(sequences.count * K) { attendBackward(a, b, rows: sequences[$0 / K], keyValueHead: $0 % K) }
  }

  /// One sequence and key/value head, rows in order.
  private func attendBackward(_ a: LayerActivations, _ b: TrainingBuffers, rows: Range<Int>, keyValueHead: Int) {
    let c = model.configuration
    let (Q, KV, D) = (c.queryWidth, c.keyValueWidth, c.headWidth)
    let group = c.headCount / c.keyValueHeadCount
    let scale = c.attentionShape.scale
    for row in rows {
      for head in keyValueHead * group..<(keyValueHead + 1) * group {
        let place = row * Q + head * D
        let (query, dOut, dQuery) = (a.query + place, b.dAttended + place, b.dQuery + place)
        let maximum = a.statistics[(row * c.headCount + head) * 2]
        let sum = a.statistics[(row * c.headCount + head) * 2 + 1]
        let pull = dot(a.attended + place, dOut, D)
        for other in rows.lowerBound...row {
          let offset = other * KV + keyValueHead * D
          let (key, value) = (a.key + offset, a.value + offset)
          let weight = exactExp(dot(query, key, D) * scale - maximum) / sum
          let dScore = weight * (dot(dOut, value, D) - pull) * scale
          addScaled(b.dValue + offset, dOut, weight, D)
          addScaled(b.dKey + offset, query, dScore, D)
          addScaled(dQuery, key, dScore, D)
        }
      }
    }
  }

  /// Sum of a[i] b[i]: 16 lanes and the fixed tree.
  @inline(__always)
  private func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Float {
    var sums = Lanes(repeating: 0)
    var index = 0
    while index &+ 16 <= count {
      sums = sums.addingProduct(Lanes(a + index), Lanes(b + index))
      index &+= 16
    }
    if index < count {
      let rest = count &- index
      sums = sums.addingProduct(
        Lanes(a + index, count: rest, padding: 0), Lanes(b + index, count: rest, padding: 0))
    }
    return sums.treeSum
  }

  /// y[i] += x[i] * factor
  @inline(__always)
  private func addScaled(_ y: Pointer, _ x: UnsafePointer<Float>, _ factor: Float, _ count: Int) {
    let factors = Lanes(repeating: factor)
    var index = 0
    while index &+ 16 <= count {
      Lanes(y + index).addingProduct(Lanes(x + index), factors).store(y + index)
      index &+= 16
    }
    while index < count {
      y[index].addProduct(x[index], factor)
      index &+= 1
    }
  }
}
