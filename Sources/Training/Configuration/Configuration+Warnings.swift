import PPO
import Reports
import Rollout

extension Configuration {
  /// Settings that `stage` accepts but that are probably a mistake: the run cannot learn, or a setting never takes
  /// effect. Each names its key and a remedy.
  public func warnings(stage: StageKind) -> [String] {
    var found: [String] = []
    func warn(_ isSo: Bool, _ text: @autoclosure () -> String) { if isSo { found.append(text()) } }
    if stage != .sft {
      let equal = sampling.temperature == 0 ? "temperature 0" : sampling.topK == 1 ? "top_k 1" : nil
      if let equal, samplesPerPrompt > 1 {
        let learns = teacher != nil || (!loss.advantage.comparesGroup && loss.advantage != .remax)
        let what = stage == .rl && !learns ? ", so a step has nothing to learn from" : ""
        found.append("sampling: with \(equal) all \(samplesPerPrompt) samples of a prompt are equal\(what)")
      }
    }
    warn(
      teacher != nil && teacher == model,
      stage == .rft
        ? "teacher: is the model itself, so its own responses are learnt; leave teacher out"
        : "teacher: is the model itself, so it has nothing to teach; name another")
    if [.sft, .rft, .rl].contains(stage) { found += trainingWarnings(stage) }
    if stage == .rl { found += reinforcementWarnings() }
    return found
  }

  private func trainingWarnings(_ stage: StageKind) -> [String] {
    var found: [String] = []
    func warn(_ isSo: Bool, _ text: @autoclosure () -> String) { if isSo { found.append(text()) } }
    let updates = steps * (stage == .rl ? EpisodeSource.updates(self) : 1)
    warn(optimizer.learningRate == 0, "optimizer.learning_rate: 0, so no weight changes; give a positive number")
    warn(
      optimizer.warmupSteps > 0 && optimizer.warmupSteps >= updates && !replays,
      "optimizer.warmup_steps: \(optimizer.warmupSteps) of \(updates) optimizer steps, so the learning rate never "
        + "reaches its peak; give fewer")
    warn(
      saveEvery >= steps && saveEvery > 0 && steps > 0 && !replays,
      "save_every: \(saveEvery) of \(steps) steps, so nothing is saved on the way; give fewer")
    return found
  }

  private func reinforcementWarnings() -> [String] {
    var found: [String] = []
    func warn(_ isSo: Bool, _ text: @autoclosure () -> String) { if isSo { found.append(text()) } }
    let responses = promptsPerStep * samplesPerPrompt
    warn(
      samplesPerPrompt == 1 && loss.advantage.comparesGroup && !replays && teacher == nil,
      "samples_per_prompt: 1, but loss.advantage \(loss.advantage.rawValue) compares the samples of a prompt with each "
        + "other; give 2 or more")
    warn(
      samplesPerPrompt == 1 && sampling.temperature == 0 && loss.advantage == .remax,
      "sampling.temperature: 0, so each sample is its own greedy baseline and nothing is learnt")
    warn(
      updateBatch > responses && !groups.knapsack && !replays,
      "update_batch: \(updateBatch), but a step samples \(responses) responses (prompts_per_step x "
        + "samples_per_prompt); so there is one smaller batch")
    warn(
      loss.kl != .none && loss.klCoef == 0,
      "loss.kl: \(loss.kl.rawValue) with kl_coef 0 does nothing; set kl to none, or give a coefficient")
    warn(
      loss.kl == .k1 && loss.klCoef > 0 && !loss.klInReward,
      "loss.kl: k1 in the loss has a gradient that is 0 on average; use k2 or k3, or kl_in_reward")
    warn(
      loss.advantage == .gae && loss.valueCoef == 0,
      "loss.value_coef: 0, so the critic of gae learns nothing; give a positive number")
    warn(
      reward.accuracy == 0 && reward.codePenalty == 0 && reward.formatReward == 0
        && (reward.overlongBuffer == 0 || reward.overlongFactor == 0)
        && (reward.command.isEmpty || reward.commandWeight == 0) && teacher == nil && !replays,
      "reward: every part is 0, so all responses are worth the same and nothing is learnt")
    warn(
      evalEvery > steps && steps > 0,
      "eval_every: \(evalEvery) of \(steps) steps, so nothing is evaluated before the end; give fewer")
    return found
  }
}

extension Configuration {
  /// Why the responses of a run's first step teach nothing; nil: they do. Said before the step's update, since steps
  /// like it would go on for hours.
  func warning(firstStep episodes: [Episode], folder: String) -> String? {
    guard teacher == nil else { return nil }
    let diagnosis = Diagnosis(episodes) { _ in "" }
    let isEqual =
      loss.advantage.comparesGroup
      ? diagnosis.groups > 0 && diagnosis.withoutSignal == diagnosis.groups
      : diagnosis.rewards.map { $0.lowest == $0.highest } ?? false
    guard isEqual || diagnosis.rewards == nil else { return nil }
    let rates = diagnosis.rates
    let what =
      diagnosis.rewards == nil
      ? "no response could be scored"
      : loss.advantage.comparesGroup
        ? "all \(diagnosis.groups) groups have equal rewards "
          + "(problems never right \(rates.never), always \(rates.always))"
        : "all \(diagnosis.responses) responses have the same reward"
    return "the first step has nothing to learn from: \(what). "
      + diagnosis.advice.prefix(2).map { "\($0). " }.joined() + "train diagnose \(folder)/config.yaml shows more"
  }
}

extension AdvantageKind {
  /// Whether the advantage compares a response with others to its prompt.
  var comparesGroup: Bool {
    switch self {
    case .grpo, .grpoBatch, .drGRPO, .rloo, .reinforcePlusPlusBaseline, .opo, .maxRL, .gpg, .passK: true
    case .remax, .reinforcePlusPlus, .gae, .distillation: false
    }
  }
}
