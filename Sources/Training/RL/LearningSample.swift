import PPO
import Rollout
import Transformer

/// One sequence of an update batch, with everything that its loss reads.
package struct LearningSample {
  var tokens: [Int32]
  /// Index of the first response token. `policy`, `advantages` and `corrections` have one entry for each token from
  /// here on.
  var responseStart: Int
  /// Group, reward, mask and log-probs of the response.
  package var policy: PolicySample
  /// For each response token.
  package var advantages: [Double]
  /// Indices in the response of the tools' tokens, which `loss.observation_coef` learns to predict.
  var observations: [Int] = []
  /// Importance weights for log-probs of another sampler; nil: 1 everywhere.
  var corrections: [Double]?
  /// What the value head is fitted to; nil without a critic.
  var returns: [Double]?
  var temperature: Float = 1
  /// For each response token, the ids that top-k or top-p kept when it was drawn; nil: nothing was filtered.
  var kept: [[Int32]?]?
  /// For each response token, the teacher's likeliest tokens, and the weight of the KL to it; nil: no such term.
  var teacher: (views: [TopLogProbs], weights: [Double])?

  /// - Precondition: the arrays have one entry for each token from `responseStart` on.
  package init(
    tokens: [Int32], responseStart: Int, policy: PolicySample, advantages: [Double], corrections: [Double]? = nil,
    returns: [Double]? = nil, temperature: Float = 1, kept: [[Int32]?]? = nil
  ) {
    self.tokens = tokens
    self.responseStart = responseStart
    self.policy = policy
    self.advantages = advantages
    self.corrections = corrections
    self.returns = returns
    self.temperature = temperature
    self.kept = kept
  }

  /// Whether its reward or its teacher say anything about it.
  var isLearntFrom: Bool {
    advantages.contains { $0 != 0 } || (teacher != nil && policy.tokenCount > 0)
  }

  /// How many leading tokens neighbours may share: the prompt without its last token, whose row gives the first draw.
  var prefixLength: Int { max(0, responseStart - 1) }

  /// What the log-prob head is asked for: each masked token's index in the response, with its target. Rows count from
  /// the sequence's first token.
  var targets: [(place: Int, target: Target)] { targets(observations: false) }

  /// The same, in order, with the tools' tokens where `observations` asks for them.
  func targets(observations wanted: Bool) -> [(place: Int, target: Target)] {
    var places = policy.responseMask.indices.filter { policy.responseMask[$0] }
    if wanted, !observations.isEmpty { places = (places + observations).sorted() }
    return places.map { t in
      let position = responseStart + t
      // What a tool returned was not drawn: no temperature and no filter.
      let isDrawn = policy.responseMask[t]
      return (
        t,
        Target(
          row: position - 1, token: tokens[position], temperature: isDrawn ? temperature : 1,
          kept: isDrawn ? kept?[t] : nil)
      )
    }
  }

  /// `values`, one for each masked token in order, as one for each response token; 0 outside the mask.
  func spread(_ values: [Float]) -> [Float] { spread(values, outside: 0) }

  func spread<Value>(_ values: [Value], outside: Value) -> [Value] {
    var next = values.makeIterator()
    return policy.responseMask.map { $0 ? next.next() ?? outside : outside }
  }
}

extension LearningSample {
  /// An episode as the loss sees it: the model's tokens are in the mask, advantages are still 0.
  /// - Parameter group: the number that all samples of its prompt share.
  init(_ episode: Episode, group: Int) {
    let start = episode.promptCount
    let authors = Array(episode.authorsByToken[start...])
    let mask = authors.map { $0 == .model }
    self.init(
      tokens: episode.tokens, responseStart: start,
      policy: PolicySample(
        group: group, reward: episode.reward?.total ?? .nan, responseMask: mask,
        oldLogProbs: episode.logProbs[start...].map { $0 ?? 0 }),
      advantages: [Double](repeating: 0, count: mask.count), temperature: episode.sampling?.temperature ?? 1,
      kept: episode.kept.map { Array($0[start...]) })
    // Where the sandbox failed, its words say nothing about the code.
    if !episode.calls.contains(where: { $0.status == .sandboxError }) {
      observations = authors.indices.filter { authors[$0] == .tool }
    }
  }

  /// One sample for each episode. Episodes of one problem form a group; groups are numbered as they first occur.
  static func samples(_ episodes: [Episode]) -> [LearningSample] {
    var groups: [String: Int] = [:]
    return episodes.map { episode in
      let group = groups[episode.id] ?? groups.count
      groups[episode.id] = group
      return LearningSample(episode, group: group)
    }
  }
}

extension Episode {
  /// Why `model` cannot learn from this episode; nil: it can.
  func defect(for model: ModelConfiguration) -> String? {
    if let defect { return defect }
    if tokens.count > model.contextLength {
      return "\(tokens.count) tokens, but the model's context holds \(model.contextLength)"
    }
    if let bad = tokens.first(where: { $0 < 0 || $0 >= model.vocabularySize }) {
      return "token \(bad) is outside of the vocabulary of \(model.vocabularySize)"
    }
    if promptCount == 0 { return "there is no prompt" }
    return nil
  }
}
