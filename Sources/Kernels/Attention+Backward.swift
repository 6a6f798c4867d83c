import TensorBase

extension Table {
  package static func attentionBackward(
    dQuery: UnsafeMutablePointer<Float>, dQueryStride: Int, dKey: UnsafeMutablePointer<Float>, dKeyStride: Int,
    dValue: UnsafeMutablePointer<Float>, dValueStride: Int, dOut: UnsafePointer<Float>, dOutStride: Int,
    out: UnsafePointer<Float>, outStride: Int, query: UnsafePointer<Float>, queryStride: Int,
    key: UnsafePointer<Float>, keyStride: Int, value: UnsafePointer<Float>, valueStride: Int,
    statistics: UnsafePointer<Float>, sequences: [AttentionSequence], shape: AttentionShape, scratch: AttentionScratch,
    pool: WorkerPool
  ) {
    guard let positions = PackedPositions(sequences, shape: shape) else { return }
    let (plan, K, D) = (positions.plan, shape.keyValueHeadCount, shape.headWidth)
    let families = familyStarts(sequences)
    forEachItem(
      (families.count - 1) * K,
      scratchFloats: plan.backwardFloatCount + 2 * (positions.panelFloats + positions.rowFloats), scratch: scratch,
      pool: pool
    ) { item, memory in
      let head = item % K
      let own = head * D
      let keyPanels = memory + plan.backwardFloatCount
      let valuePanels = keyPanels + positions.panelFloats
      let gathered = valuePanels + positions.panelFloats
      for sequence in sequences[families[item / K]..<families[item / K + 1]] {
        let first = sequence.rows.lowerBound
        let keys = positions.rows(sequence, of: key + own, stride: keyStride, gathered: gathered)
        let values = positions.rows(
          sequence, of: value + own, stride: valueStride, gathered: gathered + positions.rowFloats)
        let run = AttentionRun(
          query: query + first * queryStride, queryStride: queryStride, shape: shape, keyValueHead: head,
          firstPosition: sequence.prefix.count, rowCount: sequence.rows.count * shape.groupSize)
        let gradients = AttentionGradients(
          dQuery: dQuery + first * dQueryStride, dQueryStride: dQueryStride,
          dKey: dKey + own, dKeyStride: dKeyStride, dValue: dValue + own, dValueStride: dValueStride,
          sequence: sequence,
          dOut: dOut + first * dOutStride, dOutStride: dOutStride, out: out + first * outStride, outStride: outStride,
          keys: keys, keyPanels: positions.panels(keyPanels, keys, sequence),
          valuePanels: positions.panels(valuePanels, values, sequence),
          statistics: statistics + first * shape.headCount * 2)
        var start = 0
        while start < run.rowCount {
          run.backward(rows: start..<min(start + plan.rows, run.rowCount), gradients, plan, memory)
          start += plan.rows
        }
      }
    }
  }
}

/// Where each sequence without a prefix stands, and the end: what follows it up to the next adds to its gradients.
private func familyStarts(_ sequences: [AttentionSequence]) -> [Int] {
  var starts: [Int] = []
  for (index, sequence) in sequences.enumerated() {
    if sequence.prefix.isEmpty {
      starts.append(index)
    } else {
      precondition(
        starts.last.map { sequences[$0].rows == sequence.prefix } ?? false,
        "attention: sequence \(index) goes on from rows \(sequence.prefix), which are not the sequence before it")
    }
  }
  return starts + [sequences.count]
}

/// What the backward pass reads and writes beside the run itself.
struct AttentionGradients {
  let dQuery: UnsafeMutablePointer<Float>
  let dQueryStride: Int
  let dKey: UnsafeMutablePointer<Float>
  let dKeyStride: Int
  let dValue: UnsafeMutablePointer<Float>
  let dValueStride: Int
  /// The rows of dKey and dValue that belong to the positions.
  let sequence: AttentionSequence
  let dOut: UnsafePointer<Float>
  let dOutStride: Int
  let out: UnsafePointer<Float>
  let outStride: Int
  let keys: PackedPositions.Rows
  let keyPanels: PositionPages
  let valuePanels: PositionPages
  let statistics: UnsafePointer<Float>
}

