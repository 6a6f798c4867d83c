import Tensor

/// Prefill and batched decoding of the sequences in the slots of a key/value cache. It runs the same forward pass as
/// `TrainingPass`, and gives the same bits.
public final class SamplingPass {
  /// One token to be read at its position of the sequence in `slot`.
  public struct Row: Sendable, Equatable {
    /// The cache's slot.
    public var slot: Int
    /// The id to be read.
    public var token: Int32
    /// Its place in the sequence.
    public var position: Int
    /// Whether the logits behind this token are asked for.
    public var wantsLogits: Bool

    /// One token of one sequence.
    public init(slot: Int, token: Int32, position: Int, wantsLogits: Bool) {
      self.slot = slot
      self.token = token
      self.position = position
      self.wantsLogits = wantsLogits
    }
  }

  let model: LanguageModel
  let pool: WorkerPool
  let packed: PackedModel
  let decoder: DecoderForward
  let capacity: Int
  let cache: KeyValueCache
  private var buffers: SamplingBuffers?
  private var logits = FloatBuffer(count: 0)
  private let attentionScratch = AttentionScratch()
  /// Is told which part of the work begins; nil: time is not measured.
  public var timer: PartTimer?

  /// Rows that go through the layers together; more are taken in turn.
  static let rowLimit = 256
  /// Floats of logits held at a time (64 MB).
  static let logitLimit = 1 << 24

  /// - Parameters:
  ///   - slotCount: sequences that can be open at once.
  ///   - capacity: tokens a slot holds at most; memory is taken as sequences grow.
  ///   - packedStorage: memory for the packed weights, such as the gradient buffer, whose content is lost; nil: memory
  ///     of its own.
  ///   - matmul: `blas` gives up equality with the trainer's bits; the others are alike here.
  public init(
    model: LanguageModel, pool: WorkerPool, slotCount: Int, capacity: Int, packedStorage: FloatBuffer? = nil,
    matmul: MatmulMode = .mixed
  ) {
    precondition(
      capacity <= model.configuration.contextLength,
      "capacity \(capacity) is more than the context of \(model.configuration.contextLength) tokens")
    self.model = model
    self.pool = pool
    self.capacity = capacity
    packed = PackedModel(model: model, storage: packedStorage, resident: true, narrows: true, mode: matmul, pool: pool)
    decoder = DecoderForward(configuration: model.configuration, pool: pool)
    cache = KeyValueCache(model.configuration, slots: slotCount, limit: capacity)
  }

  /// Bytes of packed weights that a step reads; known after the first step.
  public var packedBytes: Int { packed.packedBytes }

  /// V, the length of a row of logits.
  public var vocabularySize: Int { model.configuration.vocabularySize }

  /// To be called after the weights have changed or something else was written into the packed storage. The cache is
  /// kept: what was prefilled with other weights must be prefilled again.
  public func weightsChanged() { packed.weightsChanged() }

  /// Forgets all sequences and gives back the memory of the cache.
  public func releaseCache() { cache.removeAll() }

  /// Reads all rows, and hands the logits of those that want them to `consume`.
  ///
  /// Rows of one slot come in ascending position order, and everything before them has been read or copied; a position
  /// that is read again replaces what was there.
  ///
  /// - Parameter consume: is given the row's place in `rows` and its V logits, which it may overwrite. It is called
  ///   once for each row that wants logits, possibly from several threads at once.
  public func run(_ rows: [Row], consume: (_ rowIndex: Int, _ logits: UnsafeMutablePointer<Float>) -> Void) {
    var start = 0
    while start < rows.count {
      let end = min(start + Self.rowLimit, rows.count)
      runTogether(rows, start..<end, consume: consume)
      start = end
    }
  }

  /// Makes slot `to` start with the first `length` positions of slot `from`. Both share the whole pages, which are read
  /// once where both decode.
  public func copyCache(from: Int, to: Int, length: Int) {
    guard from != to else { return }
    cache.copy(from: from, to: to, length: length)
  }

