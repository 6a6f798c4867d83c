import TensorBase

extension Table {
  package static func attentionBackward(
    _ gradients: AttentionGradients, dOut: Rows, out: Rows, statistics: UnsafePointer<Float>, _ inputs: AttentionInputs,
    sequences: [AttentionSequence], scratch: AttentionScratch, pool: WorkerPool
  ) {
    let shape = inputs.shape
    checkShapes(
      gradients.query.hasShape(of: inputs.query) && gradients.key.hasShape(of: inputs.key)
        && gradients.value.hasShape(of: inputs.value) && dOut.hasShape(of: inputs.query) && out.hasShape(of: dOut),
      "attentionBackward: dQuery is \(gradients.query), dKey \(gradients.key), dValue \(gradients.value), "
        + "dOut \(dOut), out \(out); queries are \(inputs.query), keys \(inputs.key)")
    guard let positions = PackedPositions(sequences, inputs) else { return }
    let (plan, K, D) = (positions.plan, shape.keyValueHeadCount, shape.headWidth)
    let families = familyStarts(sequences)
    forEachItem(
      (families.count - 1) * K,
      scratchFloats: plan.backwardFloatCount + 2 * (positions.panelFloats + positions.rowFloats), scratch: scratch,
      pool: pool
    ) { item, memory in
      let head = item % K
      let own = head * D..<(head + 1) * D
      let keyPanels = memory + plan.backwardFloatCount
      let valuePanels = keyPanels + positions.panelFloats
      let gathered = valuePanels + positions.panelFloats
      for sequence in sequences[families[item / K]..<families[item / K + 1]] {
        let first = sequence.rows.lowerBound
        let keys = positions.rows(sequence, of: inputs.key, head: head, gathered: gathered)
        let values = positions.rows(
          sequence, of: inputs.value, head: head, gathered: gathered + positions.rowFloats)
        let run = AttentionRun(
          query: inputs.query.from(first), shape: shape, keyValueHead: head, firstPosition: sequence.prefix.count,
          rowCount: sequence.rows.count * shape.groupSize)
        let operands = BackwardOperands(
          dQuery: gradients.query.from(first), dKey: gradients.key.columns(own), dValue: gradients.value.columns(own),
          sequence: sequence, dOut: dOut.from(first), out: out.from(first), keys: keys,
          keyPanels: positions.panels(keyPanels, keys), valuePanels: positions.panels(valuePanels, values),
          statistics: statistics + first * shape.headCount * 2)
        var start = 0
        while start < run.rowCount {
          run.backward(rows: start..<min(start + plan.rows, run.rowCount), operands, plan, memory)
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

/// What the backward pass of one run reads and writes beside its queries.
private struct BackwardOperands {
  /// From the run's first row on.
  let dQuery: MutableRows
  /// One head of all rows.
  let dKey, dValue: MutableRows
  /// The rows of dKey and dValue that belong to the positions.
  let sequence: AttentionSequence
  /// From the run's first row on.
  let dOut, out: Rows
  /// By position.
  let keys: Rows
  let keyPanels, valuePanels: PositionPages
  /// From the run's first row on.
  let statistics: UnsafePointer<Float>
}

extension AttentionRun {
  fileprivate func backward(
    rows: Range<Int>, _ g: BackwardOperands, _ plan: AttentionBlockPlan, _ memory: UnsafeMutablePointer<Float>
  ) {
    let D = shape.headWidth
    let block = AttentionBlock(plan, memory)
    let counts = block.counts
    countKeys(rows, block)
    let probabilities = block.scores
    let dOuts = block.open + plan.vectors
    let dScores = dOuts + plan.vectors
    let (all, positions) = (0..<rows.count, 0..<counts[rows.count - 1])
    let pages = 0..<KeyValueStore.pageCount(length: positions.count)
    gather(block.vectors, rows, plan, query)
    gather(dOuts, rows, plan, g.dOut)
    tileScores(probabilities, block, all, pages, vectors: block.vectors, panels: g.keyPanels, scale: shape.scale)
    tileScores(dScores, block, all, pages, vectors: dOuts, panels: g.valuePanels, scale: 1)
    forEach(rows) { local, position, head in
      let place = (position &* shape.headCount &+ head) &* 2
      let delta = RMSNormKernel.laneProduct(
        dOuts + local &* D, g.out[position] + head &* D, width: D)
      softmaxBackward(
        probabilities + local &* plan.scoreStride, dScores + local &* plan.scoreStride, count: counts[local],
        maximum: g.statistics[place], sum: g.statistics[place &+ 1], delta: delta)
    }
    weightedRows(block, dScores, all, positions, values: PositionPages(g.keys), valueStride: g.keys.stride)
    forEach(rows) { local, position, head in
      copyFloats(g.dQuery[position] + head &* D, block.totals + local &* D, D)
    }
    let prefix = g.sequence.prefix
    for (positions, first) in [
      (0..<prefix.count, prefix.lowerBound), (prefix.count..<positions.count, g.sequence.rows.lowerBound),
    ] where !positions.isEmpty {
      weightedColumns(g.dValue.from(first), probabilities, rows, positions, plan, vectors: dOuts)
      weightedColumns(g.dKey.from(first), dScores, rows, positions, plan, vectors: block.vectors)
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
    _ target: MutableRows, _ weights: UnsafePointer<Float>, _ rows: Range<Int>, _ positions: Range<Int>,
    _ plan: AttentionBlockPlan, vectors: UnsafePointer<Float>
  ) {
    let D = shape.headWidth
    let wide = D / 16 * 16
    /// The first row of the block that sees position p.
    @inline(__always)
    func firstRow(_ p: Int) -> Int { max(0, (p &- firstPosition) &* shape.groupSize &- rows.lowerBound) }
    @inline(__always)
    func place(_ p: Int) -> UnsafeMutablePointer<Float> { target[p &- positions.lowerBound] }
    var p = positions.lowerBound
    while p &+ 6 <= positions.upperBound {
      let starts = (
        firstRow(p), firstRow(p &+ 1), firstRow(p &+ 2), firstRow(p &+ 3), firstRow(p &+ 4), firstRow(p &+ 5)
      )
      var column = 0
      while column < wide {
        AttentionTile.columnsOfSix(
          place(p) + column, targetStride: target.stride, weights: weights + p,
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
