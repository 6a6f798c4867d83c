import Tensor

/// One linear layer as the forward pass uses it: packed panels, or the plain weights in `blas` mode.
struct Linear {
  let packed: PackedWeights?
  let weight: UnsafePointer<Float>
  let bias: UnsafePointer<Float>?
  let outputs, inputs: Int

  /// y[m, n] = sum over k of x[m, k] w[n, k] + b[n]
  func apply(_ y: MutableRows, _ x: Rows, pool: WorkerPool) {
    if let packed {
      linear(y, x, weights: packed, bias: bias, pool: pool)
    } else {
      linearBLAS(y, x, weight: Rows(weight, count: outputs, width: inputs), bias: bias, pool: pool)
    }
  }
}

/// The seven linear layers of one decoder layer.
struct LayerLinears {
  let query, key, value, output, gate, up, down: Linear

  var all: [Linear] { [query, key, value, output, gate, up, down] }
}

/// A run of rows of the head's table: logits `outputs`.
struct HeadBlock {
  let outputs: Range<Int>
  let linear: Linear

  /// This block's part of `rows` rows of all V logits.
  func columns(_ logits: UnsafeMutablePointer<Float>, rows: Int, vocabulary V: Int) -> MutableRows {
    MutableRows(logits + outputs.lowerBound, count: rows, width: outputs.count, stride: V)
  }
}

/// The packed form of a model's matrices: all of it at once, or one layer and one block of the head at a time.
final class PackedModel {
  let model: LanguageModel
  let layers: [LayerPointers]
  private let pool: WorkerPool
  private let mode: MatmulMode
  private let resident: Bool
  private let narrows: Bool
  /// Of each layer: where its seven matrices lie in `storage` when everything is resident, else in `scratch`.
  private var resting: [LayerLinears?]
  private var headBlocks: [HeadBlock?]
  private let blockRanges: [Range<Int>]
  private var allocator: PanelAllocator
  private var valueHead: Linear?
  private var layerInScratch = -1
  private let scratch: FloatBuffer?
  private let headScratch: FloatBuffer?
  /// A matrix with its adapter's share, before it is packed.
  private let mergeScratch: FloatBuffer?
  let headName: String
  let head: UnsafeMutablePointer<Float>

  /// Below this many floats (128 MB) a training pass keeps all panels, because packing then costs more than memory.
  static let residentLimit = 1 << 25
  /// About 4 MB of the head are packed at a time, and multiplied before they leave the cache.
  static let headBlockFloats = 1 << 20

  /// - Parameters:
  ///   - storage: memory for the panels, such as the gradient buffer while sampling; what does not fit gets memory of
  ///     its own.
  ///   - resident: keep everything packed; nil decides by size.
  ///   - narrows: hold matrices whose numbers are all bfloat16, as in models published in that format, in 16 bits.
  ///     With few rows, decoding spends its time on reading weights.
  init(
    model: LanguageModel, storage: FloatBuffer?, resident: Bool?, narrows: Bool = false, mode: MatmulMode,
    pool: WorkerPool
  ) {
    let configuration = model.configuration
    self.model = model
    self.pool = pool
    self.mode = mode
    precondition(configuration.adapters == nil || mode != .blas, "PackedModel: adapters need packed panels")
    precondition(
      model.panels == nil || narrows && mode != .blas, "PackedModel: the model was loaded for sampling alone")
    layers = (0..<configuration.layerCount).map(model.layerPointers)
    headName = configuration.tiedHead ? "model.embed_tokens.weight" : "lm_head.weight"
    head = model.pointer(headName)

    let C = configuration.hiddenSize
    let V = configuration.vocabularySize
    let layerFloats = Self.layerFloats(configuration)
    let resident = resident ?? (Self.residentFloats(configuration) <= Self.residentLimit)
    self.resident = resident
    self.narrows = narrows && resident
    let block = resident ? V : Self.headBlock(configuration)
    blockRanges = stride(from: 0, to: V, by: block).map { $0..<min($0 + block, V) }
    resting = Array(repeating: nil, count: configuration.layerCount)
    headBlocks = Array(repeating: nil, count: blockRanges.count)
    allocator = PanelAllocator(storage: mode == .blas ? nil : storage)
    let scratched = !resident && mode != .blas
    scratch = scratched ? FloatBuffer(count: layerFloats) : nil
    headScratch = scratched ? FloatBuffer(count: PackedWeights.floatCount(outputs: block, inputs: C)) : nil
    mergeScratch = configuration.adapters == nil ? nil : FloatBuffer(count: Self.mergeFloats(configuration))
  }

  private static func headBlock(_ c: ModelConfiguration) -> Int {
    min(c.vocabularySize, max(16, headBlockFloats / c.hiddenSize / 16 * 16))
  }

  /// Floats of all panels.
  static func residentFloats(_ c: ModelConfiguration) -> Int {
    c.layerCount * layerFloats(c) + PackedWeights.floatCount(outputs: c.vocabularySize, inputs: c.hiddenSize)
  }

  /// Floats of the largest adapted matrix.
  private static func mergeFloats(_ c: ModelConfiguration) -> Int {
    let sizes = c.adapters?.targets.map { $0.shape(c).outputs * $0.shape(c).inputs }
    return sizes?.max() ?? 0
  }

  /// Floats of panels that a training pass holds at a time.
  static func trainingFloats(_ c: ModelConfiguration) -> Int {
    let all = residentFloats(c)
    if all <= residentLimit { return all + mergeFloats(c) }
    return layerFloats(c) + PackedWeights.floatCount(outputs: headBlock(c), inputs: c.hiddenSize) + mergeFloats(c)
  }

