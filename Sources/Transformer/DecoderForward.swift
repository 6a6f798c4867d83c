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
  ///   - attend: reads `a.query`, `a.key`, `a.value`; writes `a.attended` and, if wanted, `a.statistics`.
  func run(
    _ p: LayerPointers, _ linears: LayerLinears, _ a: LayerActivations, _ scratch: LayerScratch,
    output: UnsafeMutablePointer<Float>?, _ positions: RowPositions, attend: () -> Void
  ) {
    let c = configuration
    let (N, C) = (positions.count, c.hiddenSize)

    norm(scratch.normed, a.input, p.inputNorm, rows: N, width: C, rstd: a.inputRstd)
    project(linears.query, a.rawQuery ?? a.query, scratch.normed, rows: N)
    project(linears.key, a.rawKey ?? a.key, scratch.normed, rows: N)
    project(linears.value, a.value, scratch.normed, rows: N)
    if let rawQuery = a.rawQuery, let rawKey = a.rawKey, let queryNorm = p.queryNorm, let keyNorm = p.keyNorm {
      norm(a.query, rawQuery, queryNorm, rows: N, groups: c.headCount, width: c.queryWidth, rstd: a.queryRstd)
      norm(a.key, rawKey, keyNorm, rows: N, groups: c.keyValueHeadCount, width: c.keyValueWidth, rstd: a.keyRstd)
    }
    turn(MutableRows(a.query, count: N, width: c.queryWidth), positions)
    turn(MutableRows(a.key, count: N, width: c.keyValueWidth), positions)
    attend()
    project(linears.output, a.middle, a.attended, rows: N)
    addRows(MutableRows(a.middle, count: N, width: C), Rows(a.input, count: N, width: C), pool: pool)

    norm(scratch.normed, a.middle, p.postNorm, rows: N, width: C, rstd: a.middleRstd)
    project(linears.gate, a.gate, scratch.normed, rows: N)
    project(linears.up, a.up, scratch.normed, rows: N)
    guard let output else { return }
    activate(scratch.activated, a, rows: N)
    project(linears.down, output, scratch.activated, rows: N)
    addRows(MutableRows(output, count: N, width: C), Rows(a.middle, count: N, width: C), pool: pool)
  }

  private func turn(_ rows: MutableRows, _ positions: RowPositions) {
    applyRotary(rows, positions: positions.first, table: positions.table, pool: pool)
  }

  /// y = silu(gate) * up
  func activate(_ y: UnsafeMutablePointer<Float>, _ a: LayerActivations, rows: Int) {
    let F = configuration.intermediateSize
    swiGLU(
      MutableRows(y, count: rows, width: F), gate: Rows(a.gate, count: rows, width: F),
      up: Rows(a.up, count: rows, width: F), pool: pool)
  }

  func project(_ linear: Linear, _ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, rows: Int) {
    linear.apply(
      MutableRows(y, count: rows, width: linear.outputs), Rows(x, count: rows, width: linear.inputs), pool: pool)
  }

  /// Rows of `width`, in `groups` runs that are normalised one by one; without gaps.
  func norm(
    _ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, rows: Int,
    groups: Int = 1, width: Int, rstd: UnsafeMutablePointer<Float>?
  ) {
    rmsNorm(
      MutableRows(y, count: rows, width: width), Rows(x, count: rows, width: width), weight: weight, groups: groups,
      epsilon: configuration.rmsNormEpsilon, rstd: rstd, pool: pool)
  }
}

/// Each row's position in its sequence, with the angles that belong to it.
struct RowPositions {
  /// [N], within the capacity of `table`.
  let first: UnsafePointer<Int32>
  /// N.
  let count: Int
  let table: RotaryTable

  init(_ positions: UnsafeBufferPointer<Int32>, table: RotaryTable) {
    guard let first = positions.baseAddress else { preconditionFailure("no rows") }
    self.first = first
    count = positions.count
    self.table = table
  }
}

/// Copies the embedding of each token into its row of `x`, [N, C].
func embed(_ x: UnsafeMutablePointer<Float>, tokens: [Int32], model: LanguageModel) {
  let C = model.configuration.hiddenSize
  let V = model.configuration.vocabularySize
  let name = "model.embed_tokens.weight"
  let panels = model.panels?[name]
  let table = model.pointer(name)
  for (row, token) in tokens.enumerated() {
    precondition(token >= 0 && token < V, "token \(token) in row \(row) is outside of the vocabulary of \(V)")
    if let panels {
      panels.copyRow(Int(token), into: x + row * C)
    } else {
      (x + row * C).update(from: table + Int(token) * C, count: C)
    }
  }
}
