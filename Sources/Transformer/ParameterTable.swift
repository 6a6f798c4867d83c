/// One named weight: its Hugging Face name, its shape (linear layers are [outputs, inputs]) and its place in the flat
/// buffer.
public struct Parameter: Sendable, Equatable {
  /// The name, such as `model.layers.0.mlp.up_proj.weight`.
  public let name: String
  /// The shape, outermost dimension first.
  public let shape: [Int]
  /// The floats of the flat buffer that it takes.
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
  /// All of them, in order.
  public let parameters: [Parameter]
  /// Length of the flat buffer in floats, gaps included.
  public let count: Int
  /// Where what is trained lies: everything, or, with adapters, the value head and them.
  public let trainable: Range<Int>
  private let places: [String: Int]

  /// The table of a model of this shape.
  public init(_ configuration: ModelConfiguration) {
    let C = configuration.hiddenSize
    var parameters: [Parameter] = []
    var next = 0
    func add(_ name: String, _ shape: [Int], _ start: Parameter.Start) {
      let size = shape.reduce(1, *)
      parameters.append(Parameter(name: name, shape: shape, range: next..<next + size, start: start))
      next = (next + size + 15) / 16 * 16
    }
    add("model.embed_tokens.weight", [configuration.vocabularySize, C], .normal)
    for layer in 0..<configuration.layerCount {
      for (name, shape, start) in Self.layer(configuration) { add("model.layers.\(layer).\(name)", shape, start) }
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

  /// The parameters of one layer, adapters apart.
  private static func layer(_ c: ModelConfiguration) -> [(name: String, shape: [Int], start: Parameter.Start)] {
    let (C, F, Q) = (c.hiddenSize, c.intermediateSize, c.queryWidth)
    let widths = [("q", Q), ("k", c.keyValueWidth), ("v", c.keyValueWidth)]
    var list: [(name: String, shape: [Int], start: Parameter.Start)] = [("input_layernorm.weight", [C], .one)]
    for (projection, width) in widths { list.append(("self_attn.\(projection)_proj.weight", [width, C], .normal)) }
    if c.attentionBias {
      for (projection, width) in widths { list.append(("self_attn.\(projection)_proj.bias", [width], .zero)) }
    }
    if c.queryKeyNorm {
      for projection in ["q", "k"] { list.append(("self_attn.\(projection)_norm.weight", [c.headWidth], .one)) }
    }
    return list + [
      ("self_attn.o_proj.weight", [C, Q], .residual), ("post_attention_layernorm.weight", [C], .one),
      ("mlp.gate_proj.weight", [F, C], .normal), ("mlp.up_proj.weight", [F, C], .normal),
      ("mlp.down_proj.weight", [C, F], .residual),
    ]
  }

  /// The parameters that are trained, in order.
  public var trainableParameters: [Parameter] { parameters.filter { trainable.contains($0.range.lowerBound) } }

  /// The factors A and B of all adapters, in order.
  public var adapterParameters: [Parameter] { parameters.filter { Self.isAdapter($0.name) } }

  /// Whether a parameter of that name is a factor of an adapter.
  package static func isAdapter(_ name: String) -> Bool {
    name.hasSuffix(".lora_A.weight") || name.hasSuffix(".lora_B.weight")
  }

  package static func adapterName(_ layer: Int, _ projection: Projection, _ factor: String) -> String {
    "model.layers.\(layer).\(projection.path).lora_\(factor).weight"
  }

  /// The parameter of that name; nil: there is none.
  public subscript(name: String) -> Parameter? { places[name].map { parameters[$0] } }
}
