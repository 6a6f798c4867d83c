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

/// Where the keys and values of one sequence lie, for one layer: in pages of 16 positions, anywhere in memory.
///
/// Page j holds positions 16 j ..< 16 j + 16. From `pages[j] + offset + h * 32 D` on it has what belongs to key head h: the
/// keys as a panel [D][16], then the values [16][D]. What stands in a page behind the last position is never used.
/// Sequences that begin alike may share pages, and are then read together.
public struct KeyValueStore: @unchecked Sendable {
  public var pages: UnsafePointer<UnsafeMutablePointer<Float>>
  public var offset: Int

  /// Positions of a page.
  public static let pageLength = Lanes.count

  public init(pages: UnsafePointer<UnsafeMutablePointer<Float>>, offset: Int = 0) {
    self.pages = pages
    self.offset = offset
  }

  /// Pages that `length` positions take.
  public static func pageCount(length: Int) -> Int { (length + pageLength - 1) / pageLength }

  /// Floats of one layer's part of a page.
  public static func pageFloatCount(shape: AttentionShape) -> Int {
    2 * shape.keyValueHeadCount * pageLength * shape.headWidth
  }

  /// Writes the keys and values of one position: `key` and `value` are [K, D].
  public func append(
    position: Int, key: UnsafePointer<Float>, value: UnsafePointer<Float>, shape: AttentionShape
  ) {
    let D = shape.headWidth
    let lane = position & 15
    var page = pages[position >> 4] + offset
    for head in 0..<shape.keyValueHeadCount {
      let source = key + head &* D
      for d in 0..<D { page[d &* 16 &+ lane] = source[d] }
      copyFloats(page + (16 &+ lane) &* D, value + head &* D, D)
      page += 32 &* D
    }
  }

  func keys(head: Int, shape: AttentionShape) -> PositionPages {
    PositionPages(table: pages, offset: offset + head * 32 * shape.headWidth)
  }

  func values(head: Int, shape: AttentionShape) -> PositionPages {
    PositionPages(table: pages, offset: offset + (head * 32 + 16) * shape.headWidth)
  }
}

/// Where 16 positions each of something lie: by a table of addresses, or one behind the other.
struct PositionPages {
  private let table: UnsafePointer<UnsafeMutablePointer<Float>>?
  private let base: UnsafePointer<Float>
  private let stride: Int

  init(table: UnsafePointer<UnsafeMutablePointer<Float>>, offset: Int) {
    self.table = table
    base = UnsafePointer(table[0])
    stride = offset
  }

  /// - Parameter stride: floats from one page to the next.
  init(_ base: UnsafePointer<Float>, stride: Int) {
    table = nil
    self.base = base
    self.stride = stride
  }

  @inline(__always)
  subscript(page: Int) -> UnsafePointer<Float> {
    if let table { return UnsafePointer(table[page]) + stride }
    return base + page &* stride
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
