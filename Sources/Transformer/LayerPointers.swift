/// Where the parameters of one layer lie in a flat buffer: the weights, or the gradients.
struct LayerPointers {
  typealias Pointer = UnsafeMutablePointer<Float>

  let inputNorm, postNorm: Pointer
  let queryBias, keyBias, valueBias: Pointer?
  let queryNorm, keyNorm: Pointer?
  private let matrices: [Pointer]
  private let adapters: [AdapterPointers?]

  /// - Parameter place: of a parameter by its name; nil: the model has none of that name.
  init(_ configuration: ModelConfiguration, layer: Int, place: (String) -> Pointer?) {
    let prefix = "model.layers.\(layer)."
    func optional(_ name: String) -> Pointer? { place(prefix + name) }
    func pointer(_ name: String) -> Pointer {
      guard let found = optional(name) else { preconditionFailure("no parameter \(prefix)\(name)") }
      return found
    }
    inputNorm = pointer("input_layernorm.weight")
    postNorm = pointer("post_attention_layernorm.weight")
    queryBias = optional("self_attn.q_proj.bias")
    keyBias = optional("self_attn.k_proj.bias")
    valueBias = optional("self_attn.v_proj.bias")
    queryNorm = optional("self_attn.q_norm.weight")
    keyNorm = optional("self_attn.k_norm.weight")
    matrices = Projection.allCases.map { pointer($0.path + ".weight") }
    adapters = Projection.allCases.map { projection in
      guard let a = place(ParameterTable.adapterName(layer, projection, "A")),
        let b = place(ParameterTable.adapterName(layer, projection, "B"))
      else { return nil }
      return AdapterPointers(a: a, b: b)
    }
  }

  subscript(_ projection: Projection) -> Pointer { matrices[projection.index] }
  func adapter(_ projection: Projection) -> AdapterPointers? { adapters[projection.index] }
}