extension AttentionRun {
  func backward(
    rows: Range<Int>, _ g: AttentionGradients, _ plan: AttentionBlockPlan, _ memory: UnsafeMutablePointer<Float>
  ) {
    let D = shape.headWidth
    let counts = countKeys(rows, plan, memory)
    let block = AttentionBlock(plan, memory)
    let probabilities = block.scores
    let dOuts = block.open + plan.vectors
    let dScores = dOuts + plan.vectors
    let (all, positions) = (0..<rows.count, 0..<counts[rows.count - 1])
    let pages = 0..<KeyValueStore.pageCount(length: positions.count)
    gather(block.vectors, rows, plan, query, stride: queryStride)
    gather(dOuts, rows, plan, g.dOut, stride: g.dOutStride)
    tileScores(
      probabilities, all, pages, counts, plan, vectors: block.vectors, panels: g.keyPanels, scale: shape.scale)
    tileScores(dScores, all, pages, counts, plan, vectors: dOuts, panels: g.valuePanels, scale: 1)
    forEach(rows) { local, position, head in
      let place = (position &* shape.headCount &+ head) &* 2
      let delta = RMSNormKernel.laneProduct(
        dOuts + local &* D, g.out + position &* g.outStride + head &* D, width: D)
      softmaxBackward(
        probabilities + local &* plan.scoreStride, dScores + local &* plan.scoreStride, count: counts[local],
        maximum: g.statistics[place], sum: g.statistics[place &+ 1], delta: delta)
    }
    weightedRows(
      block.totals, open: block.open, dScores, all, positions, counts, plan, values: g.keys.pages,
      valueStride: g.keys.stride)
    forEach(rows) { local, position, head in
      copyFloats(g.dQuery + position &* g.dQueryStride + head &* D, block.totals + local &* D, D)
    }
    let prefix = g.sequence.prefix
    for (positions, first) in [
      (0..<prefix.count, prefix.lowerBound), (prefix.count..<positions.count, g.sequence.rows.lowerBound),
    ] where !positions.isEmpty {
      weightedColumns(
        g.dValue + first &* g.dValueStride, g.dValueStride, probabilities, rows, positions, plan, vectors: dOuts)
      weightedColumns(
        g.dKey + first &* g.dKeyStride, g.dKeyStride, dScores, rows, positions, plan, vectors: block.vectors)
    }
  }

  /// Scores to probabilities and their gradients to the scores', in place: P = exp(s - max) / sum, dS = P (dP - delta)
  /// scale.
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

  /// target[p][0..<D] += sum over the rows that see p, in order, of weights[row][p] * vectors[row], for p in
  /// `positions`; the first of them is target's first.
  private func weightedColumns(
    _ target: UnsafeMutablePointer<Float>, _ targetStride: Int, _ weights: UnsafePointer<Float>, _ rows: Range<Int>,
    _ positions: Range<Int>, _ plan: AttentionBlockPlan, vectors: UnsafePointer<Float>
  ) {
    let D = shape.headWidth
    let wide = D / 16 * 16
    /// The first row of the block that sees position p.
    @inline(__always)
    func firstRow(_ p: Int) -> Int { max(0, (p &- firstPosition) &* shape.groupSize &- rows.lowerBound) }
    @inline(__always)
    func place(_ p: Int) -> UnsafeMutablePointer<Float> { target + (p &- positions.lowerBound) &* targetStride }
    var p = positions.lowerBound
    while p &+ 6 <= positions.upperBound {
      let starts = (
        firstRow(p), firstRow(p &+ 1), firstRow(p &+ 2), firstRow(p &+ 3), firstRow(p &+ 4), firstRow(p &+ 5)
      )
      var column = 0
      while column < wide {
        AttentionTile.columnsOfSix(
          place(p) + column, targetStride: targetStride, weights: weights + p,
          stride: plan.scoreStride, vectors: vectors + column, width: D, starts: starts, rows: rows.count)
        column &+= 16
      }
      p &+= 6
    }
    for position in (wide < D ? positions.lowerBound : p)..<positions.upperBound {
      let column = position < p ? wide : 0
      AttentionTile.columnsOfOne(
        place(position) + column, weights: weights + position, stride: plan.scoreStride,
        vectors: vectors + column, width: D, columns: D - column, start: firstRow(position), rows: rows.count)
    }
  }
}
