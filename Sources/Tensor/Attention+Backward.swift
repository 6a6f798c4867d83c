/// Backward of packed attention: overwrites dQuery, adds to dKey and dValue.
///
///     P = exp(s - max) / sum,   dV_p += sum_r P_rp dOut_r,   dS = P (dOut . v_p - dOut . out) scale
///     dQ_r = sum_p dS_rp k_p,   dK_p += sum_r dS_rp q_r
///
/// dKey and dValue of a position are one chain over (position of the query, head of the group) in order, going on from
/// the value they have: threads change nothing, and a shared prefix can take from several sequences in turn.
/// - Parameters: dQuery, dOut, out and query [rows, H, D]; dKey, dValue, key, value [rows, K, D]; statistics
///   [rows, H, 2] of the forward pass. dQuery may be `query`'s memory only if nothing else reads it.
public func attentionBackward(
  dQuery: UnsafeMutablePointer<Float>, dQueryStride: Int, dKey: UnsafeMutablePointer<Float>, dKeyStride: Int,
  dValue: UnsafeMutablePointer<Float>, dValueStride: Int, dOut: UnsafePointer<Float>, dOutStride: Int,
  out: UnsafePointer<Float>, outStride: Int, query: UnsafePointer<Float>, queryStride: Int,
  key: UnsafePointer<Float>, keyStride: Int, value: UnsafePointer<Float>, valueStride: Int,
  statistics: UnsafePointer<Float>, sequences: [Range<Int>], shape: AttentionShape, scratch: AttentionScratch,
  pool: WorkerPool
) {
  let K = shape.keyValueHeadCount
  let D = shape.headWidth
  let longest = sequences.reduce(0) { max($0, $1.count) }
  guard longest > 0 else { return }
  let plan = AttentionBlockPlan(shape: shape, keyCount: longest, rowCount: longest)
  let panelFloats = KeyValueStore.panelFloatCount(capacity: longest, headWidth: D)
  forEachItem(
    sequences.count * K, scratchFloats: plan.backwardFloatCount + 2 * panelFloats, scratch: scratch, pool: pool
  ) { item, memory in
    let rows = sequences[item / K]
    let head = item % K
    let (first, own) = (rows.lowerBound, head * D)
    let keyPanels = memory + plan.backwardFloatCount
    let valuePanels = keyPanels + panelFloats
    packPanels(keyPanels, key + first * keyStride + own, stride: keyStride, rows: rows.count, width: D)
    packPanels(valuePanels, value + first * valueStride + own, stride: valueStride, rows: rows.count, width: D)
    let run = AttentionRun(
      query: query + first * queryStride, queryStride: queryStride, keyPanels: keyPanels, shape: shape,
      keyValueHead: head, firstPosition: 0, rowCount: rows.count * shape.groupSize)
    let gradients = AttentionGradients(
      dQuery: dQuery + first * dQueryStride, dQueryStride: dQueryStride,
      dKey: dKey + first * dKeyStride + own, dKeyStride: dKeyStride,
      dValue: dValue + first * dValueStride + own, dValueStride: dValueStride,
      dOut: dOut + first * dOutStride, dOutStride: dOutStride, out: out + first * outStride, outStride: outStride,
      key: key + first * keyStride + own, keyStride: keyStride, valuePanels: valuePanels,
      statistics: statistics + first * shape.headCount * 2)
    var start = 0
    while start < run.rowCount {
      run.backward(rows: start..<min(start + plan.rows, run.rowCount), gradients, plan, memory)
      start += plan.rows
    }
  }
}

/// What the backward pass reads and writes beside the run itself.
struct AttentionGradients {
  let dQuery: UnsafeMutablePointer<Float>
  let dQueryStride: Int
  let dKey: UnsafeMutablePointer<Float>
  let dKeyStride: Int
  let dValue: UnsafeMutablePointer<Float>
  let dValueStride: Int
  let dOut: UnsafePointer<Float>
  let dOutStride: Int
  let out: UnsafePointer<Float>
  let outStride: Int
  let key: UnsafePointer<Float>
  let keyStride: Int
  let valuePanels: UnsafePointer<Float>
  let statistics: UnsafePointer<Float>
}

