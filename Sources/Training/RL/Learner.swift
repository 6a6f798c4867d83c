import Cluster
import Foundation
import PPO
import Tensor
import Transformer

/// The result of one optimizer step.
package struct UpdateResult {
  var metrics = PolicyMetrics()
  var valueLoss = 0.0
  /// The mean cross-entropy of what tools returned; nil: it is not learnt.
  var observationLoss: Double?
  var gradientNorm = 0.0
  var learningRate = 0.0
  /// How many tokens went through the model.
  var tokens = 0
  /// For each sample, the log-probs of its masked tokens in order, before the update; nil: it was left out.
  var logProbs: [[Float]?] = []
  /// How many samples did not go through the model, since nothing of their loss reaches a weight.
  var skipped: Int { logProbs.count { $0 == nil } }
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
  /// Whether samples without influence are left out of an update: the gradients are the same. False in tests alone.
  var skipsSilent = true
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
    gradients.zero()
    let chosen = samples.indices.filter { !skipsSilent || !isSilent(samples[$0]) }
    let (active, activeWeights) = (chosen.map { samples[$0] }, chosen.map { weights[$0] })
    result.logProbs = active.map { _ in [] }
    let observation = loss.makeObservationLoss(tokens: active.reduce(0) { $0 + $1.observations.count })
    result.observationLoss = observation.map { _ in 0 }
    let lengths = active.map(\.tokens.count)
    let shared = sharesPrompts ? Self.sharedCounts(active) : nil
    let trees = cluster.ranks.map { rank in
      var tree = GradientTree(count: gradients.count, spare: spareBuffers)
      for shard in cluster.parts(of: rank, count: gradientShards) {
        // A shard is a range of all samples, so leaving some out moves none to another shard.
        let bounds = [shard, shard + 1].map { part in
          chosen.firstIndex { $0 >= samples.count * part / gradientShards } ?? chosen.count
        }
        for batch in Self.microBatches(lengths, shared: shared, bounds[0]..<bounds[1], budget: microBatchTokens) {
          accumulate(batch, active, activeWeights, observation, &result)
          onMicroBatch(batch.count)
        }
        pass.finishGradients()
        if gradientShards > 1 { tree.push(gradients, index: shard) }
      }
      return tree
    }
    if gradientShards > 1 { cluster.sum(trees, into: gradients) }
    record(chosen, of: samples, in: &result)
    timer?.begin(.checkpoint)
    try beforeUpdate()
    timer?.begin(.optimizer)
    (result.gradientNorm, result.learningRate) = try optimizer.update(
      weights: model.trainableWeights, gradients: gradients, totalSteps: totalSteps, pool: pool)
    timer?.begin(.other)
    pass.weightsChanged()
    return result
  }

  /// Runs forward and backward of one micro-batch, and adds to the gradients.
  private func accumulate(
    _ batch: Range<Int>, _ samples: [LearningSample], _ weights: [Double], _ observation: ObservationLoss?,
    _ result: inout UpdateResult
  ) {
    let packed = Self.pack(samples[batch], sharing: sharesPrompts)
    var targets = MicroBatchTargets(samples, batch, packed, observation: observation)
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
          if let known = place.coefficients { return known }
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
    for (index, place) in targets.places.enumerated() {
      if let observation, place.coefficients != nil {
        result.observationLoss? += observation.crossEntropy(logProb: scores.logProbs[index])
      } else {
        result.logProbs[place.sample]?.append(scores.logProbs[index])
      }
    }
    if model.configuration.valueHead { fitValues(targets, samples, weights, &result) }
    pass.backward()
  }

  /// The critic's part of the loss, at the rows that predict a token of the policy.
  private func fitValues(
    _ targets: MicroBatchTargets, _ samples: [LearningSample], _ weights: [Double], _ result: inout UpdateResult
  ) {
    let fitted = targets.places.indices.filter {
      samples[targets.places[$0].sample].returns != nil && targets.places[$0].coefficients == nil
    }
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

  /// Log-probs (and values, with a value head) of each sample's masked tokens under the model as it is now. Samples
  /// without such tokens do not go through the model.
  /// - Parameter likeliest: how many of the likeliest tokens at each of these places to find, among the ids below a
  ///   number.
  static func score(
    _ samples: [LearningSample], pass: TrainingPass, microBatchTokens: Int, values wanted: Bool = false,
    likeliest: (count: Int, below: Int) = (0, 0)
  ) -> (logProbs: [[Float]], values: [[Float]], likeliest: [[TopLogProbs]]) {
    var logProbs = [[Float]](repeating: [], count: samples.count)
    var values = [[Float]](repeating: [], count: samples.count)
    var views = [[TopLogProbs]](repeating: [], count: samples.count)
    let chosen = samples.indices.filter { samples[$0].policy.tokenCount > 0 }
    let active = chosen.map { samples[$0] }
    // Sharing prompts changes no bit of a forward pass.
    let (lengths, shared) = (active.map(\.tokens.count), sharedCounts(active))
    for batch in microBatches(lengths, shared: shared, active.indices, budget: microBatchTokens) {
      let packed = pack(active[batch], sharing: true)
      var targets = MicroBatchTargets(active, batch, packed)
      if likeliest.count > 0 { targets.ask(for: likeliest.count, below: likeliest.below) }
      pass.forward(packed)
      let scores = pass.score(targets.all)
      for (index, place) in targets.places.enumerated() {
        logProbs[chosen[place.sample]].append(scores.logProbs[index])
      }
      for (place, view) in zip(targets.places, scores.likeliest) { views[chosen[place.sample]].append(view) }
      if wanted {
        let found = pass.values(rows: targets.all.map(\.row))
        for (index, place) in targets.places.enumerated() { values[chosen[place.sample]].append(found[index]) }
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
    /// The coefficients of a tool's token, which are known beforehand; nil: the policy's loss makes them.
    let coefficients: TargetCoefficients?
  }

  var all: [Target] = []
  var places: [Place] = []

  /// - Parameter observation: what tools returned is a target too; nil: it is not.
  init(
    _ samples: [LearningSample], _ batch: Range<Int>, _ packed: PackedTokens, observation: ObservationLoss? = nil
  ) {
    let known = observation.map { TargetCoefficients(logProb: Float($0.dLogProb)) }
    for (sequence, index) in batch.enumerated() {
      for (place, target) in samples[index].targets(observations: observation != nil) {
        var target = target
        target.row = packed.row(sequence, target.row)
        all.append(target)
        let isDrawn = samples[index].policy.responseMask[place]
        places.append(Place(sample: index, token: place, coefficients: isDrawn ? nil : known))
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
      guard let teacher = samples[place.sample].teacher, teacher.weights[place.token] != 0 else { continue }
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
        if let known = place.coefficients {
          result.append(known)
          continue
        }
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
