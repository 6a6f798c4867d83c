import Tensor

/// The shape of a decoder: everything that fixes its parameter table and its forward pass.
///
/// Coded in snake_case, so that a YAML `model:` block can describe a model to be trained from random weights. Only
/// `architecture`, `hidden_size`, `intermediate_size`, `layer_count`, `head_count` and `vocabulary_size` are required
/// there.
public struct ModelConfiguration: Codable, Sendable, Equatable {
  /// The decoder families that are known. They differ in biases and in the norm of queries and keys only.
  public enum Architecture: String, Codable, Sendable, CaseIterable {
    /// Qwen2 and Qwen2.5: biases on the query, key and value projections.
    case qwen2
    /// Qwen3: RMSNorm over each head of the queries and keys.
    case qwen3
    /// Llama 2 and 3: neither.
    case llama
  }

  /// How many heads attention has, and how wide they are.
  public struct Heads: Sendable, Equatable {
    /// H, the number of query heads.
    public var count: Int
    /// K, the number of key/value heads; nil: H.
    public var keyValueCount: Int?
    /// D, the width of one head; nil: C / H.
    public var width: Int?

    /// `count` query heads, with as many key/value heads and a width of C / H where nothing else is said.
    public init(_ count: Int, keyValue: Int? = nil, width: Int? = nil) {
      self.count = count
      keyValueCount = keyValue
      self.width = width
    }
  }

  /// The family.
  public var architecture: Architecture
  /// C, the width of the residual stream.
  public var hiddenSize: Int
  /// F, the width of the gated MLP.
  public var intermediateSize: Int
  /// L, the number of decoder layers.
  public var layerCount: Int
  /// H, the number of query heads.
  public var headCount: Int
  /// K, the number of key/value heads; it divides H.
  public var keyValueHeadCount: Int
  /// D, the width of one head; even, because rotary embedding turns pairs.
  public var headWidth: Int
  /// V, the number of rows of the embedding table.
  public var vocabularySize: Int
  /// The longest sequence in tokens.
  public var contextLength: Int
  /// What every norm adds to the mean of squares.
  public var rmsNormEpsilon: Float = 1e-6
  /// The base of the rotary frequencies.
  public var ropeTheta: Double = 10_000
  /// How the rotary frequencies are stretched for a longer context; nil: not at all.
  public var ropeScaling: RotaryScaling?
  /// Whether the log-prob head is the embedding table itself.
  public var tiedHead: Bool
  /// Whether a bias-free linear layer from the final norm to one number a row is there (PPO's critic).
  public var valueHead = false
  /// Low-rank adapters beside the matrices while they are trained; nil: every weight is trained.
  public var adapters: LowRankAdapters?
  /// Ids that end a response.
  public var stopTokens: [Int32] = []
  /// The id that begins a text (BOS); nil: none does.
  public var beginToken: Int32?

  /// Biases on the query, key and value projections.
  public var attentionBias: Bool { architecture == .qwen2 }
  /// RMSNorm over each head of the queries and keys, before rotary embedding.
  public var queryKeyNorm: Bool { architecture == .qwen3 }
  /// Width of all query heads together, H * D.
  public var queryWidth: Int { headCount * headWidth }
  /// Width of all key (or value) heads together, K * D.
  public var keyValueWidth: Int { keyValueHeadCount * headWidth }

  /// A shape with the usual values for everything else, which can be set afterwards.
  public init(
    architecture: Architecture, hiddenSize: Int, intermediateSize: Int, layerCount: Int, heads: Heads,
    vocabularySize: Int, contextLength: Int = 2048, tiedHead: Bool = true
  ) {
    self.architecture = architecture
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.layerCount = layerCount
    headCount = heads.count
    keyValueHeadCount = heads.keyValueCount ?? heads.count
    headWidth = heads.width ?? (heads.count > 0 ? hiddenSize / heads.count : 0)
    self.vocabularySize = vocabularySize
    self.contextLength = contextLength
    self.tiedHead = tiedHead
  }

