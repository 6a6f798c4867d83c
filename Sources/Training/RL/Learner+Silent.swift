import PPO

extension Learner {
  /// Whether nothing of the sample's loss reaches a weight, whatever its log-probs are now: it has no token in the
  /// loss, or all its coefficients are 0 (equal rewards in its group) and nothing else is fitted to it.
  ///
  /// Such a sample counts in every denominator, but it does not go through the model.
  func isSilent(_ sample: LearningSample) -> Bool {
    if model.configuration.valueHead, sample.returns != nil, sample.policy.tokenCount > 0 { return false }
    if loss.observationCoef != 0, !sample.observations.isEmpty { return false }
    if sample.teacher != nil, sample.policy.tokenCount > 0 { return false }
    return objective.vanishes(sample.policy, advantages: sample.advantages)
  }

  /// Gives the result of an update on the `chosen` ones of `samples` one entry for each of `samples`, and the figures
  /// of the others, which come from the sampler's record.
  func record(_ chosen: [Int], of samples: [LearningSample], in result: inout UpdateResult) {
    var logProbs = [[Float]?](repeating: nil, count: samples.count)
    for (place, index) in chosen.enumerated() { logProbs[index] = result.logProbs[place] }
    result.logProbs = logProbs
    for (sample, found) in zip(samples, logProbs) where found == nil {
      for token in sample.policy.responseMask.indices where sample.policy.responseMask[token] {
        result.metrics.addUnseen(oldLogProb: sample.policy.oldLogProbs[token])
      }
    }
    if result.skipped > 0 { onMicroBatch(result.skipped) }
  }
}
