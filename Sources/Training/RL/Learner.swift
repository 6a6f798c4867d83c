import Cluster
import Foundation
import PPO
import Tensor
import Transformer

/// One sequence of an update batch, with all that its loss needs.
package struct LearningSample {
  var tokens: [Int32]
  /// The response region begins here; the arrays of `policy`, `advantages` and `corrections` cover what follows.
  var responseStart: Int
  package var policy: PolicySample
  package var advantages: [Double]
  var corrections: [Double]?
  /// What the value head is fitted to; nil without a critic.
  var returns: [Double]?
  var temperature: Float = 1
  /// By response token, the ids a filter kept when it was drawn; nil: no filter.
  var kept: [[Int32]?]?

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

  /// How many tokens neighbours may have in common: the prompt without its last token, whose row is asked for the first
  /// draw.
  var prefixLength: Int { max(0, responseStart - 1) }

  /// What the log-prob head is asked for; rows count from the sequence's first token.
  var targets: [(place: Int, target: Target)] {
    policy.responseMask.indices.filter { policy.responseMask[$0] }.map { t in
      let position = responseStart + t
      return (
        t, Target(row: position - 1, token: tokens[position], temperature: temperature, kept: kept?[t])
      )
    }
  }
}

/// What an update did.
package struct UpdateResult {
  var metrics = PolicyMetrics()
  var valueLoss = 0.0
  var gradientNorm = 0.0
  var learningRate = 0.0
  /// Tokens that went through the model.
  var tokens = 0
  /// By sample, the log-probs of its masked tokens in order, before the update.
  var logProbs: [[Float]] = []
}

