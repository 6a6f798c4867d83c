import Support
import Synchronization
import Tensor

/// The weights of a decoder in one flat allocation, with the table that names them.
public final class LanguageModel: @unchecked Sendable {
  /// The shape.
  public let configuration: ModelConfiguration
  /// Where each parameter lies in `weights`.
  public let table: ParameterTable
  /// `table.count` floats. After a change, call `weightsChanged` on the passes that use them. A model that was loaded
  /// for sampling alone has none.
  public var weights: FloatBuffer {
    precondition(panels == nil, "weights: the model was loaded for sampling alone")
    return memory
  }
  /// Matrices that only a sampler reads; in `memory` they are zeros, which take no room.
  let panels: SamplingPanels?
  private let memory: FloatBuffer
  /// The part of `weights` that is trained, without a copy: all of it, or the adapters and the value head.
  public let trainableWeights: FloatBuffer
  private let rotary = Mutex<RotaryTable?>(nil)

  /// A model whose weights are all zero until they are initialised or read.
  public convenience init(configuration: ModelConfiguration) { self.init(configuration: configuration, panels: nil) }

  /// The same with matrices that are held as `panels`, not in the flat buffer: a model that can only sample.
  package init(configuration: ModelConfiguration, panels: SamplingPanels?) {
    precondition(
      configuration.problem == nil, "\(configuration.problem.map { "\($0.key): \($0.message)" } ?? "")")
    self.configuration = configuration
    self.table = ParameterTable(configuration)
    self.panels = panels
    memory = FloatBuffer(count: table.count, isSparse: panels != nil)
    trainableWeights = FloatBuffer(sharing: memory, table.trainable)
  }

  /// The model without adapters and, unless asked for, without a value head. It shares the weights, which lie at the
  /// front of the buffer.
  public func base(valueHead: Bool) -> LanguageModel {
    var plain = configuration
    plain.adapters = nil
    plain.valueHead = valueHead && configuration.valueHead
    return LanguageModel(configuration: plain, sharing: weights)
  }

  /// The same weights with the stop tokens of `other`, and a context no longer than its own: what they write, `other`
  /// can read.
  public func standingIn(for other: ModelConfiguration) -> LanguageModel {
    var own = configuration
    (own.stopTokens, own.beginToken) = (other.stopTokens, other.beginToken)
    own.contextLength = min(own.contextLength, other.contextLength)
    return LanguageModel(configuration: own, sharing: weights)
  }

  private init(configuration: ModelConfiguration, sharing weights: FloatBuffer) {
    self.configuration = configuration
    self.table = ParameterTable(configuration)
    panels = nil
    memory = FloatBuffer(sharing: weights, 0..<table.count)
    trainableWeights = FloatBuffer(sharing: memory, table.trainable)
  }

  /// Random weights: normal with deviation 0.02, those projections that add to the residual stream scaled by 1 / sqrt(2
  /// L) (Radford et al. 2019, GPT-2, section 2.3); norms 1, biases and the value head 0.
  ///
  /// Each parameter's numbers are keyed by the seed and its own name, so they do not depend on what else the model
  /// holds, nor on the threads of `pool`.
  public func initialize(seed: UInt64, pool: WorkerPool? = nil) {
    let deviation = 0.02
    let residual = deviation / Double(2 * configuration.layerCount).squareRoot()
    for parameter in table.parameters {
      let target = weights[parameter.range]
      switch parameter.start {
      case .zero: target.update(repeating: 0)
      case .one: target.update(repeating: 1)
      case .normal, .residual:
        var random = CounterRandom(seed: seed, path: [stableHash("initialize"), stableHash(parameter.name)])
        let scale = parameter.start == .residual ? residual : deviation
        normalInitialization(target, deviation: Float(scale), random: &random, pool: pool)
      }
    }
  }

  /// The rotary table for positions 0..<length at least, shared by all passes over this model.
  func rotaryTable(length: Int) -> RotaryTable {
    rotary.withLock { table in
      if let table, table.capacity >= length { return table }
      let made = RotaryTable(
        headWidth: configuration.headWidth, theta: configuration.ropeTheta, scaling: configuration.ropeScaling,
        capacity: max(length, min(2048, configuration.contextLength)))
      table = made
      return made
    }
  }

  /// The address of a parameter that the configuration says is there.
  package func pointer(_ name: String) -> UnsafeMutablePointer<Float> {
    guard let parameter = table[name] else { preconditionFailure("no parameter \(name)") }
    return memory.pointer + parameter.range.lowerBound
  }

  func layerPointers(_ layer: Int) -> LayerPointers {
    LayerPointers(configuration, layer: layer) { name in
      self.table[name].map { self.memory.pointer + $0.range.lowerBound }
    }
  }
}
