import Tensor

/// Hands out parts of one buffer, each beginning at a multiple of 16 floats. Without a buffer it only counts.
struct Arena {
  typealias Pointer = UnsafeMutablePointer<Float>
  let buffer: FloatBuffer?
  private(set) var used = 0

  init(_ buffer: FloatBuffer?) { self.buffer = buffer }

  mutating func take(_ floats: Int) -> Pointer {
    let start = used
    used += (floats + 15) / 16 * 16
    guard let buffer else { return Pointer(bitPattern: 64)! }
    precondition(used <= buffer.count, "arena of \(buffer.count) floats is too small for \(used)")
    return buffer.pointer + start
  }
}

/// What the forward pass of one layer leaves for its backward pass; N rows. Normed rows and the activated gate are
/// worked out again there.
struct LayerActivations {
  typealias Pointer = UnsafeMutablePointer<Float>

  /// [N, C], the residual stream that comes in, and its rstd: one over its root mean square, [N].
  let input, inputRstd: Pointer
  /// [N, Q], [N, KV], [N, KV] after the query/key norm and rotary embedding.
  let query, key, value: Pointer
  /// Qwen3: queries and keys before their norm, and the rstd of each head, [N, H] and [N, K].
  let rawQuery, rawKey, queryRstd, keyRstd: Pointer?
  /// [N, H, 2]: the largest attention score, and the sum of exponentials.
  let statistics: Pointer
  /// [N, Q], the weighted values.
  let attended: Pointer
  /// [N, C], the residual stream between attention and MLP, and its rstd, [N].
  let middle, middleRstd: Pointer
  /// [N, F] each.
  let gate, up: Pointer

  init(_ c: ModelConfiguration, rows N: Int, arena: inout Arena) {
    input = arena.take(N * c.hiddenSize)
    inputRstd = arena.take(N)
    query = arena.take(N * c.queryWidth)
    key = arena.take(N * c.keyValueWidth)
    value = arena.take(N * c.keyValueWidth)
    if c.queryKeyNorm {
      rawQuery = arena.take(N * c.queryWidth)
      rawKey = arena.take(N * c.keyValueWidth)
      queryRstd = arena.take(N * c.headCount)
      keyRstd = arena.take(N * c.keyValueHeadCount)
    } else {
      rawQuery = nil
      rawKey = nil
      queryRstd = nil
      keyRstd = nil
    }
    statistics = arena.take(N * c.headCount * 2)
    attended = arena.take(N * c.queryWidth)
    middle = arena.take(N * c.hiddenSize)
    middleRstd = arena.take(N)
    gate = arena.take(N * c.intermediateSize)
    up = arena.take(N * c.intermediateSize)
  }

  /// Those of another layer in the same memory, but for its input.
  init(_ other: LayerActivations, input: Pointer) {
    self.input = input
    inputRstd = other.inputRstd
    (query, key, value) = (other.query, other.key, other.value)
    (rawQuery, rawKey) = (other.rawQuery, other.rawKey)
    (queryRstd, keyRstd) = (other.queryRstd, other.keyRstd)
    (statistics, attended) = (other.statistics, other.attended)
    (middle, middleRstd) = (other.middle, other.middleRstd)
    (gate, up) = (other.gate, other.up)
  }

  /// Floats that N rows of one layer need.
  static func floatCount(_ c: ModelConfiguration, rows: Int) -> Int {
    var arena = Arena(nil)
    _ = LayerActivations(c, rows: rows, arena: &arena)
    return arena.used
  }
}

/// Working memory that all layers share; N rows.
struct LayerScratch {
  typealias Pointer = UnsafeMutablePointer<Float>
  /// [N, C]
  let normed: Pointer
  /// [N, F]
  let activated: Pointer

  init(_ c: ModelConfiguration, rows N: Int, arena: inout Arena) {
    normed = arena.take(N * c.hiddenSize)
    activated = arena.take(N * c.intermediateSize)
  }
}