extension AttentionRun {
  func backward(
    rows: Range<Int>, _ g: AttentionGradients, _ plan: AttentionBlockPlan, _ memory: UnsafeMutablePointer<Float>
  ) {
    let D = shape.headWidth
    let counts = countKeys(rows, plan, memory)
    let probabilities = memory + plan.counts
    let dScores = probabilities + plan.scores
    let queries = dScores + plan.scores
    let dOuts = queries + plan.vectors
    let totals = dOuts + plan.vectors
    gather(queries, rows, plan, query, stride: queryStride)
    gather(dOuts, rows, plan, g.dOut, stride: g.dOutStride)
    tileScores(probabilities, rows.count, counts, plan, vectors: queries, panels: keyPanels, scale: shape.scale)
    tileScores(dScores, rows.count, counts, plan, vectors: dOuts, panels: g.valuePanels, scale: 1)
    forEach(rows) { local, position, head in
      let place = (position &* shape.headCount &+ head) &* 2
      let delta = RMSNormKernel.laneProduct(
        dOuts + local &* D, g.out + position &* g.outStride + head &* D, width: D)
      softmaxBackward(
        probabilities + local &* plan.scoreStride, dScores + local &* plan.scoreStride, count: counts[local],
        maximum: g.statistics[place], sum: g.statistics[place &+ 1], delta: delta)
    }
    weightedRows(totals, dScores, rows.count, counts, plan, values: g.key, valueStride: g.keyStride)
    forEach(rows) { local, position, head in
      copyFloats(g.dQuery + position &* g.dQueryStride + head &* D, totals + local &* D, D)
    }
    weightedColumns(g.dValue, g.dValueStride, probabilities, rows, counts, plan, vectors: dOuts)
    weightedColumns(g.dKey, g.dKeyStride, dScores, rows, counts, plan, vectors: queries)
  }

  /// Scores to probabilities and their gradients to the scores', in place: P = exp(s - max) / sum, dS = P (dP - delta) scale.
  @inline(__always)
  private func softmaxBackward(
    _ scores: UnsafeMutablePointer<Float>, _ gradients: UnsafeMutablePointer<Float>, count: Int, maximum: Float,
    sum: Float, delta: Float
  ) {
    let shift = Lanes(repeating: maximum)
    let reciprocal = Lanes(repeating: 1 / sum)
    let deltas = Lanes(repeating: delta)
    let scale = Lanes(repeating: shape.scale)
    var index = 0
    // Lanes behind the last key hold whatever comes out: nothing reads them.
    while index < count {
      let p = vectorExpOfNonPositive(Lanes(scores + index) - shift) * reciprocal
      p.store(scores + index)
      ((p * (Lanes(gradients + index) - deltas)) * scale).store(gradients + index)
      index &+= 16
    }
  }

  /// target[p][0..<D] += sum over the rows that see p, in order, of weights[row][p] * vectors[row].
  private func weightedColumns(
    _ target: UnsafeMutablePointer<Float>, _ targetStride: Int, _ weights: UnsafePointer<Float>, _ rows: Range<Int>,
    _ counts: UnsafePointer<Int>, _ plan: AttentionBlockPlan, vectors: UnsafePointer<Float>
  ) {
    let D = shape.headWidth
    let wide = D / 16 * 16
    let limit = counts[rows.count - 1]
    /// The first row of the block that sees position p.
    @inline(__always)
    func firstRow(_ p: Int) -> Int { max(0, (p &- firstPosition) &* shape.groupSize &- rows.lowerBound) }
    var p = 0
    while p &+ 6 <= limit {
      let starts = (
        firstRow(p), firstRow(p &+ 1), firstRow(p &+ 2), firstRow(p &+ 3), firstRow(p &+ 4), firstRow(p &+ 5)
      )
      var column = 0
      while column < wide {
        AttentionTile.columnsOfSix(
          target + p &* targetStride + column, targetStride: targetStride, weights: weights + p,
          stride: plan.scoreStride, vectors: vectors + column, width: D, starts: starts, rows: rows.count)
        column &+= 16
      }
      p &+= 6
    }
    for position in (wide < D ? 0 : p)..<limit {
      let column = position < p ? wide : 0
      AttentionTile.columnsOfOne(
        target + position * targetStride + column, weights: weights + position, stride: plan.scoreStride,
        vectors: vectors + column, width: D, columns: D - column, start: firstRow(position), rows: rows.count)
    }
  }
}
