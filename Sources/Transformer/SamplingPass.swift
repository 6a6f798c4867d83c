import Tensor

/// Prefill and batched decoding of the sequences in the slots of a key/value cache: the forward pass of `TrainingPass`,
/// hence its bits.
public final class SamplingPass {
  /// One token to be read at its position of the sequence in `slot`.
  public struct Row: Sendable, Equatable {
    public var slot: Int
    public var token: Int32
    public var position: Int
    public var wantsLogits: Bool

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
  /// Told which part of the work begins; nil: nobody asks.
  public var timer: PartTimer?

  /// Rows that go through the layers together; more are taken in turn.
  static let rowLimit = 256
  /// Floats of logits held at a time (64 MB).
  static let logitLimit = 1 << 24

  /// - Parameters:
  ///   - slotCount: sequences that can be open at once.
  ///   - capacity: tokens a slot holds at most; memory is taken as sequences grow.
  ///   - packedStorage: memory for the packed weights, such as the gradient buffer, whose content is lost; nil: its
  ///     own.
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

  /// Bytes of packed weights that a step reads; those of the first step are there after it.
  public var packedBytes: Int { packed.packedBytes }

  /// V, the length of a row of logits.
  public var vocabularySize: Int { model.configuration.vocabularySize }

  /// To be called when anybody changed the weights or wrote into the packed storage. Caches are not forgotten: what was
  /// prefilled with other weights must be prefilled again.
  public func weightsChanged() { packed.weightsChanged() }

  /// Forgets all sequences and gives back the memory of the cache.
  public func releaseCache() { cache.removeAll() }

  /// Reads all rows, and hands the logits of those that want them to `consume`.
  ///
  /// Rows of one slot come in ascending position order, and everything before them has been read or copied; a position
  /// that is read again replaces what was there.
  ///
  /// - Parameter consume: is given the row's place in `rows` and its V logits, which it may overwrite. It is called
  ///   once a wanting row, possibly from several threads at once.
  public func run(_ rows: [Row], consume: (_ rowIndex: Int, _ logits: UnsafeMutablePointer<Float>) -> Void) {
    var start = 0
    while start < rows.count {
      let end = min(start + Self.rowLimit, rows.count)
      runTogether(rows, start..<end, consume: consume)
      start = end
    }
  }

  /// Makes slot `to` begin with the first `length` positions of slot `from`; their whole pages are held in common, and
  /// read once for both where both decode.
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
    let rotary = model.rotaryTable(length: capacity)
    let runs = Self.runs(rows)
    positions.withUnsafeBufferPointer { positions in
      let part = rows.contains { !$0.wantsLogits } ? PartTimer.Part.prefill : .decode
      for layer in 0..<c.layerCount {
        timer?.begin(.packing)
        let linears = packed.layer(layer)
        timer?.begin(part)
        decoder.run(
          packed.layers[layer], linears, a, buffers.scratch, output: a.input, rows: N,
          positions: positions.baseAddress!, rotary: rotary
        ) {
          timer?.begin(.decodeAttention)
          attend(layer: layer, a, rows: rows, runs: runs)
          timer?.begin(part)
        }
      }
    }
    timer?.begin(.decodeHead)
    defer { timer?.begin(.other) }
    let wanting = range.filter { all[$0].wantsLogits }
    guard !wanting.isEmpty else { return }
    let C = c.hiddenSize
    for (place, index) in wanting.enumerated() where place != index - range.lowerBound {
      (a.input + place * C).update(from: a.input + (index - range.lowerBound) * C, count: C)
    }
    decoder.norm(
      a.middle, a.input, model.pointer("model.norm.weight"), rows: wanting.count, width: C, scale: nil)
    let V = c.vocabularySize
    let chunk = max(64, Self.logitLimit / V)
    for start in stride(from: 0, to: wanting.count, by: chunk) {
      let count = min(chunk, wanting.count - start)
      if logits.count < count * V { logits = FloatBuffer(count: count * V) }
      timer?.begin(.decodeHead)
      packed.forEachHeadBlock { block in
        block.linear.apply(
          logits.pointer + block.outputs.lowerBound, yStride: V, x: a.middle + start * C, xStride: C, rows: count,
          pool: pool)
      }
      timer?.begin(.draw)
      pool.run(count) { consume(wanting[start + $0], logits.pointer + $0 * V) }
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
      a.attended, outStride: c.queryWidth, query: a.query, queryStride: c.queryWidth, spans: spans, shape: shape,
      statistics: nil, scratch: attentionScratch, pool: pool)
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
