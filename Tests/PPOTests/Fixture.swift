import Foundation
import PPO
import Testing

/// Tests/PPOTests/Fixtures/ppo.json, made by tools/fixtures/ppo.py.
struct Fixture: Decodable {
  struct Inputs: Decodable {
    var groups: [Int]
    var mask: [[Bool]]
    var old, far, near, refMinusLogProb, sampler, byToken, tokenRewards, values, newValues, targets: [[Double]]
    var rows, greedy: [Double]
  }
  struct Options: Decodable {
    var low, high, dual, clamp, cap, positive, negative, beta, penalty: Double?
  }
  struct LossCase: Decodable {
    var name, logProbs, advantages: String
    var options: Options
    var loss, coefficients, coefficientsFp32: [[Double]]
  }
  struct KLCase: Decodable {
    var kind: KLKind
    var differenceClamp, valueClamp: Double
    var importance: Bool
    var value, derivative: [[Double]]
  }
  struct AdvantageCase: Decodable {
    var name, tokenRewards: String
    var rewards: [Double?]
    var expected: [String: [[Double]]]
  }
  struct CorrectionCase: Decodable {
    var kind: CorrectionKind
    var factors: [[Double]]
  }
  struct ValueCase: Decodable {
    var clip: Double?
    var loss, derivative: [[Double]]
  }
  struct TRLCase: Decodable {
    var lossType, level, logProbs: String
    var beta, low, high, loss: Double
    var delta: Double?
    var klImportance: Bool
    var gradient: [[Double]]
  }
  var inputs: Inputs
  var losses: [LossCase]
  var kl: [KLCase]
  var advantages: [AdvantageCase]
  var corrections: [CorrectionCase]
  var aggregation: [String: [[Double]]]
  var values: [ValueCase]
  var trl: [TRLCase]

  static func load() throws -> Fixture {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/ppo", withExtension: "json"))
    let decoder = JSONDecoder()
    // Keys of dictionaries (estimators, aggregations) are names and stay as they are; only ours are converted below.
    decoder.keyDecodingStrategy = .custom { path in
      let key = path.last!.stringValue
      let inDictionary = path.count > 1 && ["expected", "aggregation"].contains(path[path.count - 2].stringValue)
      if inDictionary { return path.last! }
      let parts = key.split(separator: "_")
      return Name(parts[0] + parts.dropFirst().map(\.capitalized).joined())
    }
    return try decoder.decode(Fixture.self, from: Data(contentsOf: url))
  }

  private struct Name: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
  }

  /// The numbers with NaN wherever the mask is false: nothing there may be read.
  func hidden(_ x: [[Double]]) -> [[Double]] {
    zip(x, inputs.mask).map { zip($0, $1).map { $1 ? $0 : .nan } }
  }

  func logProbs(_ name: String) -> [[Double]] { hidden(name == "far" ? inputs.far : inputs.near) }

  func samples(rewards: [Double], tokenRewards: Bool = false) -> [PolicySample] {
    func floats(_ x: [Double]) -> [Float] { x.map(Float.init) }
    let old = hidden(inputs.old)
    let sampler = hidden(inputs.sampler)
    let extra = hidden(inputs.tokenRewards)
    return inputs.groups.indices.map { i -> PolicySample in
      var sample = PolicySample(
        group: inputs.groups[i], reward: rewards[i], responseMask: inputs.mask[i], oldLogProbs: floats(old[i]),
        refLogProbs: nil, samplerLogProbs: floats(sampler[i]), values: floats(inputs.values[i]),
        tokenRewards: tokenRewards ? extra[i] : nil)
      sample.greedyReward = inputs.greedy[i]
      return sample
    }
  }
}

/// Element by element, relative to the expected size, finite on both sides.
func expectClose(
  _ actual: [[Double]], _ expected: [[Double]], _ what: String, tolerance: Double = 1e-12,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(actual.map(\.count) == expected.map(\.count), "\(what): shapes differ", sourceLocation: sourceLocation)
  for (i, (a, e)) in zip(actual, expected).enumerated() {
    for (t, (x, y)) in zip(a, e).enumerated() {
      let fine = x.isFinite && y.isFinite && abs(x - y) <= tolerance * abs(y) + 0.02 * tolerance
      if !fine { Issue.record("\(what) [\(i)][\(t)]: \(x), expected \(y)", sourceLocation: sourceLocation) }
    }
  }
}
