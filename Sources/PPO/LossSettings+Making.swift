extension LossSettings {
  /// The policy loss that `kind` names, with these numbers.
  public func makePolicyLoss() -> any PolicyLoss {
    let difference = differenceClamp > 0 ? differenceClamp : nil
    switch kind {
    case .sft: return SFTLoss()
    case .grpo, .ppo:
      return ClipLoss(low: clipLow, high: clipHigh, dual: dualClip > 0 ? dualClip : nil, differenceClamp: difference)
    case .gspo: return GSPOLoss(low: clipLow, high: clipHigh)
    case .gspoToken: return GSPOTokenLoss(low: clipLow, high: clipHigh)
    case .cispo:
      return CISPOLoss(
        cispoCap > 0 ? .cap(cispoCap) : .clamp(low: clipLow, high: clipHigh), differenceClamp: difference)
    case .sapo: return SAPOLoss(positive: sapoPositive, negative: sapoNegative)
    case .gmpo: return GMPOLoss(low: clipLow, high: clipHigh)
    case .reinforce: return ReinforceLoss()
    case .vespo: return VESPOLoss()
    case .dro: return DROLoss(beta: droBeta)
    case .dppo: return DPPOLoss(low: clipLow, high: clipHigh)
    }
  }

  /// The estimator that `advantage` names, with these numbers.
  public func makeAdvantageEstimator() -> any AdvantageEstimator {
    switch advantage {
    case .grpo: return GRPOAdvantage(epsilon: advantageEps)
    case .grpoBatch: return BatchScaledAdvantage(epsilon: advantageEps)
    case .drGRPO: return CenteredAdvantage()
    case .rloo: return RLOOAdvantage()
    case .remax: return ReMaxAdvantage(kl: remaxKL)
    case .reinforcePlusPlus: return ReinforcePlusPlusAdvantage(gamma: gamma)
    case .reinforcePlusPlusBaseline: return ReinforcePlusPlusBaselineAdvantage()
    case .opo: return OPOAdvantage()
    case .gae: return GAEAdvantage(gamma: gamma, lambda: gaeLambda, observation: gaeObservation, whitens: whiten)
    case .maxRL: return MaxRLAdvantage(epsilon: advantageEps)
    case .gpg: return GPGAdvantage()
    case .passK: return PassKAdvantage(epsilon: advantageEps)
    case .distillation: return DistillationAdvantage()
    }
  }

  /// The teacher's term with these numbers.
  public var teacherTerm: TeacherTerm { TeacherTerm(coefficient: teacherCoef, turnCap: teacherTurnCap) }

  /// The estimator's advantages and the teacher's term, clipped to `advantage_clip` if set.
  public func advantages(_ batch: PolicyBatch) -> Advantages {
    var result = makeAdvantageEstimator().advantages(batch)
    if teacherTopK == 0 { teacherTerm.add(to: &result, batch) }
    if advantageClip > 0 { result.clip(to: advantageClip) }
    return result
  }

  /// The KL term that `kl` names, with its clamps.
  public var klPenalty: KLPenalty {
    KLPenalty(kl, differenceClamp: klDifferenceClamp, valueClamp: klValueClamp)
  }

  /// The critic's loss.
  public var valueLoss: ValueLoss { ValueLoss(clip: valueClip > 0 ? valueClip : nil) }

  /// ECHO's term for an update batch with `tokens` tokens of tools; nil: there is none.
  public func makeObservationLoss(tokens: Int) -> ObservationLoss? {
    observationCoef > 0 ? ObservationLoss(coefficient: observationCoef, tokens: tokens) : nil
  }

  /// Policy loss, KL term and entropy bonus together. A KL in the reward is not in here.
  public func makeObjective() -> PolicyObjective {
    PolicyObjective(
      policy: makePolicyLoss(), kl: klInReward ? KLPenalty(.none) : klPenalty, klCoefficient: klCoef,
      klImportance: klImportance, entropyCoefficient: entropyCoef)
  }

  /// True when samples must carry reference log-probs.
  public var requiresReference: Bool { kl != .none && klCoef != 0 }

  /// Settings that contradict each other, as sentences that name the key and the remedy; empty when all is well.
  public var problems: [String] {
    var found: [String] = []
    func check(_ fine: Bool, _ text: String) { if !fine { found.append(text) } }
    check(advantageEps > 0, "advantage_eps must be above 0")
    check(clipLow >= 0 && clipHigh >= 0, "clip_low and clip_high must not be negative")
    check(dualClip == 0 || dualClip > 1, "dual_clip must be above 1, or 0 to turn it off")
    check(sapoPositive > 0 && sapoNegative > 0, "sapo_positive and sapo_negative must be above 0")
    check(kind != .dro || droBeta > 0, "dro_beta must be above 0")
    check(!klInReward || kl != .none, "kl_in_reward needs a kl estimator: set kl to k1, k2, k3 or abs")
    check(!klInReward || klCoef > 0, "kl_in_reward needs a kl_coef above 0; without a KL term leave kl_in_reward out")
    check(klTarget == 0 || (klTarget > 0 && klHorizon > 0), "kl_target and kl_horizon must be above 0")
    let bounds = [
      ("advantage_clip", advantageClip), ("cispo_cap", cispoCap), ("difference_clamp", differenceClamp),
      ("kl_coef", klCoef), ("kl_difference_clamp", klDifferenceClamp), ("kl_value_clamp", klValueClamp),
      ("observation_coef", observationCoef), ("value_clip", valueClip), ("value_coef", valueCoef),
      ("aggregation_length", Double(aggregationLength)), ("teacher_coef", teacherCoef),
      ("teacher_top_k", Double(teacherTopK)),
    ]
    for (key, value) in bounds { check(value >= 0, "\(key) \(value) must be 0 or more") }
    check(
      aggregation != .seqMeanTokenSumNorm || aggregationLength > 0,
      "aggregation seq_mean_token_sum_norm needs aggregation_length, for instance sampling.max_tokens")
    check(
      teacherTurnCap == 0 || teacherTurnCap >= 1,
      "teacher_turn_cap \(teacherTurnCap) must be 1 or more, or 0 to turn it off")
    check((0...1).contains(gamma) && (0...1).contains(gaeLambda), "gamma and gae_lambda must lie in 0...1")
    check(correction.high > 0, "correction.high must be above 0")
    check(
      correction.low >= 0 && (!correction.kind.hasLowerBound || correction.low <= correction.high),
      "correction.low must be from 0 to correction.high")
    return found
  }
}