  private static func layerFloats(_ configuration: ModelConfiguration) -> Int {
    Projection.allCases.reduce(0) { sum, projection in
      let (outputs, inputs) = projection.shape(configuration)
      return sum + PackedWeights.floatCount(outputs: outputs, inputs: inputs)
    }
  }

  /// Forgets all panels; they are made again when they are asked for.
  func weightsChanged() {
    for index in resting.indices { resting[index] = nil }
    for index in headBlocks.indices { headBlocks[index] = nil }
    valueHead = nil
    layerInScratch = -1
    allocator.reset()
  }

  /// Bytes of the panels of layers and head that are there.
  var packedBytes: Int {
    let linears = resting.flatMap { $0?.all ?? [] } + headBlocks.compactMap { $0?.linear }
    return linears.reduce(0) { $0 + ($1.packed?.byteCount ?? 0) }
  }

  /// The matrices of a layer. Valid until another layer is asked for, unless everything is resident.
  func layer(_ index: Int) -> LayerLinears {
    if let linears = resting[index], resident || mode == .blas || layerInScratch == index { return linears }
    let p = layers[index]
    var used = 0
    func make(_ projection: Projection, _ bias: UnsafePointer<Float>? = nil) -> Linear {
      let (outputs, inputs) = projection.shape(model.configuration)
      if let panels = model.panels?["model.layers.\(index).\(projection.path).weight"] {
        return Linear(packed: panels, weight: p[projection], bias: bias, outputs: outputs, inputs: inputs)
      }
      var memory: UnsafeMutablePointer<Float>?
      if let scratch {
        memory = scratch.pointer + used
        used += PackedWeights.floatCount(outputs: outputs, inputs: inputs)
      }
      return linear(merged(p, projection), bias: bias, outputs: outputs, inputs: inputs, memory: memory)
    }
    let linears = LayerLinears(
      query: make(.query, p.queryBias), key: make(.key, p.keyBias), value: make(.value, p.valueBias),
      output: make(.output), gate: make(.gate), up: make(.up), down: make(.down))
    resting[index] = linears
    layerInScratch = index
    return linears
  }

  /// The matrix with its adapter's share, if it has one; valid until the next is asked for.
  func merged(_ p: LayerPointers, _ projection: Projection) -> UnsafePointer<Float> {
    let c = model.configuration
    guard let adapters = c.adapters, let adapter = p.adapter(projection), let mergeScratch else {
      return UnsafePointer(p[projection])
    }
    let (outputs, inputs) = projection.shape(c)
    mergeAdapter(
      mergeScratch.pointer, weight: p[projection], adapter: adapter, outputs: outputs, inputs: inputs,
      rank: adapters.rank, scale: adapters.scale, pool: pool)
    return UnsafePointer(mergeScratch.pointer)
  }

  /// Calls `body` with the blocks of the head in ascending order; together they make all V logits.
  func forEachHeadBlock(_ body: (HeadBlock) -> Void) {
    for (index, range) in blockRanges.enumerated() {
      if let block = headBlocks[index], resident || mode == .blas {
        body(block)
        continue
      }
      let C = model.configuration.hiddenSize
      let rows = head + range.lowerBound * C
      let linear =
        model.panels?[headName].map { Linear(packed: $0, weight: rows, bias: nil, outputs: range.count, inputs: C) }
        ?? linear(rows, bias: nil, outputs: range.count, inputs: C, memory: headScratch?.pointer)
      let block = HeadBlock(outputs: range, linear: linear)
      headBlocks[index] = block
      body(block)
    }
  }

  /// The value head, one output.
  func value() -> Linear {
    if let valueHead { return valueHead }
    let made = linear(
      model.pointer("value_head.weight"), bias: nil, outputs: 1, inputs: model.configuration.hiddenSize, memory: nil)
    valueHead = made
    return made
  }

  private func linear(
    _ weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?, outputs: Int, inputs: Int,
    memory: UnsafeMutablePointer<Float>?
  ) -> Linear {
    guard mode != .blas else {
      return Linear(packed: nil, weight: weight, bias: bias, outputs: outputs, inputs: inputs)
    }
    let narrow = narrows && areBFloat16(weight, count: outputs * inputs, pool: pool)
    let target = memory ?? allocator.take(PackedWeights.floatCount(outputs: outputs, inputs: inputs, narrow: narrow))
    let packed = packWeights(weight, outputs: outputs, inputs: inputs, into: target, narrow: narrow, pool: pool)
    return Linear(packed: packed, weight: weight, bias: bias, outputs: outputs, inputs: inputs)
  }
}

/// Hands out panel memory: first from a lent buffer, then from memory of its own. Every piece is 64-byte aligned.
private struct PanelAllocator {
  let storage: FloatBuffer?
  private var used = 0
  /// Pieces of our own, handed out again in the same order after a reset.
  private var own: [FloatBuffer] = []
  private var ownUsed = 0

  init(storage: FloatBuffer?) { self.storage = storage }

  mutating func reset() {
    used = 0
    ownUsed = 0
  }

  mutating func take(_ floats: Int) -> UnsafeMutablePointer<Float> {
    let size = (floats + 15) / 16 * 16
    if let storage, used + size <= storage.count {
      defer { used += size }
      return storage.pointer + used
    }
    // The order of requests is the same after every reset unless the value head comes or goes: look for a piece that
    // fits.
    if ownUsed < own.count, own[ownUsed].count != size { own.removeSubrange(ownUsed...) }
    if ownUsed == own.count { own.append(FloatBuffer(count: size)) }
    defer { ownUsed += 1 }
    return own[ownUsed].pointer
  }
}
