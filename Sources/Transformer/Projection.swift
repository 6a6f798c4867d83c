/// The seven matrices of a decoder layer, by the names that their parameters have.
public enum Projection: String, Codable, Sendable, CaseIterable {
  case query = "q_proj"
  case key = "k_proj"
  case value = "v_proj"
  case output = "o_proj"
  case gate = "gate_proj"
  case up = "up_proj"
  case down = "down_proj"

  /// Its place among all.
  var index: Int {
    switch self {
    case .query: 0
    case .key: 1
    case .value: 2
    case .output: 3
    case .gate: 4
    case .up: 5
    case .down: 6
    }
  }

  /// As in `model.layers.0.<path>.weight`.
  package var path: String {
    switch self {
    case .query, .key, .value, .output: "self_attn." + rawValue
    case .gate, .up, .down: "mlp." + rawValue
    }
  }

  /// A linear layer's matrix is [outputs, inputs].
  func shape(_ c: ModelConfiguration) -> (outputs: Int, inputs: Int) {
    switch self {
    case .query: (c.queryWidth, c.hiddenSize)
    case .key, .value: (c.keyValueWidth, c.hiddenSize)
    case .output: (c.hiddenSize, c.queryWidth)
    case .gate, .up: (c.intermediateSize, c.hiddenSize)
    case .down: (c.hiddenSize, c.intermediateSize)
    }
  }
}
