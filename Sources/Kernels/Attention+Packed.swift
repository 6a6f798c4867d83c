import TensorBase

extension Table {
  package static func attention(
    _ out: UnsafeMutablePointer<Float>, outStride: Int, query: UnsafePointer<Float>, queryStride: Int,
    key: UnsafePointer<Float>, keyStride: Int, value: UnsafePointer<Float>, valueStride: Int,
    sequences: [AttentionSequence], shape: AttentionShape, statistics: UnsafeMutablePointer<Float>?,
    scratch: AttentionScratch, pool: WorkerPool
  ) {
    guard let positions = PackedPositions(sequences, shape: shape) else { return }
    let (plan, K, D) = (positions.plan, shape.keyValueHeadCount, shape.headWidth)
    forEachItem(
      sequences.count * K, scratchFloats: plan.floatCount + positions.panelFloats + 2 * positions.rowFloats,
      scratch: scratch, pool: pool
    ) { item, memory in
      let sequence = sequences[item / K]
      let head = item % K
      let first = sequence.rows.lowerBound
      let panels = memory + plan.floatCount
      let gathered = panels + positions.panelFloats
      let keys = positions.rows(sequence, of: key + head * D, stride: keyStride, gathered: gathered)
      let values = positions.rows(
        sequence, of: value + head * D, stride: valueStride, gathered: gathered + positions.rowFloats)
      let run = AttentionRun(
        query: query + first * queryStride, queryStride: queryStride, shape: shape, keyValueHead: head,
        firstPosition: sequence.prefix.count, rowCount: sequence.rows.count * shape.groupSize)
      let output = AttentionOutput(
        out: out + first * outStride, outStride: outStride,
        statistics: statistics.map { $0 + first * shape.headCount * 2 })
      run.forward(
        output, keys: positions.panels(panels, keys, sequence), values: values.pages, valueStride: values.stride,
        plan: plan,
        memory: memory)
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

  struct Rows {
    var first: UnsafePointer<Float>
    var stride: Int
    var pages: PositionPages { PositionPages(first, stride: 16 * stride) }
  }

  private var width: Int { plan.headWidth }

  /// nil: there are no rows.
  init?(_ sequences: [AttentionSequence], shape: AttentionShape) {
    let longest = sequences.reduce(0) { max($0, $1.length) }
    guard longest > 0 else { return nil }
    plan = AttentionBlockPlan(shape: shape, keyCount: longest, rowCount: longest)
    let longestPrefixed = sequences.reduce(0) { $1.prefix.isEmpty ? $0 : max($0, $1.length) }
    panelFloats = KeyValueStore.pageCount(length: longest) * 16 * shape.headWidth
    rowFloats = longestPrefixed * shape.headWidth
  }

  /// The rows at positions 0, 1, ...: where they are, or gathered where a prefix lies elsewhere.
  func rows(
    _ sequence: AttentionSequence, of source: UnsafePointer<Float>, stride: Int, gathered: UnsafeMutablePointer<Float>
  ) -> Rows {
    let first = source + sequence.rows.lowerBound * stride
    guard !sequence.prefix.isEmpty else { return Rows(first: first, stride: stride) }
    for (position, row) in sequence.prefix.enumerated() {
      copyFloats(gathered + position &* width, source + row &* stride, width)
    }
    let own = gathered + sequence.prefix.count * width
    for index in 0..<sequence.rows.count { copyFloats(own + index &* width, first + index &* stride, width) }
    return Rows(first: gathered, stride: width)
  }

  /// The same as panels of 16 positions.
  func panels(_ target: UnsafeMutablePointer<Float>, _ rows: Rows, _ sequence: AttentionSequence) -> PositionPages {
    packPanels(target, rows.first, stride: rows.stride, rows: sequence.length, width: width)
    return PositionPages(target, stride: 16 * width)
  }
}
