import Tensor

/// Forward and backward over packed sequences: hidden states, log-probs of targets, values, and gradients.
///
/// One micro-batch is `forward`, then any of `score`, `scoreAndBackpropagate`, `values`, `backpropagateValues`, then
/// `backward`, which adds to `gradients`. After the last micro-batch of an update call `finishGradients`, and after the
/// weights have changed `weightsChanged`.
///
/// Each row's numbers depend on its own sequence alone: not on the other sequences, the order, the threads.
/// `SamplingPass` gives the same bits.
public final class TrainingPass {
  typealias Pointer = UnsafeMutablePointer<Float>

  let model: LanguageModel
  let gradients: FloatBuffer?
  let matmul: MatmulMode
  /// Whether only the layers' inputs are kept, and the rest is made again on the way back.
  let recomputes: Bool
  let pool: WorkerPool
  let packed: PackedModel
  let decoder: DecoderForward
  /// The parameter table over `gradients`.
  let layerGradients: [LayerPointers]
  private let places: GradientPlaces
  let embeddingGradient: EmbeddingGradient
  let attentionScratch = AttentionScratch()
  /// Is told which part of the work begins; nil: time is not measured.
  public var timer: PartTimer?

  var buffers: TrainingBuffers?
  var keptChunk: HeadChunk?
  /// The batch of the last `forward`, with each row's position.
  private(set) var batch = PackedTokens([])
  var positions: [Int32] = []
  /// Whether the activations of `batch` are still whole: `backward` writes over them.
  var canBackpropagate = false

  /// - Parameters:
  ///   - gradients: `model.table.trainable.count` floats that `backward` adds to. nil: scoring only, no activations are
  ///     kept.
  ///   - matmul: how matrix products are made; see `MatmulMode`.
  ///   - recomputes: keep only the layers' inputs, and run each layer again before its backward pass: less memory, the
  ///     same bits, a third more work.
  public init(
    model: LanguageModel, gradients: FloatBuffer?, matmul: MatmulMode, recomputes: Bool = false, pool: WorkerPool
  ) {
    if let gradients {
      precondition(
        gradients.count == model.table.trainable.count,
        "gradients: \(gradients.count) floats, but \(model.table.trainable.count) of the model's are trained")
    }
    self.model = model
    self.gradients = gradients
    self.matmul = matmul
    self.recomputes = recomputes
    self.pool = pool
    packed = PackedModel(model: model, storage: nil, resident: nil, mode: matmul, pool: pool)
    decoder = DecoderForward(configuration: model.configuration, pool: pool)
    let places = GradientPlaces(model, gradients)
    self.places = places
    layerGradients =
      gradients == nil
      ? []
      : (0..<model.configuration.layerCount).map { LayerPointers(model.configuration, layer: $0, place: places.place) }
    embeddingGradient = EmbeddingGradient(width: model.configuration.hiddenSize)
  }

  /// To be called after the weights have changed.
  public func weightsChanged() {
    precondition(
      embeddingGradient.isEmpty,
      "weightsChanged: gradients of the embedding are still apart; call finishGradients before the optimizer, "
        + "or discardGradients")
    packed.weightsChanged()
  }

  /// Hidden states of every row of `batch`.
  ///
  /// Tokens must be in the vocabulary, and no sequence empty or longer than the context.
  public func forward(_ batch: PackedTokens) {
    let c = model.configuration
    let N = batch.tokens.count
    precondition(N > 0, "forward: the batch is empty")
    layOut(batch)
    let buffers = prepare(rows: N)
    embed(buffers.layers[0].input, tokens: batch.tokens, model: model)
    for layer in 0..<c.layerCount { run(layer, buffers, output: buffers.output(of: layer)) }
    decoder.norm(
      buffers.hidden, buffers.final, model.pointer("model.norm.weight"), rows: N, width: c.hiddenSize,
      rstd: buffers.finalRstd)
    if gradients != nil { buffers.dHidden.update(repeating: 0, count: N * c.hiddenSize) }
    canBackpropagate = gradients != nil
    timer?.begin(.other)
  }

  /// A layer over all rows, from its input on. Running it again gives every row the same bits.
  func run(_ layer: Int, _ b: TrainingBuffers, output: UnsafeMutablePointer<Float>?) {
    let a = b.layer(layer)
    let table = model.rotaryTable(length: batch.sequences.reduce(0) { max($0, $1.length) })
    timer?.begin(.packing)
    let linears = packed.layer(layer)
    timer?.begin(.forward)
    positions.withUnsafeBufferPointer { positions in
      decoder.run(
        packed.layers[layer], linears, a, b.scratch, output: output, RowPositions(positions, table: table)
      ) { attend(a) }
    }
  }

  /// Adds the gradient of the embedding's use as an input, which is kept apart for a tied table, to `gradients`. To be
  /// called once an update, after the last `backward`.
  public func finishGradients() {
    guard gradients != nil, trainsEverything else { return }
    embeddingGradient.flush(into: gradient("model.embed_tokens.weight"))
  }

  /// Whether all weights are trained, not adapters alone.
  var trainsEverything: Bool { model.configuration.adapters == nil }

  /// Where a parameter's gradient goes.
  func gradient(_ name: String) -> Pointer {
    guard let place = places.place(name) else { preconditionFailure("no parameter \(name)") }
    return place
  }

  /// Forgets what `finishGradients` would add, for an update that is given up.
  public func discardGradients() {
    embeddingGradient.discard()
    canBackpropagate = false
  }

