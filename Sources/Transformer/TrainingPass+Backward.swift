import Tensor

extension TrainingPass {
  /// Takes the gradient of the hidden states, which `scoreAndBackpropagate` and `backpropagateValues` left, back
  /// through all layers and adds to `gradients`. Once after each `forward`: the activations are used up.
  ///
  /// With `matmul: exact` every parameter's gradient is one chain over the rows in order, begun at the value that is
  /// there: so it does not matter how sequences are cut into micro-batches.
  public func backward() {
    guard gradients != nil, let buffers else { preconditionFailure("backward: this pass was made without gradients") }
    precondition(canBackpropagate, "backward: there is no forward pass to go back through")
    canBackpropagate = false
    timer?.begin(.backward)
    defer { timer?.begin(.other) }
    let c = model.configuration
    let N = batch.tokens.count
    let C = c.hiddenSize
    buffers.dStream.update(repeating: 0, count: N * C)
    normBackward(
      dX: buffers.dStream, dWeight: gradient("model.norm.weight"), dY: buffers.dHidden,
      x: buffers.final, weight: model.pointer("model.norm.weight"), rstd: buffers.finalRstd, width: C)
    for layer in stride(from: c.layerCount - 1, through: 0, by: -1) {
      // What the last layer left is still there.
      if recomputes, layer < c.layerCount - 1 {
        run(layer, buffers, output: nil)
        timer?.begin(.backward)
      }
      backwardMLP(packed.layers[layer], layerGradients[layer], buffers.layers[layer], buffers)
      backwardAttention(packed.layers[layer], layerGradients[layer], buffers.layers[layer], buffers)
    }
    guard trainsEverything else { return }
    if c.tiedHead {
      embeddingGradient.add(tokens: batch.tokens, dX: buffers.dStream)
    } else {
      let table = gradient("model.embed_tokens.weight")
      for (row, token) in batch.tokens.enumerated() {
        let target = table + Int(token) * C
        let source = buffers.dStream + row * C
        for column in 0..<C { target[column] += source[column] }
      }
    }
  }

  /// dStream: from the layer's output to `middle`.
  private func backwardMLP(_ p: LayerPointers, _ g: LayerPointers, _ a: LayerActivations, _ b: TrainingBuffers) {
    let c = model.configuration
    let (N, C, F) = (batch.tokens.count, c.hiddenSize, c.intermediateSize)
    let scratch = b.scratch
    decoder.activate(scratch.activated, a, rows: N)
    weightGradient(.down, p, g, dY: b.dStream, x: scratch.activated)
    inputGradient(.down, p, scratch.activated, dY: b.dStream)
    // The gradients of gate and up take the place of what they are gradients of.
    let (gate, up) = (MutableRows(a.gate, count: N, width: F), MutableRows(a.up, count: N, width: F))
    swiGLUBackward(
      dGate: gate, dUp: up, dY: Rows(scratch.activated, count: N, width: F), gate: Rows(gate), up: Rows(up), pool: pool)
    decoder.norm(scratch.normed, a.middle, p.postNorm, rows: N, width: C, rstd: nil)
    weightGradient(.gate, p, g, dY: a.gate, x: scratch.normed)
    weightGradient(.up, p, g, dY: a.up, x: scratch.normed)
    inputGradient(.gate, p, scratch.normed, dY: a.gate)
    inputGradient(.up, p, scratch.normed, dY: a.up, accumulate: true)
    normBackward(
      dX: b.dStream, dWeight: g.postNorm, dY: scratch.normed, x: a.middle, weight: p.postNorm, rstd: a.middleRstd,
      width: C)
  }

