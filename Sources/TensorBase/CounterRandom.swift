/// A random stream that depends on its address alone: the same (seed, path) gives the same numbers for ever, in
/// whatever order streams are read.
///
/// The path is absorbed one word at a time through Philox into 128 bits: half of them become the stream's key, half
/// the upper counter words; the lower 64 counter bits count blocks of two numbers.
public struct CounterRandom: RandomNumberGenerator, Sendable {
  private let key: SIMD2<UInt32>
  private let upper: SIMD2<UInt32>
  /// The index of the next block.
  private var blockIndex: UInt64 = 0
  /// The second half of the last block, if not yet handed out.
  private var pending: UInt64?

  /// The stream at `path` under `seed`: the same pair gives the same numbers for ever.
  public init(seed: UInt64, path: [UInt64]) {
    let seedKey = CounterRandom.words(seed)
    var state = SIMD4<UInt32>(0, 0, 0x4d61_7274, 0x6c65_7421)
    for (depth, element) in path.enumerated() {
      let element = CounterRandom.words(element)
      state ^= SIMD4(element[0], element[1], UInt32(truncatingIfNeeded: depth), 0)
      state = Philox.block(counter: state, key: seedKey)
    }
    // The length closes the path, so that no path is another's beginning.
    state ^= SIMD4(0, 0, UInt32(truncatingIfNeeded: path.count), 0x8000_0000)
    state = Philox.block(counter: state, key: seedKey)
    key = SIMD2(state[0], state[1])
    upper = SIMD2(state[2], state[3])
  }

  /// 64 random bits.
  public mutating func next() -> UInt64 {
    if let pending {
      self.pending = nil
      return pending
    }
    let (first, second) = block(at: blockIndex)
    blockIndex &+= 1
    pending = second
    return first
  }

  /// A number in [0, 1), a multiple of 2^-53.
  public mutating func uniform() -> Double { CounterRandom.unit(next()) }

  /// A draw of the standard normal distribution (Box and Muller's transform of two uniform numbers).
  public mutating func normal() -> Double {
    let radius = next()
    return CounterRandom.normals(radius, next()).0
  }

  /// Sets `count` whole blocks aside, which the caller reads with `block(at:)`; returns the index of the first.
  package mutating func reserveBlocks(_ count: Int) -> UInt64 {
    pending = nil
    defer { blockIndex &+= UInt64(count) }
    return blockIndex
  }

  /// The two numbers of one block.
  package func block(at index: UInt64) -> (UInt64, UInt64) {
    let low = CounterRandom.words(index)
    let word = Philox.block(counter: SIMD4(low[0], low[1], upper[0], upper[1]), key: key)
    return (UInt64(word[0]) | UInt64(word[1]) << 32, UInt64(word[2]) | UInt64(word[3]) << 32)
  }

  /// Two independent normal numbers from 128 random bits.
  package static func normals(_ first: UInt64, _ second: UInt64) -> (Double, Double) {
    // 1 - u is in (0, 1]: the logarithm is finite.
    let radius = (-2 * Mathematics.log(1 - unit(first))).squareRoot()
    let (sine, cosine) = Mathematics.sinCos(turns: unit(second))
    return (radius * cosine, radius * sine)
  }

  private static func unit(_ bits: UInt64) -> Double { Double(bits >> 11) * 0x1p-53 }

  private static func words(_ value: UInt64) -> SIMD2<UInt32> {
    SIMD2(UInt32(truncatingIfNeeded: value), UInt32(truncatingIfNeeded: value >> 32))
  }
}
