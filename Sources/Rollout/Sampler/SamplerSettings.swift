import Transformer

/// How responses are sampled: the `sampling` section of a configuration, and what keys the draws of one step.
@dynamicMemberLookup
public struct SamplerSettings: Codable, Sendable, Equatable {
  /// The distribution that tokens are drawn from: `temperature`, `top_p`, `top_k`.
  public var distribution: SamplingSettings
  /// The longest response in tokens, tool and hint tokens included.
  public var maxTokens: Int
  /// The most blocks of code that one response may have executed.
  public var maxCalls: Int
  /// How the model calls its interpreter.
  public var tools: ToolFormats
  /// Keys every draw, together with `step`, the problem's id, the sample and the token's position. The run sets both;
  /// they are no keys of the section.
  public var seed: UInt64
  /// Keys every draw, as `seed` does.
  public var step: UInt64

  /// The defaults are the configuration's.
  public init(
    _ distribution: SamplingSettings = SamplingSettings(), seed: UInt64 = 0, step: UInt64 = 0, maxTokens: Int = 2048,
    maxCalls: Int = 12, tools: ToolFormats = .python
  ) {
    self.distribution = distribution
    self.seed = seed
    self.step = step
    self.maxTokens = maxTokens
    self.maxCalls = maxCalls
    self.tools = tools
  }

  /// `temperature`, `topP` and `topK` of the distribution.
  public subscript<Value>(dynamicMember member: WritableKeyPath<SamplingSettings, Value>) -> Value {
    get { distribution[keyPath: member] }
    set { distribution[keyPath: member] = newValue }
  }

  enum CodingKeys: String, CodingKey {
    case maxTokens = "max_tokens"
    case maxCalls = "max_calls"
    case tools
  }

  public init(from decoder: any Decoder) throws {
    self.init(try SamplingSettings(from: decoder))
    let values = try decoder.container(keyedBy: CodingKeys.self)
    maxTokens = try values.decode(Int.self, forKey: .maxTokens)
    maxCalls = try values.decode(Int.self, forKey: .maxCalls)
    tools = try values.decode(ToolFormats.self, forKey: .tools)
  }

  /// One flat object.
  public func encode(to encoder: any Encoder) throws {
    try distribution.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(maxTokens, forKey: .maxTokens)
    try values.encode(maxCalls, forKey: .maxCalls)
    try values.encode(tools, forKey: .tools)
  }
}
