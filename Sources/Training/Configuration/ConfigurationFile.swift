import Foundation
import PPO
import Rollout
import Support
import Transformer

/// Reads configurations: YAML over the defaults, `--set` over both. Unknown keys are refused with the nearest name.
enum ConfigurationFile {
  /// The tree of a file with `overrides` ("key.path=value") applied and its `@/` paths resolved.
  static func tree(_ path: String, overrides: [String] = []) throws -> ConfigurationTree {
    var tree = try written(path)
    for override in overrides { try apply(override, to: &tree) }
    return resolved(tree, path)
  }

  /// The tree with every `@/NAME` as NAME beside the file.
  static func resolved(_ tree: ConfigurationTree, _ path: String) -> ConfigurationTree {
    tree.mapTexts { PortablePath.resolve($0, in: Support.folder(of: path)) }
  }

  /// The tree of a file as it is written.
  static func written(_ path: String) throws -> ConfigurationTree {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw MartletError(.configuration, "\(path): no such file; give the path of a YAML configuration")
    }
    guard let text = String(data: data, encoding: .utf8) else {
      throw MartletError(.configuration, "\(path): not UTF-8 text")
    }
    let tree = try ConfigurationTree(yaml: text, path: path)
    guard case .map = tree else {
      throw MartletError(.configuration, "\(path): must be a section of keys and values, not \(tree.kindName)")
    }
    return tree
  }

  static func apply(_ override: String, to tree: inout ConfigurationTree) throws {
    let (keys, value) = try parse(override)
    tree.set(keys, to: value)
  }

  /// The parts of `key.path=value`.
  static func parse(_ override: String) throws -> (keys: [String], value: ConfigurationTree) {
    guard let equal = override.firstIndex(of: "="), equal > override.startIndex else {
      throw MartletError(.usage, "--set \(override): write it as key.path=value")
    }
    let keys = override[..<equal].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard keys.allSatisfy({ !$0.isEmpty }) else {
      throw MartletError(.usage, "--set \(override): an empty key between dots")
    }
    return (keys, try value(String(override[override.index(after: equal)...]), of: override))
  }

  /// A `--set` value: YAML's flow form (`[a, b]`, `{k: v}`), or one scalar.
  private static func value(_ text: String, of override: String) throws -> ConfigurationTree {
    if let first = text.first, "[{\"'".contains(first) {
      return try ConfigurationTree(yaml: "value: \(text)", path: "--set \(override)")["value"] ?? .null
    }
    return ConfigurationTree(scalar: text)
  }

  /// Decodes `tree` over the defaults of `type`. `known` holds every key that may be there.
  static func decode<T: Codable>(
    _ type: T.Type, from tree: ConfigurationTree, defaults: ConfigurationTree, known: ConfigurationTree, path: String
  ) throws -> T {
    try refuseUnknown(tree, known: known, at: [], path: path)
    let whole = defaults.merged(with: tree.withoutNulls).withoutNulls
    return try decoded(T.self, from: whole, path: path)
  }

  static func decoded<T: Decodable>(_ type: T.Type, from tree: ConfigurationTree, path: String) throws -> T {
    do {
      return try JSONDecoder().decode(T.self, from: Data(tree.json.utf8))
    } catch let error as DecodingError {
      throw MartletError(.configuration, "\(path): \(misfit(T.self, in: tree) ?? explain(error, tree: tree))")
    }
  }

  /// The decoder does not say where a number is that its type cannot hold (1.5, or -1 for a seed). We look for the
  /// first suspect such that decoding succeeds once it and those before it are replaced by 1.
  private static func misfit<T: Decodable>(_ type: T.Type, in tree: ConfigurationTree) -> String? {
    func isMisfit(_ tree: ConfigurationTree) -> Bool {
      do {
        _ = try JSONDecoder().decode(T.self, from: Data(tree.json.utf8))
      } catch DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty {
        return true
      } catch {}
      return false
    }
    guard isMisfit(tree) else { return nil }
    let suspects = tree.suspects()
    let last = suspects.indices.first { !isMisfit(tree.withoutSuspects($0 + 1)) }
    guard let last else { return nil }
    let (key, value) = suspects[last]
    let there = "but there is \(value.kindName)"
    guard case .number(let number) = value else {
      return "\(key): must be a whole number from 0 on, of its key's range, \(there)"
    }
    return "\(key): must be \(abs(number) < 1e-37 ? "0, or a larger number" : "a whole number"), \(there)"
  }

  static func refuseUnknown(
    _ tree: ConfigurationTree, known: ConfigurationTree, at keys: [String], path: String
  ) throws {
    guard case .map(let entries) = tree, case .map(let allowed) = known, !allowed.isEmpty else { return }
    for (key, value) in entries {
      guard let inner = known[key] else {
        let nearest = nearestWord(to: key, among: allowed.map(\.key))
        let whole = (keys + [key]).joined(separator: ".")
        let advice =
          nearest.map { "did you mean \((keys + [$0]).joined(separator: "."))?" }
          ?? "known here: \(allowed.map(\.key).sorted().joined(separator: ", "))"
        throw MartletError(.configuration, "\(path): unknown key \(whole); \(advice)")
      }
      try refuseUnknown(value, known: inner, at: keys + [key], path: path)
    }
  }

  /// Counts are multiplied with each other, so none may be so large that a product overflows.
  static func refuseHuge(_ tree: ConfigurationTree, at keys: [String], path: String) throws {
    switch tree {
    case .number(let value) where !value.isFinite:
      throw MartletError(.configuration, "\(path): \(keys.joined(separator: ".")): is beyond what a number can hold")
    case .number(let value) where abs(value) > 0x1p53:
      throw MartletError(
        .configuration, "\(path): \(keys.joined(separator: ".")): \(value) is beyond 2^53; give a smaller number")
    case .map(let entries): for (key, value) in entries { try refuseHuge(value, at: keys + [key], path: path) }
    case .list(let values): for value in values { try refuseHuge(value, at: keys, path: path) }
    case .integer(let value)
    where !(-1 << 31...1 << 31).contains(value) && keys.last != "seed" && keys.last != "memory":
      throw MartletError(
        .configuration, "\(path): \(keys.joined(separator: ".")): \(value) is beyond 2^31; give a smaller number")
    default: break
    }
  }

  static func explain(_ error: DecodingError, tree: ConfigurationTree) -> String {
    func place(_ path: [any CodingKey]) -> String {
      path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".").replacing(".[", with: "[")
    }
    func found(_ path: [any CodingKey]) -> String {
      var value: ConfigurationTree? = tree
      for key in path {
        if let index = key.intValue, case .list(let values)? = value {
          value = index < values.count ? values[index] : nil
        } else {
          value = value?[key.stringValue]
        }
      }
      return value.map { ", but there is \($0.kindName)" } ?? ""
    }
    switch error {
    case .typeMismatch(let type, let context):
      return "\(place(context.codingPath)): must be \(name(of: type))\(found(context.codingPath))"
    case .valueNotFound(let type, let context):
      return "\(place(context.codingPath)): must be \(name(of: type)), but there is nothing"
    case .keyNotFound(let key, let context):
      return "\(place(context.codingPath + [key])): is missing; add it"
    case .dataCorrupted(let context):
      if let reason = ConfigurationChoices.explain(context.debugDescription) {
        return "\(place(context.codingPath)): \(reason)"
      }
      return "\(place(context.codingPath)): \(context.debugDescription)\(found(context.codingPath))"
    @unknown default: return String(describing: error)
    }
  }

  private static func name(of type: Any.Type) -> String {
    switch type {
    case is Bool.Type: "true or false"
    case is Int.Type, is UInt64.Type, is Int32.Type: "a whole number"
    case is Double.Type, is Float.Type: "a number"
    case is String.Type: "text"
    case is any Collection.Type: "a list"
    default: "a section"
    }
  }
}

