/// A key whose value differs between two configurations.
package struct ConfigurationChange: Equatable, Sendable {
  /// With dots: `optimizer.learning_rate`.
  package let key: String
  /// nil: the key had, or has, no value.
  package let from, to: ConfigurationTree?

  /// A change of `key`, written with dots.
  package init(key: String, from: ConfigurationTree?, to: ConfigurationTree?) {
    self.key = key
    self.from = from
    self.to = to
  }

  /// `optimizer.learning_rate: 0.0001 -> 0.01`
  package var text: String { "\(key): \(from?.json ?? "absent") -> \(to?.json ?? "absent")" }

  /// `{"optimizer.learning_rate": {"from": 0.0001, "to": 0.01}}`
  package static func tree(_ changes: [ConfigurationChange]) -> ConfigurationTree {
    .map(changes.map { ($0.key, .map([("from", $0.from ?? .null), ("to", $0.to ?? .null)])) })
  }
}

extension ConfigurationTree {
  /// All values that are not sections, each with its path: `optimizer.learning_rate`. A list is one value.
  package var leaves: [(path: String, value: ConfigurationTree)] {
    guard case .map(let entries) = self else { return [("", self)] }
    return entries.flatMap { key, value in
      if case .map(let inner) = value, inner.isEmpty { return [(path: key, value: value)] }
      return value.leaves.map { (path: $0.path.isEmpty ? key : key + "." + $0.path, value: $0.value) }
    }
  }

  /// The values that differ from `other`'s, in the order of the keys.
  package func changes(from other: ConfigurationTree) -> [ConfigurationChange] {
    let old = Dictionary(other.withoutNulls.leaves.map { ($0.path, $0.value) }) { $1 }
    let new = Dictionary(withoutNulls.leaves.map { ($0.path, $0.value) }) { $1 }
    return Set(old.keys).union(new.keys).sorted().compactMap { key in
      old[key] == new[key] ? nil : ConfigurationChange(key: key, from: old[key], to: new[key])
    }
  }

  /// The value at a path of keys joined by dots.
  package func value(at path: String) -> ConfigurationTree? {
    path.split(separator: ".").reduce(Optional(self)) { $0?[String($1)] }
  }

  /// This tree without the value at that path.
  package func removing(_ path: String) -> ConfigurationTree {
    let keys = path.split(separator: ".", maxSplits: 1).map(String.init)
    guard case .map(let entries) = self, let first = keys.first else { return self }
    return .map(
      entries.compactMap { key, value in
        guard key == first else { return (key, value) }
        return keys.count == 1 ? nil : (key, value.removing(keys[1]))
      })
  }

  /// `own` with every change from `before` to this tree. What was `--set` in between stays.
  package func edits(since before: ConfigurationTree, over own: ConfigurationTree) -> ConfigurationTree {
    var result = own
    for change in changes(from: before) {
      let keys = change.key.split(separator: ".").map(String.init)
      result.set(keys, to: value(at: change.key) ?? .null)
    }
    return result
  }

  /// Whether there is a type of number that cannot hold it.
  private var isSuspect: Bool {
    switch self {
    case .integer(let value): value < 0 || value > Int32.max
    case .unsigned, .number: true
    default: false
    }
  }

  /// The numbers that some type cannot hold, in order, with their paths (`seeds[1]` in a list).
  package func suspects(at path: String = "") -> [(path: String, value: ConfigurationTree)] {
    switch self {
    case .list(let values): values.enumerated().flatMap { $1.suspects(at: "\(path)[\($0)]") }
    case .map(let entries): entries.flatMap { $0.value.suspects(at: path.isEmpty ? $0.key : path + "." + $0.key) }
    default: isSuspect ? [(path, self)] : []
    }
  }

  /// This tree with 1 in place of the first `count` suspects.
  package func withoutSuspects(_ count: Int) -> ConfigurationTree {
    var left = count
    func replaced(_ tree: ConfigurationTree) -> ConfigurationTree {
      switch tree {
      case .list(let values): return .list(values.map(replaced))
      case .map(let entries): return .map(entries.map { ($0.key, replaced($0.value)) })
      default:
        guard tree.isSuspect, left > 0 else { return tree }
        left -= 1
        return .integer(1)
      }
    }
    return replaced(self)
  }

  /// With every text passed through `transform`.
  package func mapTexts(_ transform: (String) -> String) -> ConfigurationTree {
    switch self {
    case .text(let text): .text(transform(text))
    case .list(let values): .list(values.map { $0.mapTexts(transform) })
    case .map(let entries): .map(entries.map { ($0.key, $0.value.mapTexts(transform)) })
    default: self
    }
  }
}

extension ConfigurationTree {
  /// Without entries that are null: absent and null are the same.
  package var withoutNulls: ConfigurationTree {
    guard case .map(let entries) = self else { return self }
    return .map(
      entries.filter { if case .null = $0.value { false } else { true } }.map { ($0.key, $0.value.withoutNulls) })
  }
}
