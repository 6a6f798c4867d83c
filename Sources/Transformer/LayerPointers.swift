import Tensor

/// Where the parameters of one layer lie in a flat buffer: the weights, or the gradients, which have the same table.
struct LayerPointers {
  typealias Pointer = UnsafeMutablePointer<Float>

  let inputNorm, postNorm: Pointer
  let query, key, value, output: Pointer
  let gate, up, down: Pointer
  let queryBias, keyBias, valueBias: Pointer?
  let queryNorm, keyNorm: Pointer?

  init(_ model: LanguageModel, layer: Int, in buffer: FloatBuffer) {
    let prefix = "model.layers.\(layer)."
    func pointer(_ name: String) -> Pointer { model.pointer(prefix + name + ".weight", in: buffer) }
    func optional(_ name: String) -> Pointer? {
      model.table[prefix + name].map { buffer.pointer + $0.range.lowerBound }
    }
    inputNorm = pointer("input_layernorm")
    postNorm = pointer("post_attention_layernorm")
    query = pointer("self_attn.q_proj")
    key = pointer("self_attn.k_proj")
    value = pointer("self_attn.v_proj")
    output = pointer("self_attn.o_proj")
    gate = pointer("mlp.gate_proj")
    up = pointer("mlp.up_proj")
    down = pointer("mlp.down_proj")
    queryBias = optional("self_attn.q_proj.bias")
    keyBias = optional("self_attn.k_proj.bias")
    valueBias = optional("self_attn.v_proj.bias")
    queryNorm = optional("self_attn.q_norm.weight")
    keyNorm = optional("self_attn.k_norm.weight")
  }
}