/// Computes gradients of update batches and steps the optimizer.
///
/// The loss's denominators are counts over the whole update batch, fixed before the first backward pass, so it does not
/// matter how the batch is cut into micro-batches (to the last bit with `matmul: exact`).
package final class Learner {
  let model: LanguageModel
  let pool: WorkerPool
  let pass: TrainingPass
  package let gradients: FloatBuffer
  let optimizer: Optimizer
  let loss: LossSettings
  let objective: PolicyObjective
  let microBatchTokens: Int
  /// Whether a prompt that neighbours have in common goes through the model once. Sums over rows then depend on where a
  /// batch is cut, which `exact` promises not to show.
  let sharesPrompts: Bool
  let gradientShards: Int
  /// Called before weights and moments change.
  var beforeUpdate: () throws -> Void = {}
  /// Called after each micro-batch with the number of its samples.
  var onMicroBatch: (Int) -> Void = { _ in }
  /// As in `TrainingPass`.
  package var timer: PartTimer? { didSet { pass.timer = timer } }
  private let cluster: any Cluster
  private let spareBuffers = SpareBuffers()

  package init(model: LanguageModel, configuration: Configuration, pool: WorkerPool) {
    self.model = model
    self.pool = pool
    gradients = FloatBuffer(count: model.table.trainable.count)
    pass = TrainingPass(
      model: model, gradients: gradients, matmul: configuration.matmul, recomputes: configuration.recompute == .layers,
      pool: pool)
    optimizer = Optimizer(settings: configuration.optimizer, parameterCount: gradients.count)
    loss = configuration.loss
    objective = configuration.loss.makeObjective()
    microBatchTokens = configuration.microBatchTokens
    sharesPrompts = configuration.sharesPrompts
    gradientShards = configuration.gradientShards
    cluster = VirtualCluster(size: configuration.ranks)
  }

  /// One optimizer step on `samples`. `weights`: each sample's token weight, from `Aggregation`.
  /// - Throws: `MartletError` (data) when the gradient is not finite; the weights are then as before.
  package func update(_ samples: [LearningSample], weights: [Double], totalSteps: Int) throws -> UpdateResult {
    precondition(samples.count == weights.count, "\(samples.count) samples, but \(weights.count) weights")
    var result = UpdateResult()
    result.logProbs = [[Float]](repeating: [], count: samples.count)
    gradients.zero()
    let lengths = samples.map(\.tokens.count)
    let shared = sharesPrompts ? Self.sharedCounts(samples) : nil
    let trees = cluster.ranks.map { rank in
      var tree = GradientTree(count: gradients.count, spare: spareBuffers)
      for shard in cluster.parts(of: rank, count: gradientShards) {
        let range = samples.count * shard / gradientShards..<samples.count * (shard + 1) / gradientShards
        for batch in Self.microBatches(lengths, shared: shared, range, budget: microBatchTokens) {
          accumulate(batch, samples, weights, &result)
          onMicroBatch(batch.count)
        }
        pass.finishGradients()
        if gradientShards > 1 { tree.push(gradients, index: shard) }
      }
      return tree
    }
    if gradientShards > 1 { cluster.sum(trees, into: gradients) }
    timer?.begin(.checkpoint)
    try beforeUpdate()
    timer?.begin(.optimizer)
    (result.gradientNorm, result.learningRate) = try optimizer.update(
      weights: model.trainableWeights, gradients: gradients, totalSteps: totalSteps, pool: pool)
    timer?.begin(.other)
    pass.weightsChanged()
    return result
  }

  /// How many tokens each sample has in common with the one before it.
  static func sharedCounts(_ samples: [LearningSample]) -> [Int] {
    samples.indices.map { index in
      guard index > 0 else { return 0 }
      let (before, own) = (samples[index - 1], samples[index])
      return PackedTokens.sharedCount((before.tokens, before.prefixLength), (own.tokens, own.prefixLength))
    }
  }

  /// Neighbouring samples that take `budget` rows at most when packed; a longer sample stands alone.
  /// - Parameter shared: how many rows each sample need not have because the one before it has them; nil: none.
  static func microBatches(_ lengths: [Int], shared: [Int]? = nil, _ range: Range<Int>, budget: Int) -> [Range<Int>] {
    var batches: [Range<Int>] = []
    var start = range.lowerBound
    var tokens = 0
    for index in range {
      let size = lengths[index] - (index > start ? shared?[index] ?? 0 : 0)
      if index > start, tokens + size > budget {
        batches.append(start..<index)
        start = index
        tokens = lengths[index]
        continue
      }
      tokens += size
    }
    if start < range.upperBound { batches.append(start..<range.upperBound) }
    return batches
  }

  /// The tokens of neighbouring samples, laid out for the model.
  private static func pack(_ samples: ArraySlice<LearningSample>, sharing: Bool) -> PackedTokens {
    PackedTokens(samples.map(\.tokens), prefixLengths: samples.map { sharing ? $0.prefixLength : 0 })
  }

  /// Forward and backward of one micro-batch; adds to the gradients.
  private func accumulate(
    _ batch: Range<Int>, _ samples: [LearningSample], _ weights: [Double], _ result: inout UpdateResult
  ) {
    let packed = Self.pack(samples[batch], sharing: sharesPrompts)
    let targets = MicroBatchTargets(samples, batch, packed)
    pass.forward(packed)
    result.tokens += packed.tokens.count
    var metrics = result.metrics
    let scores: TargetScores
    if objective.requiresSequence {
      scores = pass.score(targets.all)
      let coefficients = targets.coefficients(scores, samples, weights, objective, &metrics)
      pass.scoreAndBackpropagate(targets.all) { range, _, _ in Array(coefficients[range]) }
    } else {
      scores = pass.scoreAndBackpropagate(targets.all) { range, logProbs, entropies in
        range.map { index in
          let place = targets.places[index]
          let sample = samples[place.sample]
          let token = objective.token(
            logProb: logProbs[index], entropy: entropies[index], oldLogProb: sample.policy.oldLogProbs[place.token],
            refLogProb: sample.policy.refLogProbs?[place.token], advantage: sample.advantages[place.token],
            weight: weights[place.sample], correction: sample.corrections?[place.token] ?? 1)
          metrics.add(
            token, logProb: logProbs[index], entropy: entropies[index],
            oldLogProb: sample.policy.oldLogProbs[place.token])
          return TargetCoefficients(logProb: Float(token.dLogProb), entropy: Float(token.dEntropy))
        }
      }
    }
    result.metrics = metrics
    for (index, place) in targets.places.enumerated() { result.logProbs[place.sample].append(scores.logProbs[index]) }
    if model.configuration.valueHead { fitValues(targets, samples, weights, &result) }
    pass.backward()
  }

  /// The critic's part of the loss, at the rows whose next token the policy wrote.
  private func fitValues(
    _ targets: MicroBatchTargets, _ samples: [LearningSample], _ weights: [Double], _ result: inout UpdateResult
  ) {
    let fitted = targets.places.indices.filter { samples[targets.places[$0].sample].returns != nil }
    guard !fitted.isEmpty else { return }
    let rows = fitted.map { targets.all[$0].row }
    let values = pass.values(rows: rows)
    let valueLoss = loss.valueLoss
    var slopes = [Float](repeating: 0, count: rows.count)
    for (index, target) in fitted.enumerated() {
      let place = targets.places[target]
      let sample = samples[place.sample]
      guard let returns = sample.returns, let old = sample.policy.values else { continue }
      let token = valueLoss.token(
        value: Double(values[index]), oldValue: Double(old[place.token]), target: returns[place.token])
      result.valueLoss += weights[place.sample] * token.loss
      slopes[index] = Float(loss.valueCoef * weights[place.sample] * token.dValue)
    }
    pass.backpropagateValues(rows: rows, dValues: slopes)
  }

  /// Log-probs (and values, with a value head) of each sample's masked tokens under the model as it is now.
  static func score(
    _ samples: [LearningSample], pass: TrainingPass, microBatchTokens: Int, values wanted: Bool = false
  ) -> (logProbs: [[Float]], values: [[Float]]) {
    var logProbs = [[Float]](repeating: [], count: samples.count)
    var values = [[Float]](repeating: [], count: samples.count)
    // Sharing changes no bit of a forward pass.
    let (lengths, shared) = (samples.map(\.tokens.count), sharedCounts(samples))
    for batch in microBatches(lengths, shared: shared, samples.indices, budget: microBatchTokens) {
      let packed = pack(samples[batch], sharing: true)
      let targets = MicroBatchTargets(samples, batch, packed)
      pass.forward(packed)
      let scores = pass.score(targets.all)
      for (index, place) in targets.places.enumerated() { logProbs[place.sample].append(scores.logProbs[index]) }
      if wanted {
        let found = pass.values(rows: targets.all.map(\.row))
        for (index, place) in targets.places.enumerated() { values[place.sample].append(found[index]) }
      }
    }
    return (logProbs, values)
  }
}
