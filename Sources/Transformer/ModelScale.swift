/// How large a model is and how much memory its passes need, from the configuration alone; for `plan`.
public struct ModelScale: Sendable {
  /// The shape.
  public let configuration: ModelConfiguration
  /// How many numbers the parameters have, gaps between them not counted.
  public let parameterCount: Int
  /// Floats of the flat buffer, gaps included: what the weights take.
  public let flatCount: Int
  /// The floats that are trained: what gradients and each optimizer moment take.
  public let trainableCount: Int

  /// The sizes of a model of this shape.
  public init(_ configuration: ModelConfiguration) {
    self.configuration = configuration
    let table = ParameterTable(configuration)
    parameterCount = table.parameters.reduce(0) { $0 + $1.range.count }
    flatCount = table.count
    trainableCount = table.trainable.count
  }

  /// Bytes of the weights.
  public var weightBytes: Int { flatCount * 4 }

  /// Bytes of the gradients, and of each optimizer moment.
  public var gradientBytes: Int { trainableCount * 4 }

  /// Bytes that a training pass keeps and works in for micro-batches of `rows` tokens, `targets` of which are scored:
  /// activations, scratch, panels of packed weights, a chunk of logits.
  public func trainingBytes(rows: Int, targets: Int, gradients: Bool = true, recomputes: Bool = false) -> Int {
    let c = configuration
    let buffers = TrainingBuffers.floatCount(c, rows: rows, keepsActivations: gradients, recomputes: recomputes)
    let chunk = TrainingPass.chunkSize(targets: targets, vocabulary: c.vocabularySize)
    return 4 * (buffers + PackedModel.trainingFloats(c) + chunk * (c.vocabularySize + c.hiddenSize))
  }

  /// Bytes that one more token in a micro-batch costs, its logits apart.
  public func activationBytesPerToken(recomputes: Bool = false) -> Int {
    func floats(_ rows: Int) -> Int {
      TrainingBuffers.floatCount(configuration, rows: rows, keepsActivations: true, recomputes: recomputes)
    }
    return 4 * (floats(1024) - floats(512)) / 512
  }

  /// Bytes of keys and values that one token of a sequence takes while sampling.
  public var cacheBytesPerToken: Int { 4 * configuration.layerCount * 2 * configuration.keyValueWidth }

  /// Bytes of the packed weights while sampling; they may lie in the gradients' memory.
  public var packedBytes: Int { 4 * PackedModel.residentFloats(configuration) }

  /// Bytes of working memory of a sampling pass with many rows, caches and packed weights apart.
  public var samplingBytes: Int {
    let logits = max(64 * configuration.vocabularySize, SamplingPass.logitLimit)
    return 4 * (LayerActivations.floatCount(configuration, rows: SamplingPass.rowLimit) + logits)
  }

  /// Multiply-adds times two of one token's forward pass through the layers, attention at `contextLength` keys
  /// included.
  public func forwardOperations(contextLength: Int) -> Double {
    let c = configuration
    let layer =
      c.hiddenSize * (c.queryWidth * 2 + c.keyValueWidth * 2 + c.intermediateSize * 3) + 2 * contextLength
      * c.queryWidth
    return 2 * Double(c.layerCount) * Double(layer)
  }

  /// Multiply-adds times two of one row of logits.
  public var headOperations: Double { 2 * Double(configuration.vocabularySize) * Double(configuration.hiddenSize) }
}
