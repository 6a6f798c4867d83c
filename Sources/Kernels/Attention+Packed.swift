import TensorBase

extension Table {
  package static func attention(
    _ out: MutableRows, _ inputs: AttentionInputs, sequences: [AttentionSequence],
    statistics: UnsafeMutablePointer<Float>?, scratch: AttentionScratch, pool: WorkerPool
  ) {
    let shape = inputs.shape
    checkShapes(out.hasShape(of: inputs.query), "attention: out is \(out), queries are \(inputs.query)")
    guard let positions = PackedPositions(sequences, inputs) else { return }
    let (plan, K) = (positions.plan, shape.keyValueHeadCount)
    forEachItem(
      sequences.count * K, scratchFloats: plan.floatCount + positions.panelFloats + 2 * positions.rowFloats,
      scratch: scratch, pool: pool
    ) { item, memory in
      let sequence = sequences[item / K]
      let head = item % K
      let first = sequence.rows.lowerBound
      let panels = memory + plan.floatCount
      let gathered = panels + positions.panelFloats
      let keys = positions.rows(sequence, of: inputs.key, head: head, gathered: gathered)
      let values = positions.rows(
        sequence, of: inputs.value, head: head, gathered: gathered + positions.rowFloats)
      let run = AttentionRun(
        query: inputs.query.from(first), shape: shape, keyValueHead: head, firstPosition: sequence.prefix.count,
        rowCount: sequence.rows.count * shape.groupSize)
      let output = AttentionOutput(
        out: out.from(first), statistics: statistics.map { $0 + first * shape.headCount * 2 })
      run.forward(
        output, keys: positions.panels(panels, keys), values: PositionPages(values), valueStride: values.stride,
        plan: plan, memory: memory)
    }
  }
}

/// Keys or values by position, of sequences that may have their first positions elsewhere.
struct PackedPositions {
  /// Blocks that any of the sequences fits in.
  let plan: AttentionBlockPlan
  /// Floats of the longest sequence's panels.
  let panelFloats: Int
  /// Floats of the longest sequence that has a prefix, one row behind the other.
  let rowFloats: Int

  private var width: Int { plan.headWidth }

  /// nil: there are no rows.
  init?(_ sequences: [AttentionSequence], _ inputs: AttentionInputs) {
    let shape = inputs.shape
    for (index, sequence) in sequences.enumerated() {
      checkShapes(
        max(sequence.rows.upperBound, sequence.prefix.upperBound) <= inputs.query.count,
        "attention: sequence \(index) has rows \(sequence.rows) after \(sequence.prefix) of \(inputs.query.count)")
    }
    let longest = sequences.reduce(0) { max($0, $1.length) }
    guard longest > 0 else { return nil }
    plan = AttentionBlockPlan(shape: shape, keyCount: longest, rowCount: longest)
    let longestPrefixed = sequences.reduce(0) { $1.prefix.isEmpty ? $0 : max($0, $1.length) }
    panelFloats = KeyValueStore.pageCount(length: longest) * 16 * shape.headWidth
    rowFloats = longestPrefixed * shape.headWidth
  }

  /// One head's rows at positions 0, 1, ...: where they are, or gathered where a prefix lies elsewhere.
  func rows(
    _ sequence: AttentionSequence, of source: Rows, head: Int, gathered: UnsafeMutablePointer<Float>
  ) -> Rows {
    let source = source.columns(head * width..<(head + 1) * width)
    let own = sequence.rows
    guard !sequence.prefix.isEmpty else {
      return Rows(source[own.lowerBound], count: own.count, width: width, stride: source.stride)
    }
    for (position, row) in sequence.prefix.enumerated() { copyFloats(gathered + position &* width, source[row], width) }
    let target = gathered + sequence.prefix.count * width
    for index in 0..<own.count { copyFloats(target + index &* width, source[own.lowerBound &+ index], width) }
    return Rows(gathered, count: sequence.length, width: width)
  }

  /// The same as panels of 16 positions.
  func panels(_ target: UnsafeMutablePointer<Float>, _ rows: Rows) -> PositionPages {
    packPanels(target, rows.pointer, stride: rows.stride, rows: rows.count, width: width)
    return PositionPages(target, stride: 16 * width)
  }
}
