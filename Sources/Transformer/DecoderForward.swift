import Tensor

/// The forward pass of one layer over N rows, for the sampler and the trainer alike: what differs is only who attends.
///
///     middle = input + Wo attention(rotary(norm(Wq n)), rotary(norm(Wk n)), Wv n),   n = rmsNorm(input)
///     output = middle + Wdown (silu(Wgate m) * Wup m),                               m = rmsNorm(middle)
struct DecoderForward {
  let configuration: ModelConfiguration
  let pool: WorkerPool

  /// - Parameters:
  ///   - output: [N, C]; may be `a.input` where no backward pass will follow; nil: only what the layer leaves in `a` is
  ///     made.
  ///   - positions: [N], of each row in its sequence; within the capacity of `rotary`.
  ///   - attend: reads `a.query`, `a.key`, `a.value`; writes `a.attended` and, if wanted, `a.statistics`.
  func run(
    _ p: LayerPointers, _ linears: LayerLinears, _ a: LayerActivations, _ scratch: LayerScratch,
    output: UnsafeMutablePointer<Float>?, rows N: Int, positions: UnsafePointer<Int32>, rotary: RotaryTable,
    attend: () -> Void
  ) {
    let c = configuration
    let C = c.hiddenSize

    norm(scratch.normed, a.input, p.inputNorm, rows: N, width: C, scale: a.inputScale)
    project(linears.query, a.rawQuery ?? a.query, scratch.normed, rows: N)
    project(linears.key, a.rawKey ?? a.key, scratch.normed, rows: N)
    project(linears.value, a.value, scratch.normed, rows: N)
    if let rawQuery = a.rawQuery, let rawKey = a.rawKey, let queryNorm = p.queryNorm, let keyNorm = p.keyNorm {
      norm(a.query, rawQuery, queryNorm, rows: N, groups: c.headCount, width: c.headWidth, scale: a.queryScale)
      norm(a.key, rawKey, keyNorm, rows: N, groups: c.keyValueHeadCount, width: c.headWidth, scale: a.keyScale)
    }
    applyRotary(
      a.query, rowStride: c.queryWidth, rows: N, heads: c.headCount, positions: positions, table: rotary, pool: pool)
    applyRotary(
      a.key, rowStride: c.keyValueWidth, rows: N, heads: c.keyValueHeadCount, positions: positions, table: rotary,
      pool: pool)
    attend()
    project(linears.output, a.middle, a.attended, rows: N)
    addRows(a.middle, yStride: C, x: a.input, xStride: C, rows: N, width: C, pool: pool)

    norm(scratch.normed, a.middle, p.postNorm, rows: N, width: C, scale: a.middleScale)
    project(linears.gate, a.gate, scratch.normed, rows: N)
    project(linears.up, a.up, scratch.normed, rows: N)
    guard let output else { return }
    activate(scratch.activated, a, rows: N)
    project(linears.down, output, scratch.activated, rows: N)
    addRows(output, yStride: C, x: a.middle, xStride: C, rows: N, width: C, pool: pool)
  }

  /// y = silu(gate) * up
  func activate(_ y: UnsafeMutablePointer<Float>, _ a: LayerActivations, rows: Int) {
    let F = configuration.intermediateSize
    swiGLU(y, yStride: F, gate: a.gate, gateStride: F, up: a.up, upStride: F, rows: rows, width: F, pool: pool)
  }

  func project(_ linear: Linear, _ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, rows: Int) {
    linear.apply(y, yStride: linear.outputs, x: x, xStride: linear.inputs, rows: rows, pool: pool)
  }

  /// Rows of `groups` runs of `width`, end to end.
  func norm(
    _ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, rows: Int,
    groups: Int = 1, width: Int, scale: UnsafeMutablePointer<Float>?
  ) {
    let stride = groups * width
    rmsNorm(
      y, yStride: stride, x: x, xStride: stride, weight: weight, rows: rows, groups: groups, width: width,
      epsilon: configuration.rmsNormEpsilon, rstd: scale, pool: pool)
  }
}

/// Copies the embedding of each token into its row of `x`, [N, C].
func embed(_ x: UnsafeMutablePointer<Float>, tokens: [Int32], model: LanguageModel) {
  let C = model.configuration.hiddenSize
  let V = model.configuration.vocabularySize
  let table = model.pointer("model.embed_tokens.weight")
  for (row, token) in tokens.enumerated() {
    precondition(token >= 0 && token < V, "token \(token) in row \(row) is outside of the vocabulary of \(V)")
    (x + row * C).update(from: table + Int(token) * C, count: C)
  }
}
