/// A key whose value differs between two configurations.
struct ConfigurationChange: Equatable {
  /// With dots: `optimizer.learning_rate`.
  let key: String
  /// nil: there was, or is, no value.
  let from, to: ConfigurationTree?

  /// `optimizer.learning_rate: 0.0001 -> 0.01`
  var text: String { "\(key): \(from?.json ?? "absent") -> \(to?.json ?? "absent")" }

  /// `{"optimizer.learning_rate": {"from": 0.0001, "to": 0.01}}`
  static func tree(_ changes: [ConfigurationChange]) -> ConfigurationTree {
    .map(changes.map { ($0.key, .map([("from", $0.from ?? .null), ("to", $0.to ?? .null)])) })
  }
}

extension ConfigurationTree {
  /// Every value that is no section, by its key with dots. Lists are values; null is as good as absent.
  var leaves: [(key: String, value: ConfigurationTree)] {
    func visit(_ tree: ConfigurationTree, _ key: String) -> [(key: String, value: ConfigurationTree)] {
      switch tree {
      case .null: []
      case .map(let entries) where !entries.isEmpty:
        entries.flatMap { visit($0.value, key.isEmpty ? $0.key : "\(key).\($0.key)") }
      default: [(key, tree)]
      }
    }
    return visit(self, "")
  }

  /// The values that differ from `other`'s, in the order of the keys.
  func changes(from other: ConfigurationTree) -> [ConfigurationChange] {
    let old = Dictionary(other.leaves.map { ($0.key, $0.value) }) { $1 }
    let new = Dictionary(leaves.map { ($0.key, $0.value) }) { $1 }
    return Set(old.keys).union(new.keys).sorted().compactMap { key in
      old[key] == new[key] ? nil : ConfigurationChange(key: key, from: old[key], to: new[key])
    }
  }

  /// The value at a key with dots.
  func value(at key: String) -> ConfigurationTree? {
    key.split(separator: ".").reduce(Optional(self)) { $0?[String($1)] }
  }

  /// What this file now says otherwise than it did (`before`), put over `own`: what was `--set` in between stays.
  func edits(since before: ConfigurationTree, over own: ConfigurationTree) -> ConfigurationTree {
    var result = own
    for change in changes(from: before) {
      let keys = change.key.split(separator: ".").map(String.init)
      result.set(keys, to: value(at: change.key) ?? .null)
    }
    return result
  }

  /// With every text passed through `transform`.
  func mapTexts(_ transform: (String) -> String) -> ConfigurationTree {
    switch self {
    case .text(let text): .text(transform(text))
    case .list(let values): .list(values.map { $0.mapTexts(transform) })
    case .map(let entries): .map(entries.map { ($0.key, $0.value.mapTexts(transform)) })
    default: self
    }
  }
}
