import Synchronization

/// The numbers one attention layer is made of.
public struct AttentionShape: Sendable, Equatable {
  /// H, query heads; a multiple of `keyValueHeadCount`.
  public var headCount: Int
  /// K, key and value heads: query head h reads key head h / (H / K).
  public var keyValueHeadCount: Int
  /// D.
  public var headWidth: Int
  /// What scores are multiplied with.
  public var scale: Float

  /// - Parameter scale: 1 / sqrt(D) where missing.
  public init(headCount: Int, keyValueHeadCount: Int, headWidth: Int, scale: Float? = nil) {
    precondition(
      keyValueHeadCount > 0 && headCount % keyValueHeadCount == 0 && headWidth > 0,
      "attention: \(headCount) query heads over \(keyValueHeadCount) key heads of width \(headWidth)")
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount
    self.headWidth = headWidth
    self.scale = scale ?? 1 / Float(headWidth).squareRoot()
  }

  /// Query heads that share one key head.
  var groupSize: Int { headCount / keyValueHeadCount }
}

/// Where the keys and values of one sequence lie. Memory is the caller's.
///
/// Keys lie in panels of 16 positions: key head h at `keyPanels + h * keyHeadStride`, panel j of it [D][16] at
/// `+ j * 16 * D`. The last panel may be partly filled; what stands in the rest is never used.
/// The value of position p and head h is at `values + p * valueStride + h * valueHeadStride`, D floats.
public struct KeyValueStore: @unchecked Sendable {
  public var keyPanels: UnsafeMutablePointer<Float>
  public var keyHeadStride: Int
  public var values: UnsafeMutablePointer<Float>
  public var valueStride: Int
  public var valueHeadStride: Int

  public init(
    keyPanels: UnsafeMutablePointer<Float>, keyHeadStride: Int, values: UnsafeMutablePointer<Float>,
    valueStride: Int, valueHeadStride: Int
  ) {
    self.keyPanels = keyPanels
    self.keyHeadStride = keyHeadStride
    self.values = values
    self.valueStride = valueStride
    self.valueHeadStride = valueHeadStride
  }

  /// Floats for keys of `capacity` positions in one head's panels: capacity rounded up to 16, times D.
  public static func panelFloatCount(capacity: Int, headWidth: Int) -> Int {
    (capacity + Lanes.count - 1) / Lanes.count * Lanes.count * headWidth
  }

  /// Floats of one slot of a cache laid out by `init(base:...)`, keys and values together.
  public static func floatCount(capacity: Int, shape: AttentionShape) -> Int {
    2 * shape.keyValueHeadCount * panelFloatCount(capacity: capacity, headWidth: shape.headWidth)
  }

  /// A slot of `capacity` positions in one run of memory: all heads' key panels, then all heads' values.
  public init(base: UnsafeMutablePointer<Float>, capacity: Int, shape: AttentionShape) {
    let head = KeyValueStore.panelFloatCount(capacity: capacity, headWidth: shape.headWidth)
    self.init(
      keyPanels: base, keyHeadStride: head, values: base + shape.keyValueHeadCount * head,
      valueStride: shape.headWidth, valueHeadStride: head)
  }

  /// Writes the keys and values of one position: `key` and `value` are [K, D].
  public func append(
    position: Int, key: UnsafePointer<Float>, value: UnsafePointer<Float>, shape: AttentionShape
  ) {
    let D = shape.headWidth
    for head in 0..<shape.keyValueHeadCount {
      let panel = keyPanels + head &* keyHeadStride + (position >> 4) &* (16 &* D) + (position & 15)
      let source = key + head &* D
      for d in 0..<D { panel[d &* 16] = source[d] }
      (values + position &* valueStride + head &* valueHeadStride).update(from: value + head &* D, count: D)
    }
  }

  /// Copies positions 0..<length of another slot that has the same head width.
  public func copy(from other: KeyValueStore, length: Int, shape: AttentionShape) {
    let panels = KeyValueStore.panelFloatCount(capacity: length, headWidth: shape.headWidth)
    for head in 0..<shape.keyValueHeadCount {
      (keyPanels + head * keyHeadStride).update(from: other.keyPanels + head * other.keyHeadStride, count: panels)
      let target = values + head * valueHeadStride
      let source = other.values + head * other.valueHeadStride
      for position in 0..<length {
        (target + position * valueStride).update(from: source + position * other.valueStride, count: shape.headWidth)
      }
    }
  }
}

/// Consecutive query rows of one sequence: row `rows.lowerBound + i` stands at `firstPosition + i` and sees the keys
/// of positions 0...firstPosition + i, which `store` must hold already.
public struct AttentionSpan: Sendable {
  public var rows: Range<Int>
  public var firstPosition: Int
  public var store: KeyValueStore

  public init(rows: Range<Int>, firstPosition: Int, store: KeyValueStore) {
    self.rows = rows
    self.firstPosition = firstPosition
    self.store = store
  }
}

/// Working memory of the attention kernels, kept from call to call and grown when needed. One for each thread that
/// calls them.
public final class AttentionScratch: @unchecked Sendable {
  private var buffer = FloatBuffer(count: 0)

  public init() {}

  func reserve(_ count: Int) -> UnsafeMutablePointer<Float> {
    if buffer.count < count { buffer = FloatBuffer(count: count + count / 2) }
    return buffer.pointer
  }
}

