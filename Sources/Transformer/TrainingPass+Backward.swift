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
      x: buffers.final, weight: model.pointer("model.norm.weight"), scale: buffers.finalScale, width: C)
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
    swiGLUBackward(
      dGate: a.gate, dGateStride: F, dUp: a.up, dUpStride: F, dY: scratch.activated, dYStride: F, gate: a.gate,
      gateStride: F, up: a.up, upStride: F, rows: N, width: F, pool: pool)
    decoder.norm(scratch.normed, a.middle, p.postNorm, rows: N, width: C, scale: nil)
    weightGradient(.gate, p, g, dY: a.gate, x: scratch.normed)
    weightGradient(.up, p, g, dY: a.up, x: scratch.normed)
    inputGradient(.gate, p, scratch.normed, dY: a.gate)
    inputGradient(.up, p, scratch.normed, dY: a.up, accumulate: true)
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
    weightGradient(.output, p, g, dY: b.dStream, x: a.attended)
    inputGradient(.output, p, b.dAttended, dY: b.dStream)
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
    if trainsEverything, let queryBias = g.queryBias, let keyBias = g.keyBias, let valueBias = g.valueBias {
      biasBackward(queryBias, dY: dQuery, dYStride: Q, rows: N, outputs: Q, pool: pool)
      biasBackward(keyBias, dY: dKey, dYStride: KV, rows: N, outputs: KV, pool: pool)
      biasBackward(valueBias, dY: b.dValue, dYStride: KV, rows: N, outputs: KV, pool: pool)
    }
    decoder.norm(scratch.normed, a.input, p.inputNorm, rows: N, width: C, scale: nil)
    weightGradient(.query, p, g, dY: dQuery, x: scratch.normed)
    weightGradient(.key, p, g, dY: dKey, x: scratch.normed)
    weightGradient(.value, p, g, dY: b.dValue, x: scratch.normed)
    inputGradient(.query, p, scratch.normed, dY: dQuery)
    inputGradient(.key, p, scratch.normed, dY: dKey, accumulate: true)
    inputGradient(.value, p, scratch.normed, dY: b.dValue, accumulate: true)
    normBackward(
      dX: b.dStream, dWeight: g.inputNorm, dY: scratch.normed, x: a.input, weight: p.inputNorm, scale: a.inputScale,
      width: C)
  }

  /// dW += dY^T x over all rows. With adapters instead, where there is one:
  ///
  ///     dB += dY^T (scale x A^T),   dA += (scale dY B)^T x
  private func weightGradient(
    _ projection: Projection, _ p: LayerPointers, _ g: LayerPointers, dY: UnsafePointer<Float>, x: UnsafePointer<Float>
  ) {
    let (outputs, inputs) = projection.shape(model.configuration)
    func add(_ dW: Pointer, _ dY: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ outputs: Int, _ inputs: Int) {
      linearBackwardWeight(
        dW, dY: dY, dYStride: outputs, x: x, xStride: inputs, rows: batch.tokens.count, outputs: outputs,
        inputs: inputs, mode: matmul, pool: pool)
    }
    guard let adapters = model.configuration.adapters else { return add(g[projection], dY, x, outputs, inputs) }
    guard let adapter = p.adapter(projection), let gradient = g.adapter(projection) else { return }
    let down = scaled(adapters, rows: batch.tokens.count) { down in
      let storage = FloatBuffer(count: PackedWeights.floatCount(outputs: adapters.rank, inputs: inputs))
      let a = packWeights(adapter.a, outputs: adapters.rank, inputs: inputs, into: storage.pointer, pool: pool)
      linear(
        down, yStride: adapters.rank, x: x, xStride: inputs, rows: batch.tokens.count, weights: a, bias: nil,
        pool: pool)
      withExtendedLifetime(storage) {}
    }
    add(gradient.b, dY, down.pointer, outputs, adapters.rank)
    let up = scaled(adapters, rows: batch.tokens.count) { up in
      linearBackwardInput(
        up, dXStride: adapters.rank, dY: dY, dYStride: outputs, rows: batch.tokens.count, weight: adapter.b,
        outputs: outputs, inputs: adapters.rank, accumulate: false, mode: matmul, pool: pool)
    }
    add(gradient.a, up.pointer, x, adapters.rank, inputs)
    withExtendedLifetime((down, up)) {}
  }

  /// dX = dY W over all rows, or that added; W with its adapter's share.
  private func inputGradient(
    _ projection: Projection, _ p: LayerPointers, _ dX: Pointer, dY: UnsafePointer<Float>, accumulate: Bool = false
  ) {
    let (outputs, inputs) = projection.shape(model.configuration)
    linearBackwardInput(
      dX, dXStride: inputs, dY: dY, dYStride: outputs, rows: batch.tokens.count, weight: packed.merged(p, projection),
      outputs: outputs, inputs: inputs, accumulate: accumulate, mode: matmul, pool: pool)
  }

  private func scaled(_ adapters: LowRankAdapters, rows: Int, _ fill: (Pointer) -> Void) -> FloatBuffer {
    let result = FloatBuffer(count: rows * adapters.rank)
    fill(result.pointer)
    for index in 0..<result.count { result.pointer[index] *= adapters.scale }
    return result
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