  /// dStream: from `middle` to the layer's input.
  private func backwardAttention(
    _ p: LayerPointers, _ g: LayerPointers, _ a: LayerActivations, _ b: TrainingBuffers
  ) {
    let c = model.configuration
    let (N, C, Q, KV) = (batch.tokens.count, c.hiddenSize, c.queryWidth, c.keyValueWidth)
    let scratch = b.scratch
    weightGradient(.output, p, g, dY: b.dStream, x: a.attended)
    inputGradient(.output, p, b.dAttended, dY: b.dStream)
    attendBackward(a, b)
    positions.withUnsafeBufferPointer { positions in
      let positions = positions.baseAddress!
      let rotary = model.rotaryTable(length: 1)
      for rows in [MutableRows(b.dQuery, count: N, width: Q), MutableRows(b.dKey, count: N, width: KV)] {
        rotaryBackward(rows, positions: positions, table: rotary, pool: pool)
      }
    }
    var (dQuery, dKey) = (b.dQuery, b.dKey)
    if let dRawQuery = b.dRawQuery, let dRawKey = b.dRawKey, let rawQuery = a.rawQuery, let rawKey = a.rawKey {
      dRawQuery.update(repeating: 0, count: N * Q)
      dRawKey.update(repeating: 0, count: N * KV)
      normBackward(
        dX: dRawQuery, dWeight: g.queryNorm!, dY: dQuery, x: rawQuery, weight: p.queryNorm!, rstd: a.queryRstd!,
        groups: c.headCount, width: Q)
      normBackward(
        dX: dRawKey, dWeight: g.keyNorm!, dY: dKey, x: rawKey, weight: p.keyNorm!, rstd: a.keyRstd!,
        groups: c.keyValueHeadCount, width: KV)
      (dQuery, dKey) = (dRawQuery, dRawKey)
    }
    if trainsEverything, let queryBias = g.queryBias, let keyBias = g.keyBias, let valueBias = g.valueBias {
      biasBackward(queryBias, dY: Rows(dQuery, count: N, width: Q), pool: pool)
      biasBackward(keyBias, dY: Rows(dKey, count: N, width: KV), pool: pool)
      biasBackward(valueBias, dY: Rows(b.dValue, count: N, width: KV), pool: pool)
    }
    decoder.norm(scratch.normed, a.input, p.inputNorm, rows: N, width: C, rstd: nil)
    weightGradient(.query, p, g, dY: dQuery, x: scratch.normed)
    weightGradient(.key, p, g, dY: dKey, x: scratch.normed)
    weightGradient(.value, p, g, dY: b.dValue, x: scratch.normed)
    inputGradient(.query, p, scratch.normed, dY: dQuery)
    inputGradient(.key, p, scratch.normed, dY: dKey, accumulate: true)
    inputGradient(.value, p, scratch.normed, dY: b.dValue, accumulate: true)
    normBackward(
      dX: b.dStream, dWeight: g.inputNorm, dY: scratch.normed, x: a.input, weight: p.inputNorm, rstd: a.inputRstd,
      width: C)
  }

  /// dW += dY^T x over all rows. With adapters instead, where there is one:
  ///
  ///     dB += dY^T (scale x A^T),   dA += (scale dY B)^T x
  private func weightGradient(
    _ projection: Projection, _ p: LayerPointers, _ g: LayerPointers, dY: UnsafePointer<Float>, x: UnsafePointer<Float>
  ) {
    let (outputs, inputs) = projection.shape(model.configuration)
    let N = batch.tokens.count
    let (dY, x) = (Rows(dY, count: N, width: outputs), Rows(x, count: N, width: inputs))
    func add(_ dW: Pointer, _ dY: Rows, _ x: Rows) {
      linearBackwardWeight(
        MutableRows(dW, count: dY.width, width: x.width), dY: dY, x: x, mode: matmul, pool: pool)
    }
    guard let adapters = model.configuration.adapters else { return add(g[projection], dY, x) }
    guard let adapter = p.adapter(projection), let gradient = g.adapter(projection) else { return }
    let rank = adapters.rank
    let (down, up) = (FloatBuffer(count: N * rank), FloatBuffer(count: N * rank))
    let storage = FloatBuffer(count: PackedWeights.floatCount(outputs: rank, inputs: inputs))
    let a = packWeights(adapter.a, outputs: rank, inputs: inputs, into: storage.pointer, pool: pool)
    linear(MutableRows(down.pointer, count: N, width: rank), x, weights: a, bias: nil, pool: pool)
    add(gradient.b, dY, scaled(down, adapters))
    linearBackwardInput(
      MutableRows(up.pointer, count: N, width: rank), dY: dY, weight: Rows(adapter.b, count: outputs, width: rank),
      accumulate: false, mode: matmul, pool: pool)
    add(gradient.a, scaled(up, adapters), x)
    withExtendedLifetime((down, up, storage)) {}
  }

  /// `buffer` times the adapters' scale, in place: rows of their rank.
  private func scaled(_ buffer: FloatBuffer, _ adapters: LowRankAdapters) -> Rows {
    for index in 0..<buffer.count { buffer.pointer[index] *= adapters.scale }
    return Rows(buffer.pointer, count: buffer.count / adapters.rank, width: adapters.rank)
  }

  /// dX = dY W over all rows, or that added; W with its adapter's share.
  private func inputGradient(
    _ projection: Projection, _ p: LayerPointers, _ dX: Pointer, dY: UnsafePointer<Float>, accumulate: Bool = false
  ) {
    let (outputs, inputs) = projection.shape(model.configuration)
    let N = batch.tokens.count
    linearBackwardInput(
      MutableRows(dX, count: N, width: inputs), dY: Rows(dY, count: N, width: outputs),
      weight: Rows(packed.merged(p, projection), count: outputs, width: inputs), accumulate: accumulate, mode: matmul,
      pool: pool)
  }

  /// Rows of `width`, in `groups` runs; see `DecoderForward.norm`.
  private func normBackward(
    dX: Pointer, dWeight: Pointer, dY: UnsafePointer<Float>, x: UnsafePointer<Float>, weight: UnsafePointer<Float>,
    rstd: UnsafePointer<Float>, groups: Int = 1, width: Int
  ) {
    let N = batch.tokens.count
    rmsNormBackward(
      dX: MutableRows(dX, count: N, width: width), dWeight: dWeight, dY: Rows(dY, count: N, width: width),
      x: Rows(x, count: N, width: width), weight: weight, rstd: rstd, groups: groups, pool: pool)
  }
}
