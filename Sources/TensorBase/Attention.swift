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

  /// Positions after which the sum over values starts anew.
  @inlinable package static var restart: Int { 512 }

  /// Query heads that share one key head.
  @inlinable package var groupSize: Int { headCount / keyValueHeadCount }
}

/// Where the keys and values of one sequence lie, for one layer: in pages of 16 positions, anywhere in memory.
///
/// Page j holds positions 16 j ..< 16 j + 16. From `pages[j] + offset + h * 32 D` on it has what belongs to key head h:
/// the keys as a panel [D][16], then the values [16][D]. What stands in a page behind the last position is never used.
/// Sequences that begin alike may share pages, and are then read together.
public struct KeyValueStore: @unchecked Sendable {
  public var pages: UnsafePointer<UnsafeMutablePointer<Float>>
  public var offset: Int

  /// Positions of a page.
  @inlinable public static var pageLength: Int { 16 }

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
      (page + (16 &+ lane) &* D).update(from: value + head &* D, count: D)
      page += 32 &* D
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

/// Rows of one packed sequence: row `rows.lowerBound + i` stands at position `prefix.count + i` and sees the rows of
/// the prefix and those of its own sequence up to itself.
public struct AttentionSequence: Sendable, Equatable {
  public var rows: Range<Int>
  /// Rows of a sequence without a prefix that stands before this one; empty where the sequence begins by itself.
  public var prefix: Range<Int>

  public init(rows: Range<Int>, prefix: Range<Int> = 0..<0) {
    self.rows = rows
    self.prefix = prefix
  }

  /// Positions that the last row sees.
  public var length: Int { prefix.count + rows.count }
}

/// Working memory of the attention kernels, kept from call to call and grown when needed. One for each thread that
/// calls them.
public final class AttentionScratch: @unchecked Sendable {
  private var buffer = FloatBuffer(count: 0)

  public init() {}

  package func reserve(_ count: Int) -> UnsafeMutablePointer<Float> {
    if buffer.count < count { buffer = FloatBuffer(count: count + count / 2) }
    return buffer.pointer
  }
}
