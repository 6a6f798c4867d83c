import Foundation
import Tensor
import Transformer

/// The decoder in plain loops of fp64, for finite differences: no packing, no cache, nothing shared with the real one
/// but the configuration, the parameter table and the rotary frequencies.
struct NaiveDecoder {
  let configuration: ModelConfiguration
  let table: ParameterTable
  var weights: [Double]

  init(_ model: LanguageModel) {
    configuration = model.configuration
    table = model.table
    weights = model.weights[0..<model.table.count].map(Double.init)
  }

  private func matrix(_ name: String) -> (weight: ArraySlice<Double>, shape: [Int])? {
    table[name].map { (weights[$0.range], $0.shape) }
  }

  private func linear(_ x: [Double], _ name: String) -> [Double] {
    let (weight, shape) = matrix(name + ".weight")!
    let bias = matrix(name + ".bias")?.weight
    return (0..<shape[0]).map { n in
      let start = weight.startIndex + n * shape[1]
      return zip(x, weight[start..<start + shape[1]]).reduce(0) { $0 + $1.0 * $1.1 }
        + (bias.map { $0[$0.startIndex + n] } ?? 0)
    }
  }

  private func norm(_ x: [Double], _ name: String) -> [Double] {
    let mean = x.reduce(0) { $0 + $1 * $1 } / Double(x.count)
    let scale = 1 / (mean + Double(configuration.rmsNormEpsilon)).squareRoot()
    return zip(x, matrix(name + ".weight")!.weight).map { $0 * scale * $1 }
  }

  /// The heads of a row, normed if the model has such a norm, turned by their position.
  private func heads(_ x: [Double], norm name: String, position: Int) -> [[Double]] {
    let D = configuration.headWidth
    return stride(from: 0, to: x.count, by: D).map { start in
      var head = Array(x[start..<start + D])
      if configuration.queryKeyNorm { head = norm(head, name) }
      return (0..<D).map { d in
        let pair = d % (D / 2)
        let angle = Double(position) * pow(configuration.ropeTheta, -2 * Double(pair) / Double(D))
        return d < D / 2
          ? head[pair] * cos(angle) - head[pair + D / 2] * sin(angle)
          : head[pair + D / 2] * cos(angle) + head[pair] * sin(angle)
      }
    }
  }

  /// Final-norm hidden states of one sequence.
  func hidden(_ tokens: [Int32]) -> [[Double]] {
    let c = configuration
    let D = c.headWidth
    let embedding = matrix("model.embed_tokens.weight")!.weight
    var x = tokens.map { Array(embedding[Int($0) * c.hiddenSize..<(Int($0) + 1) * c.hiddenSize]) }
    for layer in 0..<c.layerCount {
      let p = "model.layers.\(layer)."
      let normed = x.map { norm($0, p + "input_layernorm") }
      let queries = normed.enumerated().map {
        heads(linear($1, p + "self_attn.q_proj"), norm: p + "self_attn.q_norm", position: $0)
      }
      let keys = normed.enumerated().map {
        heads(linear($1, p + "self_attn.k_proj"), norm: p + "self_attn.k_norm", position: $0)
      }
      let values = normed.map { linear($0, p + "self_attn.v_proj") }
      for row in x.indices {
        var attended: [Double] = []
        for head in 0..<c.headCount {
          let shared = head / (c.headCount / c.keyValueHeadCount)
          let scores = (0...row).map { other in
            zip(queries[row][head], keys[other][shared]).reduce(0) { $0 + $1.0 * $1.1 } / Double(D).squareRoot()
          }
          let p = softmax(scores)
          attended += (0..<D).map { d in (0...row).reduce(0) { $0 + p[$1] * values[$1][shared * D + d] } }
        }
        x[row] = zip(x[row], linear(attended, p + "self_attn.o_proj")).map(+)
      }
      for row in x.indices {
        let m = norm(x[row], p + "post_attention_layernorm")
        let gated = zip(linear(m, p + "mlp.gate_proj"), linear(m, p + "mlp.up_proj")).map { $0 / (1 + exp(-$0)) * $1 }
        x[row] = zip(x[row], linear(gated, p + "mlp.down_proj")).map(+)
      }
    }
    return x.map { norm($0, "model.norm") }
  }

  private func softmax(_ x: [Double]) -> [Double] {
    let maximum = x.max()!
    let e = x.map { exp($0 - maximum) }
    let sum = e.reduce(0, +)
    return e.map { $0 / sum }
  }

  /// sum(c_logprob * logprob + c_entropy * entropy) + sum(c_value * value), and the log-probs.
  func loss(
    _ batch: PackedTokens, _ targets: [Target], _ coefficients: [TargetCoefficients], _ cValues: [Float]
  ) -> (loss: Double, logProbs: [Double]) {
    let hidden = batch.sequences.flatMap { self.hidden(Array(batch.tokens[$0.rows])) }
    let head = configuration.tiedHead ? "model.embed_tokens" : "lm_head"
    var loss = 0.0
    var logProbs: [Double] = []
    for (target, coefficient) in zip(targets, coefficients) {
      let logits = linear(hidden[target.row], head).map { $0 / Double(target.temperature) }
      let ids = target.kept ?? (0..<Int32(logits.count)).map { $0 }
      let p = softmax(ids.map { logits[Int($0)] })
      logProbs.append(log(p[ids.firstIndex(of: target.token)!]))
      let entropy = -p.reduce(0) { $0 + $1 * log($1) }
      loss += Double(coefficient.logProb) * logProbs.last! + Double(coefficient.entropy) * entropy
    }
    for (row, c) in cValues.enumerated() { loss += Double(c) * linear(hidden[row], "value_head")[0] }
    return (loss, logProbs)
  }
}
