import Tensor

extension TrainingPass {
  /// `a.attended` and, where a backward pass may follow, `a.statistics`.
  func attend(_ a: LayerActivations) {
    let c = model.configuration
    timer?.begin(.forwardAttention)
    defer { timer?.begin(.forward) }
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
    timer?.begin(.backwardAttention)
    defer { timer?.begin(.backward) }
    b.dKey.update(repeating: 0, count: N * KV)
    b.dValue.update(repeating: 0, count: N * KV)
    attentionBackward(
      dQuery: b.dQuery, dQueryStride: Q, dKey: b.dKey, dKeyStride: KV, dValue: b.dValue, dValueStride: KV,
      dOut: b.dAttended, dOutStride: Q, out: a.attended, outStride: Q, query: a.query, queryStride: Q, key: a.key,
      keyStride: KV, value: a.value, valueStride: KV, statistics: a.statistics, sequences: batch.sequences,
      shape: c.attentionShape, scratch: attentionScratch, pool: pool)
  }
}