  /// The snake_case keys of the coded form.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case architecture
    case hiddenSize = "hidden_size"
    case intermediateSize = "intermediate_size"
    case layerCount = "layer_count"
    case headCount = "head_count"
    case keyValueHeadCount = "key_value_head_count"
    case headWidth = "head_width"
    case vocabularySize = "vocabulary_size"
    case contextLength = "context_length"
    case rmsNormEpsilon = "rms_norm_epsilon"
    case ropeTheta = "rope_theta"
    case ropeScaling = "rope_scaling"
    case tiedHead = "tied_head"
    case valueHead = "value_head"
    case adapters
    case stopTokens = "stop_tokens"
    case beginToken = "begin_token"
  }

  /// Absent keys that are not required take the values of the plain `init`; the shape is checked.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let hiddenSize = try values.decode(Int.self, forKey: .hiddenSize)
    let headCount = try values.decode(Int.self, forKey: .headCount)
    let headWidth = try values.decodeIfPresent(Int.self, forKey: .headWidth)
    if headWidth == nil, headCount < 1 || hiddenSize % max(headCount, 1) != 0 {
      throw DecodingError.dataCorruptedError(
        forKey: .headCount, in: values,
        debugDescription: "hidden_size \(hiddenSize) is not a multiple of head_count \(headCount); set head_width")
    }
    let keyValue = try values.decodeIfPresent(Int.self, forKey: .keyValueHeadCount)
    self.init(
      architecture: try values.decode(Architecture.self, forKey: .architecture), hiddenSize: hiddenSize,
      intermediateSize: try values.decode(Int.self, forKey: .intermediateSize),
      layerCount: try values.decode(Int.self, forKey: .layerCount),
      heads: Heads(headCount, keyValue: keyValue, width: headWidth),
      vocabularySize: try values.decode(Int.self, forKey: .vocabularySize))
    contextLength = try values.decodeIfPresent(Int.self, forKey: .contextLength) ?? contextLength
    rmsNormEpsilon = try values.decodeIfPresent(Float.self, forKey: .rmsNormEpsilon) ?? rmsNormEpsilon
    ropeTheta = try values.decodeIfPresent(Double.self, forKey: .ropeTheta) ?? ropeTheta
    ropeScaling = try values.decodeIfPresent(RotaryScaling.self, forKey: .ropeScaling)
    tiedHead = try values.decodeIfPresent(Bool.self, forKey: .tiedHead) ?? tiedHead
    valueHead = try values.decodeIfPresent(Bool.self, forKey: .valueHead) ?? valueHead
    adapters = try values.decodeIfPresent(LowRankAdapters.self, forKey: .adapters)
    stopTokens = try values.decodeIfPresent([Int32].self, forKey: .stopTokens) ?? stopTokens
    beginToken = try values.decodeIfPresent(Int32.self, forKey: .beginToken)
    if let problem = self.problem {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "\(problem.key): \(problem.message)"))
    }
  }

  /// The first thing that makes this shape impossible, by its coded key; nil when a model can be built.
  public var problem: (key: String, message: String)? {
    let sizes: [(CodingKeys, Int)] = [
      (.hiddenSize, hiddenSize), (.intermediateSize, intermediateSize), (.layerCount, layerCount),
      (.headCount, headCount), (.keyValueHeadCount, keyValueHeadCount), (.headWidth, headWidth),
      (.vocabularySize, vocabularySize), (.contextLength, contextLength),
    ]
    for (key, size) in sizes where size < 1 || size > 1 << 30 {
      return (key.rawValue, "\(size) is not between 1 and 2^30")
    }
    // Far beyond any model, and small enough that no size worked out from them overflows.
    let (c, q, kv) = (
      Double(hiddenSize), Double(headCount) * Double(headWidth), Double(headWidth) * Double(keyValueHeadCount)
    )
    let layer = 2 * c * (q + kv) + 3 * c * Double(intermediateSize)
    if layerCount > 1 << 14 || Double(layerCount) * (c + q + kv + Double(intermediateSize)) > 0x1p28
      || 2 * c * Double(vocabularySize) + Double(layerCount) * layer > 0x1p46
    {
      return (
        CodingKeys.layerCount.rawValue,
        "\(layerCount) layers of hidden_size \(hiddenSize), intermediate_size \(intermediateSize), "
          + "\(headCount) heads of \(headWidth) and \(vocabularySize) words are no model that can be built"
      )
    }
    if headCount % keyValueHeadCount != 0 {
      return (
        CodingKeys.keyValueHeadCount.rawValue,
        "\(headCount) query heads cannot share \(keyValueHeadCount) key/value heads evenly; use a divisor of the heads"
      )
    }
    if headWidth % 2 != 0 {
      return (CodingKeys.headWidth.rawValue, "\(headWidth) is odd, but rotary embedding turns pairs of columns")
    }
    if !(rmsNormEpsilon > 0 && rmsNormEpsilon.isFinite) {
      return (CodingKeys.rmsNormEpsilon.rawValue, "\(rmsNormEpsilon) is not a positive number")
    }
    if !(ropeTheta > 0 && ropeTheta.isFinite) {
      return (CodingKeys.ropeTheta.rawValue, "\(ropeTheta) is not a positive number")
    }
    if let adapters, adapters.rank < 1 || adapters.problem != nil {
      return (CodingKeys.adapters.rawValue, adapters.problem ?? "rank \(adapters.rank) is not positive")
    }
    if let defect = ropeScaling?.defect { return (CodingKeys.ropeScaling.rawValue, defect) }
    for token in stopTokens where token < 0 {
      return (CodingKeys.stopTokens.rawValue, "\(token) is not a token id")
    }
    if let beginToken, beginToken < 0 {
      return (CodingKeys.beginToken.rawValue, "\(beginToken) is not a token id")
    }
    return nil
  }
}