  private func layOut(_ batch: PackedTokens) {
    let limit = model.configuration.contextLength
    positions.removeAll(keepingCapacity: true)
    for (index, sequence) in batch.sequences.enumerated() {
      precondition(!sequence.rows.isEmpty, "sequence \(index) is empty")
      precondition(
        sequence.length <= limit, "sequence \(index) has \(sequence.length) tokens, but the context holds \(limit)")
      for position in sequence.prefix.count..<sequence.length { positions.append(Int32(position)) }
    }
    self.batch = batch
  }

  /// Memory for N rows; kept from batch to batch, and made anew when a larger one comes.
  private func prepare(rows N: Int) -> TrainingBuffers {
    if let buffers, buffers.rows >= N { return buffers }
    buffers = nil  // first give back, then take
    let made = TrainingBuffers(
      model.configuration, rows: (N + 15) / 16 * 16, keepsActivations: gradients != nil, recomputes: recomputes)
    buffers = made
    return made
  }
}

/// Where each parameter's gradient goes. The norms and biases that are not trained beside adapters share a sink that is
/// never read.
private struct GradientPlaces {
  private let table: ParameterTable
  private let gradients: FloatBuffer?
  private let sink: FloatBuffer

  init(_ model: LanguageModel, _ gradients: FloatBuffer?) {
    let c = model.configuration
    table = model.table
    self.gradients = gradients
    sink = FloatBuffer(count: c.adapters == nil ? 0 : max(c.hiddenSize, c.queryWidth, c.keyValueWidth, c.headWidth))
  }

  func place(_ name: String) -> UnsafeMutablePointer<Float>? {
    guard let gradients, let range = table[name]?.range else { return nil }
    guard table.trainable.contains(range.lowerBound) else { return sink.pointer }
    return gradients.pointer + (range.lowerBound - table.trainable.lowerBound)
  }
}

/// All memory of a training pass that grows with the rows of a micro-batch.
final class TrainingBuffers {
  typealias Pointer = UnsafeMutablePointer<Float>

  let rows: Int
  let layers: [LayerActivations]
  let scratch: LayerScratch
  /// [N, C]: the last layer's output; its norm; [N]: its rstd.
  let final, hidden, finalRstd: Pointer
  /// [N, C]: gradients of `hidden` and of the residual stream.
  let dHidden, dStream: Pointer
  /// [N, Q], [N, KV], [N, KV], [N, Q].
  let dQuery, dKey, dValue, dAttended: Pointer
  /// Before the query/key norm, [N, Q] and [N, KV].
  let dRawQuery, dRawKey: Pointer?
  private let memory: FloatBuffer
  private let keepsActivations: Bool

  init(_ c: ModelConfiguration, rows: Int, keepsActivations: Bool, recomputes: Bool) {
    self.rows = rows
    self.keepsActivations = keepsActivations
    memory = FloatBuffer(
      count: Self.floatCount(c, rows: rows, keepsActivations: keepsActivations, recomputes: recomputes))
    var arena = Arena(memory)
    let parts = Parts(c, rows: rows, keepsActivations: keepsActivations, recomputes: recomputes, arena: &arena)
    layers = parts.layers
    scratch = parts.scratch
    final = parts.final
    hidden = parts.hidden
    finalRstd = parts.finalRstd
    dHidden = parts.backward[0]
    dStream = parts.backward[1]
    dQuery = parts.backward[2]
    dKey = parts.backward[3]
    dValue = parts.backward[4]
    dAttended = parts.backward[5]
    dRawQuery = c.queryKeyNorm ? parts.backward[6] : nil
    dRawKey = c.queryKeyNorm ? parts.backward[7] : nil
  }

  static func floatCount(_ c: ModelConfiguration, rows: Int, keepsActivations: Bool, recomputes: Bool) -> Int {
    var counting = Arena(nil)
    _ = Parts(c, rows: rows, keepsActivations: keepsActivations, recomputes: recomputes, arena: &counting)
    return counting.used
  }

  func layer(_ index: Int) -> LayerActivations { layers[keepsActivations ? index : 0] }

  /// Where layer `index` writes: the next layer's input.
  func output(of index: Int) -> Pointer {
    guard keepsActivations else { return layers[0].input }
    return index + 1 < layers.count ? layers[index + 1].input : final
  }

  private struct Parts {
    var layers: [LayerActivations] = []
    let scratch: LayerScratch
    let final, hidden, finalRstd: Pointer
    var backward: [Pointer]

    init(
      _ c: ModelConfiguration, rows N: Int, keepsActivations: Bool, recomputes: Bool, arena: inout Arena
    ) {
      for _ in 0..<(keepsActivations ? c.layerCount : 1) {
        layers.append(
          recomputes && !layers.isEmpty
            ? LayerActivations(layers[0], input: arena.take(N * c.hiddenSize))
            : LayerActivations(c, rows: N, arena: &arena))
      }
      scratch = LayerScratch(c, rows: N, arena: &arena)
      final = keepsActivations ? arena.take(N * c.hiddenSize) : layers[0].input
      hidden = arena.take(N * c.hiddenSize)
      finalRstd = arena.take(N)
      let widths = [
        c.hiddenSize, c.hiddenSize, c.queryWidth, c.keyValueWidth, c.keyValueWidth, c.queryWidth,
        c.queryKeyNorm ? c.queryWidth : 0, c.queryKeyNorm ? c.keyValueWidth : 0,
      ]
      backward = widths.map { [keepsActivations] in arena.take(keepsActivations ? N * $0 : 0) }
    }
  }
}
