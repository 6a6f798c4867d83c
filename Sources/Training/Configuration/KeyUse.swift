import PPO
import Rollout
import Support

/// Where a key of the configuration takes effect. A key that is set and does nothing would be a silent mistake: it is
/// refused by name.
struct KeyUse: Sendable {
  /// A setting that a key depends on.
  struct Need: Sendable {
    /// What must hold, as a reader would set it: "lora.rank above 0".
    let text: String
    let holds: @Sendable (Configuration) -> Bool

    init(_ text: String, _ holds: @escaping @Sendable (Configuration) -> Bool) {
      self.text = text
      self.holds = holds
    }
  }

  /// Paths of keys. A section stands for all of its keys that have no row of their own.
  let keys: [String]
  let stages: [StageKind]
  /// What must hold in every stage, and what else in some of them.
  let needs: [Need]
  let stageNeeds: [StageKind: [Need]]

  init(
    _ keys: String..., in stages: [StageKind], needs: [Need] = [], also stageNeeds: [StageKind: [Need]] = [:]
  ) {
    self.keys = keys
    self.stages = stages
    self.needs = needs
    self.stageNeeds = stageNeeds
  }

  /// Why the keys do nothing in `stage`, with a remedy; nil: they take effect.
  func obstacle(_ configuration: Configuration, _ stage: StageKind) -> String? {
    guard stages.contains(stage) else {
      return "\(stage.rawValue) does not use it, \(stages.map(\.rawValue).joined(separator: ", ")) "
        + (stages.count == 1 ? "does" : "do") + "; remove it"
    }
    let missing = (needs + stageNeeds[stage, default: []]).first { !$0.holds(configuration) }
    guard let missing else { return nil }
    return "does nothing in this \(stage.rawValue): it needs \(missing.text); set that or remove the key"
  }

  /// The row of the key `path`: the longest of those that name it or a section it lies in.
  static func of(_ path: String) -> (key: String, use: KeyUse)? {
    var best: (key: String, use: KeyUse)?
    for use in table {
      for key in use.keys where key == path || path.hasPrefix(key + ".") {
        if key.count > best?.key.count ?? -1 { best = (key, use) }
      }
    }
    return best
  }
}

/// A key that is set and does nothing.
public struct UnusedKey: Sendable, Equatable {
  /// Its path, such as `lora.alpha`.
  public var key: String
  /// Why it does nothing, and what would change that.
  public var reason: String
}

extension Configuration {
  /// Keys that are set although `stage` does not use them, sorted by name.
  public func unusedKeys(stage: StageKind) throws -> [UnusedKey] {
    let defaults = Dictionary(
      uniqueKeysWithValues: try ConfigurationTree(encoding: Configuration()).leaves.map { ($0.path, $0.value.json) })
    var found: [UnusedKey] = []
    for leaf in try ConfigurationTree(encoding: self).leaves where defaults[leaf.path] != leaf.value.json {
      guard let (key, use) = KeyUse.of(leaf.path), let reason = use.obstacle(self, stage) else { continue }
      // A section that is not used at all is named once, not key by key.
      let name = key == leaf.path ? key : (use.stages.contains(stage) ? leaf.path : key)
      if !found.contains(where: { $0.key == name }) { found.append(UnusedKey(key: name, reason: reason)) }
    }
    return found.sorted { $0.key < $1.key }
  }

  /// - Throws: `MartletError` (configuration) naming the first key that `stage` does not use.
  public func refuseUnused(stage: StageKind, path: String) throws {
    guard let unused = try unusedKeys(stage: stage).first else { return }
    throw MartletError(.configuration, "\(path): \(unused.key): \(unused.reason)")
  }
}