  private func runTogether(
    _ all: [Row], _ range: Range<Int>, consume: (Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let c = model.configuration
    let N = range.count
    let rows = all[range]
    for row in rows {
      precondition(
        row.position >= 0 && row.position < capacity,
        "position \(row.position) is beyond the capacity of \(capacity) tokens a slot")
      cache.reserve(slot: row.slot, row.position..<row.position + 1)
    }
    let buffers = prepare(rows: N)
    let a = buffers.layer
    embed(a.input, tokens: rows.map(\.token), model: model)
    let positions = rows.map { Int32($0.position) }
    let table = model.rotaryTable(length: capacity)
    let runs = Self.runs(rows)
    positions.withUnsafeBufferPointer { positions in
      let part = rows.contains { !$0.wantsLogits } ? PartTimer.Part.prefill : .decode
      for layer in 0..<c.layerCount {
        timer?.begin(.packing)
        let linears = packed.layer(layer)
        timer?.begin(part)
        decoder.run(
          packed.layers[layer], linears, a, buffers.scratch, output: a.input, RowPositions(positions, table: table)
        ) {
          timer?.begin(.decodeAttention)
          attend(layer: layer, a, rows: rows, runs: runs)
          timer?.begin(part)
        }
      }
    }
    let wanting = range.filter { all[$0].wantsLogits }
    makeLogits(a, places: wanting.map { $0 - range.lowerBound }) { consume(wanting[$0], $1) }
  }

  /// The final norm and the head over the rows at `places` of `a.input`; `consume` is given the logits of each by its
  /// number among them.
  private func makeLogits(
    _ a: LayerActivations, places: [Int], consume: (Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let c = model.configuration
    timer?.begin(.decodeHead)
    defer { timer?.begin(.other) }
    guard !places.isEmpty else { return }
    let C = c.hiddenSize
    for (target, source) in places.enumerated() where target != source {
      (a.input + target * C).update(from: a.input + source * C, count: C)
    }
    decoder.norm(a.middle, a.input, model.pointer("model.norm.weight"), rows: places.count, width: C, rstd: nil)
    let V = c.vocabularySize
    let chunk = max(64, Self.logitLimit / V)
    for start in stride(from: 0, to: places.count, by: chunk) {
      let count = min(chunk, places.count - start)
      if logits.count < count * V { logits = FloatBuffer(count: count * V) }
      timer?.begin(.decodeHead)
      packed.forEachHeadBlock { block in
        block.linear.apply(
          block.columns(logits.pointer, rows: count, vocabulary: V), Rows(a.middle + start * C, count: count, width: C),
          pool: pool)
      }
      timer?.begin(.draw)
      pool.run(count) { consume(start + $0, logits.pointer + $0 * V) }
    }
  }

  /// Ranges of places whose rows lie next to each other in one sequence.
  private static func runs(_ rows: ArraySlice<Row>) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    var last: Row?
    for (place, row) in rows.enumerated() {
      if let last, last.slot == row.slot, last.position + 1 == row.position {
        runs[runs.count - 1] = runs[runs.count - 1].lowerBound..<place + 1
      } else {
        runs.append(place..<place + 1)
      }
      last = row
    }
    return runs
  }

  /// Writes the keys and values of all rows into their caches, then lets every row attend.
  private func attend(layer: Int, _ a: LayerActivations, rows: ArraySlice<Row>, runs: [Range<Int>]) {
    let c = model.configuration
    let shape = c.attentionShape
    let KV = c.keyValueWidth
    let spans = runs.map { run in
      let first = rows[rows.startIndex + run.lowerBound]
      return AttentionSpan(rows: run, firstPosition: first.position, store: cache.store(slot: first.slot, layer: layer))
    }
    pool.run(spans.count) { index in
      let span = spans[index]
      for (offset, row) in span.rows.enumerated() {
        span.store.append(
          position: span.firstPosition + offset, key: a.key + row * KV, value: a.value + row * KV, shape: shape)
      }
    }
    attention(
      MutableRows(a.attended, count: rows.count, width: c.queryWidth),
      query: Rows(a.query, count: rows.count, width: c.queryWidth), spans: spans, shape: shape, statistics: nil,
      scratch: attentionScratch, pool: pool)
  }

  private func prepare(rows: Int) -> SamplingBuffers {
    if let buffers, buffers.rows >= rows { return buffers }
    buffers = nil
    let made = SamplingBuffers(model.configuration, rows: min(Self.rowLimit, (rows + 15) / 16 * 16))
    buffers = made
    return made
  }
}

/// Working memory of a sampling pass.
private final class SamplingBuffers {
  let rows: Int
  let layer: LayerActivations
  let scratch: LayerScratch
  private let memory: FloatBuffer

  init(_ c: ModelConfiguration, rows: Int) {
    self.rows = rows
    var counting = Arena(nil)
    _ = LayerActivations(c, rows: rows, arena: &counting)
    _ = LayerScratch(c, rows: rows, arena: &counting)
    memory = FloatBuffer(count: counting.used)
    var arena = Arena(memory)
    layer = LayerActivations(c, rows: rows, arena: &arena)
    scratch = LayerScratch(c, rows: rows, arena: &arena)
  }
}
