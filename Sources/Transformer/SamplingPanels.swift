import Tensor

/// Matrices in the form that a sampler multiplies with, instead of rows of fp32. A reader fills them, and nobody
/// changes them afterwards.
package final class SamplingPanels: @unchecked Sendable {
  private let matrices: [String: PackedWeights]
  private let places: [String: Int]
  private let memory: FloatBuffer

  /// Room for those parameters of `table` that are matrices and named in `narrow`, in its order.
  /// - Parameter narrow: whether they are held in 16 bits, which bfloat16's numbers alone can be.
  package init(_ table: ParameterTable, narrow: [String: Bool]) {
    var places: [String: Int] = [:]
    var next = 0
    let held = table.parameters.filter { $0.isMatrix && narrow[$0.name] != nil }
    for parameter in held {
      places[parameter.name] = next
      let floats = PackedWeights.floatCount(
        outputs: parameter.shape[0], inputs: parameter.shape[1], narrow: narrow[parameter.name] == true)
      next += (floats + 15) / 16 * 16
    }
    let memory = FloatBuffer(count: next)
    self.memory = memory
    self.places = places
    matrices = Dictionary(
      uniqueKeysWithValues: held.map { parameter in
        let packed = PackedWeights(
          storage: UnsafeRawPointer(memory.pointer + places[parameter.name, default: 0]),
          format: narrow[parameter.name] == true ? .bfloat16 : .float32, outputs: parameter.shape[0],
          inputs: parameter.shape[1])
        return (parameter.name, packed)
      })
  }

  /// Where the panels of a matrix go; nil: it is not held here.
  package func storage(_ name: String) -> (pointer: UnsafeMutablePointer<Float>, isNarrow: Bool)? {
    guard let packed = matrices[name], let place = places[name] else { return nil }
    return (memory.pointer + place, packed.format == .bfloat16)
  }

  /// The panels of a matrix; nil: it is not held here.
  subscript(name: String) -> PackedWeights? { matrices[name] }
}

extension Parameter {
  /// Whether it is multiplied with rows of activations, or read by rows as the table of embeddings.
  fileprivate var isMatrix: Bool {
    name.hasSuffix("_proj.weight") || name == "model.embed_tokens.weight" || name == "lm_head.weight"
  }
}
