/// The policy losses by their configuration name.
public enum LossKind: String, Codable, Sendable, CaseIterable {
  case sft, grpo, ppo, gspo
  case gspoToken = "gspo_token"
  case cispo, sapo, gmpo, reinforce, vespo, dro, dppo
}

/// The advantage estimators by their configuration name.
public enum AdvantageKind: String, Codable, Sendable, CaseIterable {
  case grpo
  case grpoBatch = "grpo_batch"
  case drGRPO = "dr_grpo"
  case rloo, remax
  case reinforcePlusPlus = "reinforce_plus_plus"
  case reinforcePlusPlusBaseline = "reinforce_plus_plus_baseline"
  case opo, gae
  case maxRL = "max_rl"
  case gpg
  case passK = "pass_k"
  case distillation

  /// Whether samples need the critic's values.
  public var requiresValues: Bool { self == .gae }
  /// Whether every prompt needs one greedy answer.
  public var requiresGreedyReward: Bool { self == .remax }
  /// Whether the teacher's say is all there is.
  public var requiresTeacher: Bool { self == .distillation }
}

/// The `loss` section of a configuration. Every value has a default; `docs/papers.md` says which paper calls it what.
public struct LossSettings: Codable, Sendable, Equatable {
  /// The policy loss.
  public var kind = LossKind.grpo
  /// The advantage estimator.
  public var advantage = AdvantageKind.grpo
  /// eps in the denominator of normalised advantages.
  public var advantageEps = 1e-6
  /// Advantages are clipped to +-this; 0: not.
  public var advantageClip = 0.0
  /// Lower and upper clip range around a ratio of 1 (GMPO: of the log-ratio).
  public var clipLow = 0.2
  /// Upper clip range.
  public var clipHigh = 0.2
  /// Dual clip for negative advantages, above 1; 0: off.
  public var dualClip = 0.0
  /// Absolute cap of CISPO's ratio (TRL's form); 0: the clip range instead (verl's form).
  public var cispoCap = 0.0
  /// Log-ratios are clamped to +-this before the exponential; 0: not.
  public var differenceClamp = 0.0
  /// SAPO's temperature for positive advantages.
  public var sapoPositive = 1.0
  /// SAPO's temperature for negative advantages.
  public var sapoNegative = 1.05
  /// DRO's beta.
  public var droBeta = 0.1
  /// The KL estimator; none: no KL term.
  public var kl = KLKind.none
  /// What the KL is multiplied by.
  public var klCoef = 0.001
  /// Clamp of k3's log-ratio and of its value; 0: none.
  public var klDifferenceClamp = 0.0
  /// Clamp of k3's value; 0: none.
  public var klValueClamp = 0.0
  /// Multiplies the KL term by the policy ratio.
  public var klImportance = false
  /// The KL lowers the token rewards instead of adding to the loss.
  public var klInReward = false
  /// Target of the adaptive controller of a KL in the reward; 0: constant coefficient.
  public var klTarget = 0.0
  /// Sequences over which the adaptive controller acts.
  public var klHorizon = 10_000.0
  /// What the entropy bonus is multiplied by; 0: none.
  public var entropyCoef = 0.0
  /// Weight of the cross-entropy of what tools return (ECHO); 0: none.
  public var observationCoef = 0.0
  /// What the teacher's term is multiplied by, where there is a teacher.
  public var teacherCoef = 1.0
  /// The KL to the teacher over its so many likeliest tokens and the rest, as a loss; 0: at the drawn token, as an
  /// advantage.
  public var teacherTopK = 0
  /// Cap of a turn's weight in the teacher's term (SOD: 1.2); 0: all turns weigh the same.
  public var teacherTurnCap = 0.0
  /// How token losses become one number.
  public var aggregation = Aggregation.tokenMean
  /// L of `seq_mean_token_sum_norm`, in tokens.
  public var aggregationLength = 0
  /// Discount of REINFORCE++ and GAE.
  public var gamma = 1.0
  /// GAE's lambda.
  public var gaeLambda = 1.0
  /// What GAE makes of tokens that the policy did not sample.
  public var gaeObservation = GAEObservation.skip
  /// Whitens GAE's advantages over the batch.
  public var whiten = true
  /// Range of the value clip; 0: off.
  public var valueClip = 0.2
  /// What the critic's loss is multiplied by.
  public var valueCoef = 0.1
  /// How ReMax lets the KL penalty act.
  public var remaxKL = ReMaxKL.accumulated
  /// What is done about rollouts of another sampler.
  public var correction = CorrectionSettings()

  /// The defaults.
  public init() {}

  /// The keys of the coded form.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case kind, advantage
    case advantageEps = "advantage_eps"
    case advantageClip = "advantage_clip"
    case clipLow = "clip_low"
    case clipHigh = "clip_high"
    case dualClip = "dual_clip"
    case cispoCap = "cispo_cap"
    case differenceClamp = "difference_clamp"
    case sapoPositive = "sapo_positive"
    case sapoNegative = "sapo_negative"
    case droBeta = "dro_beta"
    case kl
    case klCoef = "kl_coef"
    case klDifferenceClamp = "kl_difference_clamp"
    case klValueClamp = "kl_value_clamp"
    case klImportance = "kl_importance"
    case klInReward = "kl_in_reward"
    case klTarget = "kl_target"
    case klHorizon = "kl_horizon"
    case entropyCoef = "entropy_coef"
    case observationCoef = "observation_coef"
    case teacherCoef = "teacher_coef"
    case teacherTopK = "teacher_top_k"
    case teacherTurnCap = "teacher_turn_cap"
    case aggregation
    case aggregationLength = "aggregation_length"
    case gamma
    case gaeLambda = "gae_lambda"
    case gaeObservation = "gae_observation"
    case whiten
    case valueClip = "value_clip"
    case valueCoef = "value_coef"
    case remaxKL = "remax_kl"
    case correction
  }
}
