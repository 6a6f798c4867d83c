import PPO
import Rollout
import Transformer

/// Episodes as the losses see them.
enum Experience {
  /// - Parameter group: the number its prompt's samples share.
  static func sample(_ episode: Episode, group: Int) -> LearningSample {
    let start = episode.promptCount
    let authors = episode.authorsByToken[start...]
    let mask = authors.map { $0 == .model }
    let logProbs = episode.logProbs[start...].map { $0 ?? 0 }
    return LearningSample(
      tokens: episode.tokens, responseStart: start,
      policy: PolicySample(
        group: group, reward: episode.reward?.total ?? .nan, responseMask: mask, oldLogProbs: logProbs),
      advantages: [Double](repeating: 0, count: mask.count), temperature: episode.sampling?.temperature ?? 1,
      kept: episode.kept.map { Array($0[start...]) })
  }

  /// One sample an episode; episodes of one problem share a group, numbered by first occurrence.
  static func samples(_ episodes: [Episode]) -> [LearningSample] {
    var groups: [String: Int] = [:]
    return episodes.map { episode in
      let group = groups[episode.id] ?? groups.count
      groups[episode.id] = group
      return sample(episode, group: group)
    }
  }

  /// What keeps an episode from being learnt from; nil: nothing.
  static func defect(_ episode: Episode, model: ModelConfiguration) -> String? {
    if let defect = episode.defect { return defect }
    if episode.tokens.count > model.contextLength {
      return "\(episode.tokens.count) tokens, but the model's context holds \(model.contextLength)"
    }
    if let bad = episode.tokens.first(where: { $0 < 0 || $0 >= model.vocabularySize }) {
      return "token \(bad) is outside of the vocabulary of \(model.vocabularySize)"
    }
    if episode.promptCount == 0 { return "there is no prompt" }
    return nil
  }

  /// Spreads numbers of masked tokens, in order, over the response region.
  static func spread(_ values: [Float], over mask: [Bool]) -> [Float] {
    var next = values.makeIterator()
    return mask.map { $0 ? next.next() ?? 0 : 0 }
  }
}
