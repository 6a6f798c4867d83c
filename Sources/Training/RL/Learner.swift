import Cluster
import Foundation
import PPO
import Tensor
import Transformer

/// The result of one optimizer step.
package struct UpdateResult {
  var metrics = PolicyMetrics()
  var valueLoss = 0.0
  var gradientNorm = 0.0
  var learningRate = 0.0
  /// How many tokens went through the model.
  var tokens = 0
  /// For each sample, the log-probs of its masked tokens in order, before the update.
  var logProbs: [[Float]] = []
}

/// Computes gradients of update batches and steps the optimizer.
///
/// The denominators of the loss are counts over the whole update batch, fixed before the first backward pass. So it
/// does not matter how the batch is cut into micro-batches (to the last bit with `matmul: exact`).
package final class Learner {
  let model: LanguageModel
  let pool: WorkerPool
  let pass: TrainingPass
  /// One number for each trained weight.
  package let gradients: FloatBuffer
  let optimizer: Optimizer
  let loss: LossSettings
  let objective: PolicyObjective
  let microBatchTokens: Int
  /// Whether a prompt that neighbours share is computed once. Sums over rows then depend on where a batch is cut, which
  /// `exact` must not show.
  let sharesPrompts: Bool
  let gradientShards: Int
  /// Is called before weights and moments change.
  var beforeUpdate: () throws -> Void = {}
  /// Called after each micro-batch with the number of its samples.
  var onMicroBatch: (Int) -> Void = { _ in }
  /// As in `TrainingPass`.
  package var timer: PartTimer? { didSet { pass.timer = timer } }
  private let cluster: any Cluster
  private let spareBuffers = SpareBuffers()

  /// A learner of `model`, whose weights it changes.
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

  /// Takes one optimizer step on `samples`.
  /// - Parameter weights: the weight of each sample's tokens, from `Aggregation`.
  /// - Throws: `MartletError` (data) when the gradient is not finite. The weights are then as before.
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

  /// How many leading tokens each sample shares with the sample before it.
  static func sharedCounts(_ samples: [LearningSample]) -> [Int] {
    samples.indices.map { index in
      guard index > 0 else { return 0 }
      let (before, own) = (samples[index - 1], samples[index])
      return PackedTokens.sharedCount((before.tokens, before.prefixLength), (own.tokens, own.prefixLength))
    }
  }

  /// Groups of neighbouring samples with at most `budget` rows when packed. A longer sample stands alone.
  /// - Parameter shared: how many rows each sample shares with the one before it; nil: none.
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

  /// Packs the tokens of neighbouring samples for the model.
  private static func pack(_ samples: ArraySlice<LearningSample>, sharing: Bool) -> PackedTokens {
    PackedTokens(samples.map(\.tokens), prefixLengths: samples.map { sharing ? $0.prefixLength : 0 })
  }

  /// Runs forward and backward of one micro-batch, and adds to the gradients.
  private func accumulate(
    _ batch: Range<Int>, _ samples: [LearningSample], _ weights: [Double], _ result: inout UpdateResult
  ) {
    let packed = Self.pack(samples[batch], sharing: sharesPrompts)
    var targets = MicroBatchTargets(samples, batch, packed)
    targets.addTeachers(samples, weights)
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
    for (target, divergence) in zip(targets.all, scores.divergences) {
      metrics.add(loss: Double(target.teacher?.coefficient ?? 0) * divergence)
    }
    result.metrics = metrics
    for (index, place) in targets.places.enumerated() { result.logProbs[place.sample].append(scores.logProbs[index]) }
    if model.configuration.valueHead { fitValues(targets, samples, weights, &result) }
    pass.backward()
  }

  /// The critic's part of the loss, at the rows that predict a token of the policy.
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
  /// - Parameter likeliest: how many of the likeliest tokens at each of these places to find, among the ids below a
  ///   number.
  static func score(
    _ samples: [LearningSample], pass: TrainingPass, microBatchTokens: Int, values wanted: Bool = false,
    likeliest: (count: Int, below: Int) = (0, 0)
  ) -> (logProbs: [[Float]], values: [[Float]], likeliest: [[TopLogProbs]]) {
    var logProbs = [[Float]](repeating: [], count: samples.count)
    var values = [[Float]](repeating: [], count: samples.count)
    var views = [[TopLogProbs]](repeating: [], count: samples.count)
    // Sharing prompts changes no bit of a forward pass.
    let (lengths, shared) = (samples.map(\.tokens.count), sharedCounts(samples))
    for batch in microBatches(lengths, shared: shared, samples.indices, budget: microBatchTokens) {
      let packed = pack(samples[batch], sharing: true)
      var targets = MicroBatchTargets(samples, batch, packed)
      if likeliest.count > 0 { targets.ask(for: likeliest.count, below: likeliest.below) }
      pass.forward(packed)
      let scores = pass.score(targets.all)
      for (index, place) in targets.places.enumerated() { logProbs[place.sample].append(scores.logProbs[index]) }
      for (place, view) in zip(targets.places, scores.likeliest) { views[place.sample].append(view) }
      if wanted {
        let found = pass.values(rows: targets.all.map(\.row))
        for (index, place) in targets.places.enumerated() { values[place.sample].append(found[index]) }
      }
    }
    return (logProbs, values, views)
  }
}

/// The targets of one micro-batch, and the samples that they belong to.
struct MicroBatchTargets {
  /// A target's sample in the update batch, and its index in that sample's response.
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

  /// Asks for the `count` likeliest tokens at each target's place, of the ids below `below`.
  mutating func ask(for count: Int, below: Int) {
    for index in all.indices { (all[index].likeliest, all[index].likeliestBelow) = (count, below) }
  }

  /// Adds the KL to the teacher, with the weights of the samples' tokens.
  mutating func addTeachers(_ samples: [LearningSample], _ weights: [Double]) {
    for (index, place) in places.enumerated() {
      guard let teacher = samples[place.sample].teacher else { continue }
      let coefficient = weights[place.sample] * teacher.weights[place.token]
      all[index].teacher = Target.Teacher(teacher.views[place.token], coefficient: Float(coefficient))
    }
  }

  /// The coefficients of a loss that needs whole responses (GSPO, GMPO, ...).
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
