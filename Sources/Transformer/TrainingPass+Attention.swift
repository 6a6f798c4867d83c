import Tensor

extension TrainingPass {
  /// `a.attended` and, where a backward pass may follow, `a.statistics`.
  func attend(_ a: LayerActivations) {
    timer?.begin(.forwardAttention)
    defer { timer?.begin(.forward) }
    attention(
      MutableRows(a.attended, count: batch.tokens.count, width: model.configuration.queryWidth), inputs(a),
      sequences: batch.sequences, statistics: gradients == nil ? nil : a.statistics, scratch: attentionScratch,
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
    let gradients = AttentionGradients(
      query: MutableRows(b.dQuery, count: N, width: Q), key: MutableRows(b.dKey, count: N, width: KV),
      value: MutableRows(b.dValue, count: N, width: KV))
    attentionBackward(
      gradients, dOut: Rows(b.dAttended, count: N, width: Q), out: Rows(a.attended, count: N, width: Q),
      statistics: a.statistics, inputs(a), sequences: batch.sequences, scratch: attentionScratch, pool: pool)
  }

  private func inputs(_ a: LayerActivations) -> AttentionInputs {
    let (c, N) = (model.configuration, batch.tokens.count)
    return AttentionInputs(
      query: Rows(a.query, count: N, width: c.queryWidth), key: Rows(a.key, count: N, width: c.keyValueWidth),
      value: Rows(a.value, count: N, width: c.keyValueWidth), shape: c.attentionShape)
  }
}
