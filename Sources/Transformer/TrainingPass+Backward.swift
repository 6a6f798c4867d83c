import Tensor

extension TrainingPass {
  /// Takes the gradient of the hidden states, which `scoreAndBackpropagate` and `backpropagateValues` left, back through all
  /// layers and adds to `gradients`. Once after each `forward`: the activations are used up.
  ///
  /// With `matmul: exact` every parameter's gradient is one chain over the rows in order, begun at the value that is there: so
  /// it does not matter how sequences are cut into micro-batches.
  public func backward() {
    guard let gradients, let buffers else { preconditionFailure("backward: this pass was made without gradients") }
    precondition(canBackpropagate, "backward: there is no forward pass to go back through")
    canBackpropagate = false
    let c = model.configuration
    let N = batch.tokens.count
    let C = c.hiddenSize
    buffers.dStream.update(repeating: 0, count: N * C)
    normBackward(
      dX: buffers.dStream, dWeight: model.pointer("model.norm.weight", in: gradients), dY: buffers.dHidden,
      x: buffers.final, weight: model.pointer("model.norm.weight"), scale: buffers.finalScale, width: C)
    for layer in stride(from: c.layerCount - 1, through: 0, by: -1) {
      backwardMLP(packed.layers[layer], layerGradients[layer], buffers.layers[layer], buffers)
      backwardAttention(packed.layers[layer], layerGradients[layer], buffers.layers[layer], buffers)
    }
    if c.tiedHead {
      embeddingGradient.add(tokens: batch.tokens, dX: buffers.dStream)
    } else {
      let table = model.pointer("model.embed_tokens.weight", in: gradients)
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
    weightGradient(g.down, dY: b.dStream, x: scratch.activated, outputs: C, inputs: F)
    inputGradient(scratch.activated, dY: b.dStream, weight: p.down, outputs: C, inputs: F)
    // The gradients of gate and up take the place of what they are gradients of.
    swiGLUBackward(
      dGate: a.gate, dGateStride: F, dUp: a.up, dUpStride: F, dY: scratch.activated, dYStride: F, gate: a.gate,
      gateStride: F, up: a.up, upStride: F, rows: N, width: F, pool: pool)
    decoder.norm(scratch.normed, a.middle, p.postNorm, rows: N, width: C, scale: nil)
    weightGradient(g.gate, dY: a.gate, x: scratch.normed, outputs: F, inputs: C)
    weightGradient(g.up, dY: a.up, x: scratch.normed, outputs: F, inputs: C)
    inputGradient(scratch.normed, dY: a.gate, weight: p.gate, outputs: F, inputs: C)
    inputGradient(scratch.normed, dY: a.up, weight: p.up, outputs: F, inputs: C, accumulate: true)
    normBackward(
      dX: b.dStream, dWeight: g.postNorm, dY: scratch.normed, x: a.middle, weight: p.postNorm, scale: a.middleScale,
      width: C)
  }

  /// dStream: from `middle` to the layer's input.
  private func backwardAttention(
    _ p: LayerPointers, _ g: LayerPointers, _ a: LayerActivations, _ b: TrainingBuffers
  ) {
    let c = model.configuration
    let (N, C, Q, KV) = (batch.tokens.count, c.hiddenSize, c.queryWidth, c.keyValueWidth)
    let scratch = b.scratch
    weightGradient(g.output, dY: b.dStream, x: a.attended, outputs: C, inputs: Q)
    inputGradient(b.dAttended, dY: b.dStream, weight: p.output, outputs: C, inputs: Q)
    attendBackward(a, b)
    positions.withUnsafeBufferPointer { positions in
      let positions = positions.baseAddress!
      let rotary = model.rotaryTable(length: 1)
      rotaryBackward(
        b.dQuery, rowStride: Q, rows: N, heads: c.headCount, positions: positions, table: rotary, pool: pool)
      rotaryBackward(
        b.dKey, rowStride: KV, rows: N, heads: c.keyValueHeadCount, positions: positions, table: rotary, pool: pool)
    }
    var (dQuery, dKey) = (b.dQuery, b.dKey)
    if let dRawQuery = b.dRawQuery, let dRawKey = b.dRawKey, let rawQuery = a.rawQuery, let rawKey = a.rawKey {
      dRawQuery.update(repeating: 0, count: N * Q)
      dRawKey.update(repeating: 0, count: N * KV)
      normBackward(
        dX: dRawQuery, dWeight: g.queryNorm!, dY: dQuery, x: rawQuery, weight: p.queryNorm!, scale: a.queryScale!,
        groups: c.headCount, width: c.headWidth)
      normBackward(
        dX: dRawKey, dWeight: g.keyNorm!, dY: dKey, x: rawKey, weight: p.keyNorm!, scale: a.keyScale!,
        groups: c.keyValueHeadCount, width: c.headWidth)
      (dQuery, dKey) = (dRawQuery, dRawKey)
    }
    if let queryBias = g.queryBias, let keyBias = g.keyBias, let valueBias = g.valueBias {
      biasBackward(queryBias, dY: dQuery, dYStride: Q, rows: N, outputs: Q, pool: pool)
      biasBackward(keyBias, dY: dKey, dYStride: KV, rows: N, outputs: KV, pool: pool)
      biasBackward(valueBias, dY: b.dValue, dYStride: KV, rows: N, outputs: KV, pool: pool)
    }
    decoder.norm(scratch.normed, a.input, p.inputNorm, rows: N, width: C, scale: nil)
    weightGradient(g.query, dY: dQuery, x: scratch.normed, outputs: Q, inputs: C)
    weightGradient(g.key, dY: dKey, x: scratch.normed, outputs: KV, inputs: C)
    weightGradient(g.value, dY: b.dValue, x: scratch.normed, outputs: KV, inputs: C)
    inputGradient(scratch.normed, dY: dQuery, weight: p.query, outputs: Q, inputs: C)
    inputGradient(scratch.normed, dY: dKey, weight: p.key, outputs: KV, inputs: C, accumulate: true)
    inputGradient(scratch.normed, dY: b.dValue, weight: p.value, outputs: KV, inputs: C, accumulate: true)
    normBackward(
      dX: b.dStream, dWeight: g.inputNorm, dY: scratch.normed, x: a.input, weight: p.inputNorm, scale: a.inputScale,
      width: C)
  }

  /// dW += dY^T x over all rows.
  private func weightGradient(
    _ dW: Pointer, dY: UnsafePointer<Float>, x: UnsafePointer<Float>, outputs: Int, inputs: Int
  ) {
    linearBackwardWeight(
      dW, dY: dY, dYStride: outputs, x: x, xStride: inputs, rows: batch.tokens.count, outputs: outputs,
      inputs: inputs, mode: matmul, pool: pool)
  }

  /// dX = dY W over all rows, or that added.
  private func inputGradient(
    _ dX: Pointer, dY: UnsafePointer<Float>, weight: UnsafePointer<Float>, outputs: Int, inputs: Int,
    accumulate: Bool = false
  ) {
    linearBackwardInput(
      dX, dXStride: inputs, dY: dY, dYStride: outputs, rows: batch.tokens.count, weight: weight, outputs: outputs,
      inputs: inputs, accumulate: accumulate, mode: matmul, pool: pool)
  }

  private func normBackward(
    dX: Pointer, dWeight: Pointer, dY: UnsafePointer<Float>, x: UnsafePointer<Float>, weight: UnsafePointer<Float>,
    scale: UnsafePointer<Float>, groups: Int = 1, width: Int
  ) {
    let stride = groups * width
    rmsNormBackward(
      dX: dX, dXStride: stride, dWeight: dWeight, dY: dY, dYStride: stride, x: x, xStride: stride, weight: weight,
      rstd: scale, rows: batch.tokens.count, groups: groups, width: width, pool: pool)
  }
}
