/// One named weight: its Hugging Face name, its shape (linear layers are [outputs, inputs]) and its place in the flat
/// buffer.
public struct Parameter: Sendable, Equatable {
  public let name: String
  public let shape: [Int]
  public let range: Range<Int>
  /// What random weights it starts from.
  let start: Start

  enum Start: Sendable, Equatable { case normal, residual, one, zero }
}

/// All parameters of a model in their order in the flat buffer.
///
/// Every range begins at a multiple of 16 floats; the gaps are zero and stay zero. The value head, if asked for, comes
/// behind everything else, and the adapters behind it, so that a model agrees with the model without them up to that
/// point.
public struct ParameterTable: Sendable {
  public let parameters: [Parameter]
  /// Length of the flat buffer in floats, gaps included.
  public let count: Int
  /// Where what is trained lies: everything, or, with adapters, the value head and them.
  public let trainable: Range<Int>
  private let places: [String: Int]

  public init(_ configuration: ModelConfiguration) {
    let C = configuration.hiddenSize
    let F = configuration.intermediateSize
    let Q = configuration.queryWidth
    let KV = configuration.keyValueWidth
    var parameters: [Parameter] = []
    var next = 0
    func add(_ name: String, _ shape: [Int], _ start: Parameter.Start) {
      let size = shape.reduce(1, *)
      parameters.append(Parameter(name: name, shape: shape, range: next..<next + size, start: start))
      next = (next + size + 15) / 16 * 16
    }
    add("model.embed_tokens.weight", [configuration.vocabularySize, C], .normal)
    for layer in 0..<configuration.layerCount {
      let prefix = "model.layers.\(layer)."
      add(prefix + "input_layernorm.weight", [C], .one)
      for (projection, width) in [("q", Q), ("k", KV), ("v", KV)] {
        add(prefix + "self_attn.\(projection)_proj.weight", [width, C], .normal)
      }
      if configuration.attentionBias {
        for (projection, width) in [("q", Q), ("k", KV), ("v", KV)] {
          add(prefix + "self_attn.\(projection)_proj.bias", [width], .zero)
        }
      }
      if configuration.queryKeyNorm {
        add(prefix + "self_attn.q_norm.weight", [configuration.headWidth], .one)
        add(prefix + "self_attn.k_norm.weight", [configuration.headWidth], .one)
      }
      add(prefix + "self_attn.o_proj.weight", [C, Q], .residual)
      add(prefix + "post_attention_layernorm.weight", [C], .one)
      add(prefix + "mlp.gate_proj.weight", [F, C], .normal)
      add(prefix + "mlp.up_proj.weight", [F, C], .normal)
      add(prefix + "mlp.down_proj.weight", [C, F], .residual)
    }
    add("model.norm.weight", [C], .one)
    if !configuration.tiedHead { add("lm_head.weight", [configuration.vocabularySize, C], .normal) }
    let base = next
    if configuration.valueHead { add("value_head.weight", [1, C], .zero) }
    if let adapters = configuration.adapters {
      for layer in 0..<configuration.layerCount {
        for projection in adapters.targets {
          let (outputs, inputs) = projection.shape(configuration)
          add(Self.adapterName(layer, projection, "A"), [adapters.rank, inputs], .zero)
          add(Self.adapterName(layer, projection, "B"), [outputs, adapters.rank], .zero)
        }
      }
    }
    trainable = (configuration.adapters == nil ? 0 : base)..<next
    self.parameters = parameters
    self.count = next
    self.places = Dictionary(uniqueKeysWithValues: parameters.enumerated().map { ($1.name, $0) })
  }

  /// The parameters that are trained, in order.
  public var trainableParameters: [Parameter] { parameters.filter { trainable.contains($0.range.lowerBound) } }

  static func adapterName(_ layer: Int, _ projection: Projection, _ factor: String) -> String {
    "model.layers.\(layer).\(projection.path).lora_\(factor).weight"
  }

  public subscript(name: String) -> Parameter? { places[name].map { parameters[$0] } }
}
