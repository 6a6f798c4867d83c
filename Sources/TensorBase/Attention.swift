/// How many heads an attention layer has, how wide they are, and how scores are scaled.
public struct AttentionShape: Sendable, Equatable, CustomStringConvertible {
  /// H, query heads; a multiple of `keyValueHeadCount`.
  public var headCount: Int
  /// K, key and value heads: query head h reads key head h / (H / K).
  public var keyValueHeadCount: Int
  /// D.
  public var headWidth: Int
  /// The factor on q . k, before the softmax.
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

  /// The sum over values restarts after every so many positions.
  @inlinable package static var restart: Int { 512 }

  /// Width of all query heads together, H * D.
  @inlinable package var queryWidth: Int { headCount * headWidth }
  /// Width of all key (or value) heads together, K * D.
  @inlinable package var keyValueWidth: Int { keyValueHeadCount * headWidth }

  /// The heads as messages show them.
  public var description: String { "\(headCount) query heads and \(keyValueHeadCount) key heads of width \(headWidth)" }

  /// Query heads that share one key head.
  @inlinable package var groupSize: Int { headCount / keyValueHeadCount }
}

/// Where the keys and values of one sequence lie, for one layer: in pages of 16 positions, anywhere in memory.
///
/// Page j holds positions 16 j ..< 16 j + 16. From `pages[j] + offset + h * 32 D` on it has what belongs to key head h:
/// the keys as a panel [D][16], then the values [16][D]. What a page holds after the last position is never read.
/// Sequences that start with the same tokens may share pages, which are then read once for all of them.
public struct KeyValueStore: @unchecked Sendable {
  /// The addresses of the pages, in the order of positions.
  public var pages: UnsafePointer<UnsafeMutablePointer<Float>>
  /// Floats from the start of a page to this layer's part of it.
  public var offset: Int

  /// Positions of a page.
  @inlinable public static var pageLength: Int { 16 }

  /// Pages that must outlive the value.
  public init(pages: UnsafePointer<UnsafeMutablePointer<Float>>, offset: Int = 0) {
    self.pages = pages
    self.offset = offset
  }

  /// How many pages `length` positions need.
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
  /// The query rows.
  public var rows: Range<Int>
  /// The position of the first row in its sequence.
  public var firstPosition: Int
  /// The keys and values of the sequence.
  public var store: KeyValueStore

  /// Rows of one sequence.
  public init(rows: Range<Int>, firstPosition: Int, store: KeyValueStore) {
    self.rows = rows
    self.firstPosition = firstPosition
    self.store = store
  }
}

/// Rows of one packed sequence: row `rows.lowerBound + i` stands at position `prefix.count + i` and sees the rows of
/// the prefix and those of its own sequence up to itself.
public struct AttentionSequence: Sendable, Equatable {
  /// The sequence's own rows.
  public var rows: Range<Int>
  /// The rows of an earlier sequence that this one continues; empty where it starts on its own. A sequence that is
  /// continued has no prefix itself.
  public var prefix: Range<Int>

  /// A sequence that begins by itself, or goes on from a prefix.
  public init(rows: Range<Int>, prefix: Range<Int> = 0..<0) {
    self.rows = rows
    self.prefix = prefix
  }

  /// Positions that the last row sees.
  public var length: Int { prefix.count + rows.count }
}

/// Working memory of the attention kernels, kept from call to call and grown when needed. Threads that call them need
/// one each.
public final class AttentionScratch: @unchecked Sendable {
  private var buffer = FloatBuffer(count: 0)

  /// Empty; it grows with the first call.
  public init() {}

  package func reserve(_ count: Int) -> UnsafeMutablePointer<Float> {
    if buffer.count < count { buffer = FloatBuffer(count: count + count / 2) }
    return buffer.pointer
  }
}
