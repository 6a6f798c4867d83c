/// The functions that each instruction set has a version of: all arithmetic on rows of floats.
///
/// One source, `Sources/Kernels`, is compiled once for each (`KernelsAVX2`, `KernelsPortable`), and `kernels` of
/// `Tensor` is the one in use. What each function computes is documented there. Every version gives
/// the same bits: sums have the order that the source gives them, and a fused multiply-add is one, if need be the C
/// library's. Arguments are pointers and numbers, never vectors: how a vector is passed depends on the instruction set.
package protocol KernelTable: SendableMetatype {
  /// What the version is called where people read it.
  static var name: String { get }

  // Matrix products
  static func packWeights(
    _ weight: UnsafePointer<Float>, outputs: Int, inputs: Int, into storage: UnsafeMutablePointer<Float>, narrow: Bool,
    pool: WorkerPool
  ) -> PackedWeights
  static func areBFloat16(_ numbers: UnsafePointer<Float>, count: Int, pool: WorkerPool) -> Bool
  static func linear(
    _ y: MutableRows, _ x: Rows, weights: PackedWeights, bias: UnsafePointer<Float>?, pool: WorkerPool)
  static func linearBackwardInput(
    _ dX: MutableRows, dY: Rows, weight: Rows, accumulate: Bool, mode: MatmulMode, pool: WorkerPool)
  static func linearBackwardWeight(_ dW: MutableRows, dY: Rows, x: Rows, mode: MatmulMode, pool: WorkerPool)
  static func biasBackward(_ dBias: UnsafeMutablePointer<Float>, dY: Rows, pool: WorkerPool)

  // Attention
  static func attention(
    _ out: MutableRows, query: Rows, spans: [AttentionSpan], shape: AttentionShape,
    statistics: UnsafeMutablePointer<Float>?, scratch: AttentionScratch, pool: WorkerPool)
  static func attention(
    _ out: MutableRows, _ inputs: AttentionInputs, sequences: [AttentionSequence],
    statistics: UnsafeMutablePointer<Float>?, scratch: AttentionScratch, pool: WorkerPool)
  static func attentionBackward(
    _ gradients: AttentionGradients, dOut: Rows, out: Rows, statistics: UnsafePointer<Float>, _ inputs: AttentionInputs,
    sequences: [AttentionSequence], scratch: AttentionScratch, pool: WorkerPool)

  // Rows of activations
  static func rmsNorm(
    _ y: MutableRows, _ x: Rows, weight: UnsafePointer<Float>, groups: Int, epsilon: Float,
    rstd: UnsafeMutablePointer<Float>?, pool: WorkerPool)
  static func rmsNormBackward(
    dX: MutableRows, dWeight: UnsafeMutablePointer<Float>?, dY: Rows, x: Rows, weight: UnsafePointer<Float>,
    rstd: UnsafePointer<Float>, groups: Int, pool: WorkerPool)
  static func rotary(
    _ x: MutableRows, positions: UnsafePointer<Int32>, table: RotaryTable, backwards: Bool, pool: WorkerPool)
  static func swiGLU(_ y: MutableRows, gate: Rows, up: Rows, pool: WorkerPool)
  static func swiGLUBackward(
    dGate: MutableRows, dUp: MutableRows, dY: Rows, gate: Rows, up: Rows, pool: WorkerPool)
  static func addRows(_ y: MutableRows, _ x: Rows, pool: WorkerPool)
  static func addProduct(_ y: UnsafeMutablePointer<Float>, _ factor: Float, _ x: UnsafePointer<Float>, count: Int)

  // Rows of logits
  static func exactExp(_ x: Float) -> Float
  static func exponentials(_ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, count: Int, maximum: Float)
  static func divideRow(_ row: UnsafeMutablePointer<Float>, count: Int, by temperature: Float)
  static func rowMaximum(_ row: UnsafePointer<Float>, count: Int) -> Float
  static func logSumExp(_ row: UnsafePointer<Float>, count: Int, blockSums: UnsafeMutablePointer<Float>?) -> (
    maximum: Float, logSum: Float
  )
  static func rowStatistics(_ row: UnsafePointer<Float>, count: Int) -> RowStatistics
  static func logProbBackward(
    _ dLogits: UnsafeMutablePointer<Float>, logits: UnsafePointer<Float>, count: Int, target: Int,
    statistics: RowStatistics, cLogProb: Float, cEntropy: Float, temperature: Float)

  // The optimizer: a range of parameters on the calling thread
  static func sumOfSquares(_ values: UnsafePointer<Float>, count: Int) -> Double
  static func updateSGD(_ p: OptimizerPointers, range: Range<Int>, scale: Float, stepSize: Float, decay: Float)
  static func updateAdamW(_ p: OptimizerPointers, range: Range<Int>, scale: Float, kept: Float, formula: AdamWStep)
  static func updateEightBitAdamW(
    _ p: OptimizerPointers, block: Int, scale: Float, step: Int, first: QuantizedMoment, second: QuantizedMoment,
    room: UnsafeMutablePointer<Float>, formula: AdamWStep)

  // Measuring
  static func readThrough(_ bytes: UnsafeRawBufferPointer) -> Float
}

/// Where the optimizer's numbers lie.
package struct OptimizerPointers: @unchecked Sendable {
  package let weights: UnsafeMutablePointer<Float>
  package let gradients: UnsafePointer<Float>
  /// Of AdamW with fp32 state.
  package let first, second: UnsafeMutablePointer<Float>?

  package init(
    weights: UnsafeMutablePointer<Float>, gradients: UnsafePointer<Float>, first: UnsafeMutablePointer<Float>? = nil,
    second: UnsafeMutablePointer<Float>? = nil
  ) {
    (self.weights, self.gradients, self.first, self.second) = (weights, gradients, first, second)
  }
}