/// Attention of query rows over stored keys and values: decoding (spans of one row), prefill (spans of many).
///
///     out = sum_p e_p v_p / sum_p e_p,   e_p = exp(s_p - max s),   s_p = (q . k_p) * scale
///
/// - Parameters:
///   - out: [rows, H, D], `outStride` floats from row to row.
///   - query: [rows, H, D].
///   - statistics: receives (max s, sum of e) of each row and head, [rows, H, 2].
///
/// A row's bits depend on its query and the keys and values it sees alone: each score is one chain over D, the sum of
/// exponentials has lanes by position mod 16, the sum over values is a chain over positions that restarts every 512
/// positions, the parts added in order.
public func attention(
  _ out: UnsafeMutablePointer<Float>, outStride: Int, query: UnsafePointer<Float>, queryStride: Int,
  spans: [AttentionSpan], shape: AttentionShape, statistics: UnsafeMutablePointer<Float>?,
  scratch: AttentionScratch, pool: WorkerPool
) {
  let K = shape.keyValueHeadCount
  let longest = spans.reduce(0) { max($0, $1.firstPosition + $1.rows.count) }
  let most = spans.reduce(0) { max($0, $1.rows.count) }
  guard most > 0 else { return }
  let plan = AttentionBlockPlan(shape: shape, keyCount: longest, rowCount: most)
  // Long spans are cut when there are too few of them to go round.
  let pieces = spans.count * K >= 4 * pool.threadCount ? 1 : (most * shape.groupSize + plan.rows - 1) / plan.rows
  forEachItem(spans.count * K * pieces, scratchFloats: plan.floatCount, scratch: scratch, pool: pool) { item, memory in
    let piece = item % pieces
    let head = item / pieces % K
    let span = spans[item / pieces / K]
    let run = AttentionRun(
      query: query + span.rows.lowerBound * queryStride, queryStride: queryStride,
      keyPanels: span.store.keyPanels + head * span.store.keyHeadStride, shape: shape, keyValueHead: head,
      firstPosition: span.firstPosition, rowCount: span.rows.count * shape.groupSize)
    let output = AttentionOutput(
      out: out + span.rows.lowerBound * outStride, outStride: outStride,
      values: span.store.values + head * span.store.valueHeadStride, valueStride: span.store.valueStride,
      statistics: statistics.map { $0 + span.rows.lowerBound * shape.headCount * 2 })
    // Blocks are dealt out in turn, so that every piece gets early and late rows.
    run.forward(output, plan: plan, memory: memory, first: piece, every: pieces)
  }
}

/// Attention of packed training rows: each of `sequences` is a range of rows whose positions start at 0. Same bits as
/// `attention(spans:)` over stored keys.
/// - Parameters: query and out [rows, H, D]; key and value [rows, K, D]; statistics [rows, H, 2] or nil.
public func attention(
  _ out: UnsafeMutablePointer<Float>, outStride: Int, query: UnsafePointer<Float>, queryStride: Int,
  key: UnsafePointer<Float>, keyStride: Int, value: UnsafePointer<Float>, valueStride: Int,
  sequences: [Range<Int>], shape: AttentionShape, statistics: UnsafeMutablePointer<Float>?,
  scratch: AttentionScratch, pool: WorkerPool
) {
  let K = shape.keyValueHeadCount
  let D = shape.headWidth
  let longest = sequences.reduce(0) { max($0, $1.count) }
  guard longest > 0 else { return }
  let plan = AttentionBlockPlan(shape: shape, keyCount: longest, rowCount: longest)
  let panelFloats = KeyValueStore.panelFloatCount(capacity: longest, headWidth: D)
  forEachItem(
    sequences.count * K, scratchFloats: plan.floatCount + panelFloats, scratch: scratch, pool: pool
  ) { item, memory in
    let rows = sequences[item / K]
    let head = item % K
    let panels = memory + plan.floatCount
    packPanels(panels, key + rows.lowerBound * keyStride + head * D, stride: keyStride, rows: rows.count, width: D)
    let run = AttentionRun(
      query: query + rows.lowerBound * queryStride, queryStride: queryStride, keyPanels: panels, shape: shape,
      keyValueHead: head, firstPosition: 0, rowCount: rows.count * shape.groupSize)
    let output = AttentionOutput(
      out: out + rows.lowerBound * outStride, outStride: outStride,
      values: value + rows.lowerBound * valueStride + head * D, valueStride: valueStride,
      statistics: statistics.map { $0 + rows.lowerBound * shape.headCount * 2 })
    run.forward(output, plan: plan, memory: memory)
  }
}

/// Calls `body` with each item, once, in no fixed order, and memory of its own for as long as the call lasts.
func forEachItem(
  _ count: Int, scratchFloats: Int, scratch: AttentionScratch, pool: WorkerPool,
  _ body: (Int, UnsafeMutablePointer<Float>) -> Void
) {
  let workers = min(pool.threadCount, count)
  // Whole cache lines, so that workers do not share one.
  let stride = (scratchFloats + 31) & ~15
  let memory = scratch.reserve(workers * stride + 16)
  let next = Atomic<Int>(0)
  pool.run(workers) { worker in
    while true {
      let item = next.wrappingAdd(1, ordering: .relaxed).oldValue
      if item >= count { return }
      body(item, memory + worker * stride)
    }
  }
}
