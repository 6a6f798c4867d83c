import Support

/// How weights follow their gradients.
public enum OptimizerKind: String, Codable, Sendable, CaseIterable {
  /// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101), as `torch.optim.AdamW` computes it.
  case adamw
  /// Plain gradient descent, as `torch.optim.SGD` without momentum; weight decay is added to the gradient.
  case sgd
}

/// How moments are held between steps.
public enum OptimizerState: String, Codable, Sendable, CaseIterable {
  case float32 = "fp32"
  /// One byte a number and a scale a block of 256 (Dettmers et al. 2021, arXiv:2110.02861): see ``QuantizedMoment``.
  case eightBit = "8bit"
}

/// How the learning rate goes on after the warm-up.
public enum LearningRateSchedule: String, Codable, Sendable, CaseIterable {
  case constant
  /// Down along half a cosine.
  case cosine
  /// Down along a straight line.
  case linear
}

/// The `optimizer` section of a configuration.
public struct OptimizerSettings: Codable, Sendable, Equatable {
  /// How the learning rate goes on after the warm-up.
  public typealias Schedule = LearningRateSchedule

  /// How weights follow their gradients.
  public var kind: OptimizerKind
  /// How AdamW's moments are held.
  public var state: OptimizerState
  /// The peak learning rate, lr or alpha in papers.
  public var learningRate: Double
  /// Decay rates of the first and second moment.
  public var betas: [Double]
  /// Added to the root of the second moment after its bias correction.
  public var eps = 1e-8
  /// Weight decay lambda: each step takes `learning rate * weightDecay` of a weight away.
  public var weightDecay: Double
  /// The largest allowed norm of the whole gradient; a longer one is scaled down. 0: no limit.
  public var maxGradNorm: Double
  /// Steps in which the learning rate grows from 0 to its peak.
  public var warmupSteps: Int
  /// How the learning rate goes on after the warm-up.
  public var schedule: Schedule
  /// What is left of the learning rate at the end of `cosine` and `linear`, as a share of the peak.
  public var minLearningRateRatio = 0.0

  enum CodingKeys: String, CodingKey, CaseIterable {
    case kind, state
    case learningRate = "learning_rate"
    case betas, eps
    case weightDecay = "weight_decay"
    case maxGradNorm = "max_grad_norm"
    case warmupSteps = "warmup_steps"
    case schedule
    case minLearningRateRatio = "min_learning_rate_ratio"
  }

  /// What runs differ in; `eps` and `minLearningRateRatio` can be set afterwards.
  public init(
    kind: OptimizerKind = .adamw, learningRate: Double = 1e-5, betas: [Double] = [0.9, 0.999], weightDecay: Double = 0,
    maxGradNorm: Double = 1, warmupSteps: Int = 0, schedule: Schedule = .constant, state: OptimizerState = .float32
  ) {
    self.kind = kind
    self.learningRate = learningRate
    self.betas = betas
    self.weightDecay = weightDecay
    self.maxGradNorm = maxGradNorm
    self.warmupSteps = warmupSteps
    self.schedule = schedule
    self.state = state
  }

  /// Throws a configuration error that names the key under `path` of the first value that makes no sense.
  public func validate(path: String = "optimizer") throws {
    func require(_ holds: Bool, _ key: CodingKeys, _ value: Any, _ rule: String) throws {
      guard holds else {
        throw MartletError(.configuration, "\(path).\(key.rawValue): \(value) is not possible; it must be \(rule)")
      }
    }
    try require(kind == .adamw || state == .float32, .state, state.rawValue, "fp32 with kind sgd, which has no moments")
    try require(learningRate >= 0 && learningRate.isFinite, .learningRate, learningRate, "0 or a positive number")
    try require(
      betas.count == 2 && betas.allSatisfy { $0 >= 0 && $0 < 1 }, .betas, betas, "two numbers from 0 up to below 1")
    try require(eps >= 0 && eps.isFinite, .eps, eps, "0 or a positive number")
    try require(weightDecay >= 0 && weightDecay.isFinite, .weightDecay, weightDecay, "0 or a positive number")
    try require(maxGradNorm >= 0 && maxGradNorm.isFinite, .maxGradNorm, maxGradNorm, "positive, or 0 for no limit")
    try require(warmupSteps >= 0, .warmupSteps, warmupSteps, "0 or more steps")
    try require(
      minLearningRateRatio >= 0 && minLearningRateRatio <= 1, .minLearningRateRatio, minLearningRateRatio, "from 0 to 1"
    )
  }

  /// The learning rate of step 1, 2, ..., `total`.
  ///
  /// Warm-up: peak * step / warmupSteps. Afterwards, with p = (step - 1 - warmupSteps) / (total - warmupSteps), peak *
  /// (r + (1 - r) f(p)), r the smallest ratio and f(p) = 1, (1 + cos(pi p)) / 2 or 1 - p: as in transformers, the first
  /// step after the warm-up has the whole rate and the last one still moves. Steps beyond `total` stay at the end.
  public func learningRate(step: Int, of total: Int) -> Double {
    precondition(step >= 1, "learningRate: steps are counted from 1, not \(step)")
    if step <= warmupSteps { return learningRate * Double(step) / Double(warmupSteps) }
    let progress = min(1, Double(step - 1 - warmupSteps) / Double(max(1, total - warmupSteps)))
    let share: Double
    switch schedule {
    case .constant: return learningRate
    case .cosine: share = 0.5 * (1 + Mathematics.sinCos(turns: progress / 2).cosine)
    case .linear: share = 1 - progress
    }
    return learningRate * (minLearningRateRatio + (1 - minLearningRateRatio) * share)
  }
}