extension Configuration {
  /// Reads and checks a configuration file.
  /// - Parameters:
  ///   - overrides: `key.path=value`, as given to `--set`.
  ///   - stage: the stage that will run; keys that it does not use are refused. nil: only the values are checked.
  ///   - replays: whether `rl` is to learn from given episodes.
  /// - Throws: `MartletError` (configuration) naming the file and the key.
  public static func load(
    _ path: String, overrides: [String] = [], stage: StageKind? = nil, replays: Bool = false
  ) throws -> Configuration {
    var configuration = try Configuration(tree: ConfigurationFile.tree(path, overrides: overrides), path: path)
    configuration.replays = replays
    if let stage { try configuration.settle(on: stage, path: path) }
    return configuration
  }

  init(tree: ConfigurationTree, path: String) throws {
    var tree = tree
    for key in ["data", "eval_data", "train_authors"] {
      if case .text(let single)? = tree[key] { tree.set([key], to: .list([.text(single)])) }
    }
    if case .text(let single)? = tree["rejection"]?["mix"] {
      tree.set(["rejection", "mix"], to: .list([.text(single)]))
    }
    for section in ["reward", "grader"] {
      if case .text(let program)? = tree[section]?["command"] {
        tree.set([section, "command"], to: .list([.text(program)]))
      }
    }
    // The vocabulary is the tokenizer's; this holds its place until that is read.
    if tree["new_model"]?["shape"] != nil, tree["new_model"]?["shape"]?["vocabulary_size"] == nil {
      tree.set(["new_model", "shape", "vocabulary_size"], to: .integer(1))
    }
    try ConfigurationFile.refuseHuge(tree, at: [], path: path)
    self = try ConfigurationFile.decode(
      Configuration.self, from: tree, defaults: ConfigurationTree(encoding: Configuration()),
      known: Self.knownKeys(), path: path
    ).mapPaths { NamedPath.find($0) ?? $0 }
    try validate(path: path)
  }

  /// Every key there is: the defaults, with the optional ones filled in.
  static func knownKeys() throws -> ConfigurationTree {
    var all = Configuration()
    all.stage = .sft
    all.model = ""
    all.adapter = ""
    all.refModel = ""
    all.teacher = ""
    var shape = ModelConfiguration(
      architecture: .llama, hiddenSize: 2, intermediateSize: 2, layerCount: 1, heads: .init(1), vocabularySize: 1)
    shape.beginToken = 0
    all.newModel = NewModel(tokenizer: "", shape: shape)
    all.prompt.system = ""
    all.prompt.hint = ""
    all.prompt.date = ""
    all.interpreter.python = ""
    all.interpreter.tier = .T3
    all.tools = ""
    all.hint.edits = ""
    all.hint.episodes = ""
    var tree = try ConfigurationTree(encoding: all)
    // Its keys depend on its kind; the decoder checks them.
    tree.set(["new_model", "shape", "rope_scaling"], to: .map([]))
    // Any name may be there: the model's template knows them.
    tree.set(["prompt", "template_variables"], to: .map([]))
    return tree
  }

  /// The whole configuration as YAML, for `config.yaml`.
  public func yaml() throws -> String { try ConfigurationTree(encoding: self).yaml() }
}
