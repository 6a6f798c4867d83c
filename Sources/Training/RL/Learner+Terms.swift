import PPO
import Transformer

/// The targets of one micro-batch, and whose they are.
struct MicroBatchTargets {
  /// A target's sample in the update batch, and its place in that sample's response region.
  struct Place {
    let sample: Int
    let token: Int
  }

  var all: [Target] = []
  var places: [Place] = []

  init(_ samples: [LearningSample], _ batch: Range<Int>, _ packed: PackedTokens) {
    for (sequence, index) in batch.enumerated() {
      for (place, target) in samples[index].targets {
        var target = target
        target.row = packed.row(sequence, target.row)
        all.append(target)
        places.append(Place(sample: index, token: place))
      }
    }
  }

  /// Coefficients of a loss that looks at whole responses.
  func coefficients(
    _ scores: TargetScores, _ samples: [LearningSample], _ weights: [Double], _ objective: PolicyObjective,
    _ metrics: inout PolicyMetrics
  ) -> [TargetCoefficients] {
    var result: [TargetCoefficients] = []
    var start = 0
    while start < places.count {
      let index = places[start].sample
      let sample = samples[index]
      var end = start
      var logProbs = [Float](repeating: 0, count: sample.policy.responseMask.count)
      var entropies = logProbs
      while end < places.count, places[end].sample == index {
        logProbs[places[end].token] = scores.logProbs[end]
        entropies[places[end].token] = scores.entropies[end]
        end += 1
      }
      let tokens = objective.sequence(
        sample.policy, logProbs: logProbs, entropies: entropies, advantages: sample.advantages, weight: weights[index],
        corrections: sample.corrections)
      for place in places[start..<end] {
        let token = tokens[place.token]
        metrics.add(
          token, logProb: logProbs[place.token], entropy: entropies[place.token],
          oldLogProb: sample.policy.oldLogProbs[place.token])
        result.append(TargetCoefficients(logProb: Float(token.dLogProb), entropy: Float(token.dEntropy)))
      }
      start = end
    }
    return result
  }
}
