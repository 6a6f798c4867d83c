import TensorBase

extension Table {
  package static func attention(
    _ out: MutableRows, query: Rows, spans: [AttentionSpan], shape: AttentionShape,
    statistics: UnsafeMutablePointer<Float>?, scratch: AttentionScratch, pool: WorkerPool
  ) {
    checkShapes(
      out.hasShape(of: query) && query.width == shape.queryWidth,
      "attention: out is \(out), queries are \(query); \(shape) need rows of \(shape.queryWidth)")
    let K = shape.keyValueHeadCount
    let longest = spans.reduce(0) { max($0, $1.firstPosition + $1.rows.count) }
    let most = spans.reduce(0) { max($0, $1.rows.count) }
    guard most > 0 else { return }
    let end = spans.reduce(0) { max($0, $1.rows.upperBound) }
    checkShapes(end <= query.count, "attention: spans reach row \(end), queries are \(query)")
    let plan = AttentionBlockPlan(shape: shape, keyCount: longest, rowCount: max(most, spans.count))
    // Enough groups to go round.
    let members = max(4, spans.count * K / (8 * pool.threadCount))
    let groups = AttentionGroup.cut(spans, atMost: min(members, plan.rows / shape.groupSize))
    // Long spans are cut when there are too few of them to go round.
    let pieces = groups.count * K >= 4 * pool.threadCount ? 1 : (most * shape.groupSize + plan.rows - 1) / plan.rows
    forEachItem(groups.count * K * pieces, scratchFloats: plan.floatCount, scratch: scratch, pool: pool) {
      item, memory in
      let piece = item % pieces
      let head = item / pieces % K
      let group = groups[item / pieces / K]
      let span = spans[group.spans.lowerBound]
      let first = span.rows.lowerBound
      let run = AttentionRun(
        query: query.from(first), shape: shape, keyValueHead: head, firstPosition: span.firstPosition,
        rowCount: max(span.rows.count, group.spans.count) * shape.groupSize)
      let output = AttentionOutput(
        out: out.from(first), statistics: statistics.map { $0 + first * shape.headCount * 2 })
      if group.spans.count > 1 {
        if piece == 0 {
          run.forward(spans[group.spans], sharedPages: group.sharedPages, output, plan: plan, memory: memory)
        }
        return
      }
      // Blocks are dealt out in turn, so that every piece gets early and late rows.
      run.forward(
        output, keys: span.store.keys(head: head, shape: shape), values: span.store.values(head: head, shape: shape),
        valueStride: shape.headWidth, plan: plan, memory: memory, first: piece, every: pieces)
    }
  }
}

/// Neighbouring spans of one row each that begin with the same pages.
struct AttentionGroup {
  var spans: Range<Int>
  /// Pages that all of them begin with, seen whole by each.
  var sharedPages: Int

  /// Cuts spans into groups of `limit` at most; a span that shares nothing is a group of its own.
  static func cut(_ spans: [AttentionSpan], atMost limit: Int) -> [AttentionGroup] {
    var groups: [AttentionGroup] = []
    groups.reserveCapacity(spans.count)
    for (index, span) in spans.enumerated() {
      if let group = groups.last, group.spans.count < limit {
        let first = spans[group.spans.lowerBound]
        let shared = sharedPages(first, span, atMost: group.spans.count == 1 ? .max : group.sharedPages)
        // A group that has begun is not made to share much less for one more.
        if span.rows.lowerBound == spans[index - 1].rows.upperBound, shared > 0,
          group.spans.count == 1 || 2 * shared >= group.sharedPages
        {
          groups[groups.count - 1] = AttentionGroup(spans: group.spans.lowerBound..<index + 1, sharedPages: shared)
          continue
        }
      }
      groups.append(AttentionGroup(spans: index..<index + 1, sharedPages: 0))
    }
    return groups
  }

  private static func sharedPages(_ a: AttentionSpan, _ b: AttentionSpan, atMost limit: Int) -> Int {
    guard a.rows.count == 1, b.rows.count == 1, a.store.offset == b.store.offset else { return 0 }
    let most = min(limit, min(a.firstPosition, b.firstPosition) / KeyValueStore.pageLength)
    var count = 0
    while count < most && a.store.pages[count] == b.store.pages[count] { count += 1 }
    return count
  }
}
