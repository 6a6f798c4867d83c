import PPO
import Rollout
import Support

extension Configuration {
  /// Makes this the configuration of `stage`.
  /// - Throws: `MartletError` (configuration) when the file is of another stage, sets a key that this one does not use,
  ///   or lacks one that it needs.
  mutating func settle(on stage: StageKind, path: String) throws {
    if let own = self.stage, own != stage {
      throw MartletError(
        .configuration, "\(path): stage: is \(own.rawValue), but this is \(stage.rawValue); use train \(own.rawValue)")
    }
    self.stage = stage
    try refuseUnused(stage: stage, path: path)
    try requireNeeds(of: stage, path: path)
  }

  /// - Throws: `MartletError` (configuration) for the first key that `stage` lacks or cannot work with.
  private func requireNeeds(of stage: StageKind, path: String) throws {
    func require(_ holds: Bool, _ key: String, _ text: String) throws {
      if !holds { throw MartletError(.configuration, "\(path): \(key): \(text)") }
    }
    let trains = [.sft, .rft, .rl].contains(stage)
    try require(
      !trains || steps >= 1 || replays, "steps",
      "is missing or 0, so \(stage.rawValue) would train nothing; give the number of "
        + (stage == .rl ? "rollout steps" : "optimizer steps"))
    guard stage == .rl else { return }
    try require(
      dataWeights.isEmpty || (dataWeights.count == data.count && Set(data).count == data.count), "data_weights",
      "\(dataWeights.count) weights for \(data.count) files; give one for each file of data, and each file once")
    try require(
      loss.kind != .sft, "loss.kind", "sft uses no rewards; give an rl loss, or use stage sft or rft")
    try require(
      !loss.advantage.requiresTeacher || teacher != nil, "teacher",
      "is missing; loss.advantage distillation reads no rewards, so without a teacher there is nothing to learn from")
    try require(
      !replays || loss.advantage != .remax, "loss.advantage",
      "remax needs the reward of each problem's greedy answer, which a file of episodes does not hold; "
        + "use another with --replay")
  }
}

/// The values that all stages of a pipeline share: its `defaults`. Each stage takes the ones that it uses.
struct SharedDefaults {
  private let tree: ConfigurationTree
  private var used: Set<String> = []

  init(_ tree: ConfigurationTree?) { self.tree = tree ?? .map([]) }

  /// The configuration of one stage: its own keys over the shared ones. Shared keys that it does not use are left out.
  /// - Throws: `MartletError` (configuration), also for an own key that it does not use.
  mutating func configuration(_ own: ConfigurationTree, stage: StageKind, path: String) throws -> Configuration {
    var shared = tree
    while true {
      let candidate = try Configuration(tree: shared.merged(with: own), path: path)
      let unused = try candidate.unusedKeys(stage: stage).filter {
        own.value(at: $0.key) == nil && shared.value(at: $0.key) != nil
      }
      if unused.isEmpty {
        var configuration = candidate
        try configuration.settle(on: stage, path: path)
        used.formUnion(shared.leaves.map(\.path).filter { own.value(at: $0) == nil })
        return configuration
      }
      for key in unused { shared = shared.removing(key.key) }
    }
  }

  /// - Throws: `MartletError` (configuration) for a shared key that no stage takes.
  func refuseUnused(path: String) throws {
    guard let lost = tree.leaves.first(where: { !used.contains($0.path) && !$0.path.isEmpty }) else { return }
    throw MartletError(
      .configuration,
      "\(path): defaults.\(lost.path): no stage takes it: each sets its own, or does not use it; remove it")
  }
}
