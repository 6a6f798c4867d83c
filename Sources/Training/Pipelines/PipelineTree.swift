import Foundation
import Rollout
import Support

/// The values of a pipeline file. Its list of stages is a section by name, so that `stages.rl-model.loss.kl_coef` is a
/// key.
enum PipelineTree {
  /// Turns the list of stages into a section by name.
  /// - Throws: `MartletError` (configuration) for an unknown key, or a stage without a name of its own.
  static func named(_ tree: ConfigurationTree, path: String) throws -> ConfigurationTree {
    guard case .map(let entries) = tree else { throw MartletError(.configuration, "\(path): is not a section") }
    for (key, _) in entries where !PipelineFile.keys.contains(key) {
      let nearest = nearestWord(to: key, among: PipelineFile.keys)
      throw MartletError(
        .configuration, "\(path): unknown key \(key)" + (nearest.map { "; did you mean \($0)?" } ?? ""))
    }
    guard case .list(let stages)? = tree["stages"], !stages.isEmpty else {
      throw MartletError(.configuration, "\(path): stages: must be a list of stages")
    }
    var named: [(key: String, value: ConfigurationTree)] = []
    for (index, stage) in stages.enumerated() {
      let place = "\(path): stages[\(index)]"
      guard case .map(let values) = stage, case .text(let name)? = stage["name"] else {
        throw MartletError(.configuration, "\(place): name: is missing")
      }
      guard !named.contains(where: { $0.key == name }), name != "..", !name.contains("/"), !name.contains(".") else {
        throw MartletError(.configuration, "\(place): name: \(name) is taken or no folder name (without / and .)")
      }
      named.append((name, .map(values.filter { $0.key != "name" })))
    }
    var result = tree
    result.set(["stages"], to: .map(named))
    return result
  }

  /// The form of the file: stages as a list.
  static func listed(_ tree: ConfigurationTree) -> ConfigurationTree {
    guard case .map(let stages)? = tree["stages"] else { return tree }
    var result = tree
    result.set(
      ["stages"],
      to: .list(
        stages.map { name, stage in
          guard case .map(let values) = stage else { return stage }
          return .map([("name", .text(name))] + values)
        }))
    return result
  }

  /// Applies an override: `stages.NAME.key=value`, where NAME may contain `*` and `?`; `defaults.key=value`;
  /// `problems.NAME.key=value` for the file of that name; or `key=value` for every stage that has the key.
  /// - Throws: `MartletError` (configuration) when it addresses nothing.
  static func apply(_ override: String, to tree: inout ConfigurationTree, path: String) throws {
    let (keys, value) = try ConfigurationFile.parse(override)
    func none(_ what: String, _ names: [String]) -> MartletError {
      MartletError(
        .configuration, "\(path): \(override): addresses no \(what); there are \(names.joined(separator: ", "))")
    }
    switch keys[0] {
    case "stages" where keys.count > 2:
      let names = stageNames(tree).filter { matches($0, keys[1]) }
      guard !names.isEmpty else { throw none("stage", stageNames(tree)) }
      for name in names { tree.set(["stages", name] + keys[2...], to: value) }
    case "problems" where keys.count > 2:
      guard case .list(var problems)? = tree["problems"] else { throw none("problems", []) }
      let names = problems.map(problemsName)
      guard names.contains(where: { matches($0, keys[1]) }) else { throw none("problems", names) }
      for index in problems.indices where matches(names[index], keys[1]) {
        problems[index].set(Array(keys[2...]), to: value)
      }
      tree.set(["problems"], to: .list(problems))
    case let key where PipelineFile.keys.contains(key):
      guard key != "stages" else { throw none("stage's key", stageNames(tree).map { "stages.\($0).KEY" }) }
      tree.set(keys, to: value)
    default:
      let names = stageNames(tree).filter { has(keys, stage: $0, in: tree) }
      guard !names.isEmpty else {
        throw MartletError(.configuration, "\(path): \(override): no stage has the key \(keys.joined(separator: "."))")
      }
      for name in names { tree.set(["stages", name] + keys, to: value) }
    }
  }

  static func stageNames(_ tree: ConfigurationTree) -> [String] {
    guard case .map(let stages)? = tree["stages"] else { return [] }
    return stages.map(\.key)
  }

  /// Whether a stage has a key: its part of the file sets it, or its kind of stage uses it.
  private static func has(_ keys: [String], stage name: String, in tree: ConfigurationTree) -> Bool {
    let path = keys.joined(separator: ".")
    if own(tree, stage: name).value(at: path) != nil { return true }
    return kind(tree, stage: name).flatMap { KeyUse.of(path)?.use.stages.contains($0) } ?? false
  }

  /// What a stage does; nil: the file does not say, or no such stage exists.
  private static func kind(_ tree: ConfigurationTree, stage name: String) -> StageKind? {
    guard case .text(let kind)? = tree["stages"]?[name]?["stage"] else { return nil }
    return StageKind(rawValue: kind)
  }

  /// A file of problems by its name without the ending.
  private static func problemsName(_ problems: ConfigurationTree) -> String {
    guard case .text(let file)? = problems["file"] else { return "" }
    return (file as NSString).deletingPathExtension
  }

  /// Whether `name` matches `pattern`, where `*` is any text and `?` any character.
  static func matches(_ name: String, _ pattern: String) -> Bool { fnmatch(pattern, name, 0) == 0 }

  /// A stage's own values, without its kind.
  private static func own(_ tree: ConfigurationTree, stage name: String) -> ConfigurationTree {
    guard case .map(let values)? = tree["stages"]?[name] else { return .map([]) }
    return .map(values.filter { $0.key != "stage" })
  }

  /// Decodes every part.
  /// - Throws: `MartletError` (configuration) naming stage and key.
  static func parts(_ tree: ConfigurationTree, path: String) throws -> PipelineFile.Parts {
    guard case .text(let run)? = tree["run"] else { throw MartletError(.configuration, "\(path): run: is missing") }
    var parts = PipelineFile.Parts(run: run, problems: [], stages: [], comparison: nil)
    if let problems = tree["problems"] {
      parts.problems = try decode(problems, path, "problems", known: PipelineFile.keysOfProblems())
    }
    if let summary = tree["summary"] {
      parts.comparison = try decode(summary, path, "summary", known: PipelineFile.keysOfSummary())
    }
    let root = parts.root
    func inside(_ text: String) -> String { text.hasPrefix("@") ? root + "/" + text.dropFirst() : text }
    guard tree["defaults"]?["adapter"] == nil else {
      throw MartletError(
        .configuration, "\(path): defaults.adapter: belongs to one model; give it to the stage that has this model")
    }
    var shared = SharedDefaults(tree["defaults"]?.mapTexts(inside))
    for name in stageNames(tree) {
      let place = "\(path): stages.\(name)"
      guard let kind = kind(tree, stage: name) else {
        throw MartletError(
          .configuration,
          "\(place).stage: must be one of \(StageKind.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      var own = own(tree, stage: name).mapTexts(inside)
      own.set(["run"], to: .text(root + "/" + name))
      let configuration = try shared.configuration(own, stage: kind, path: place)
      parts.stages.append(.init(name: name, kind: kind, configuration: configuration))
    }
    try shared.refuseUnused(path: path)
    for name in parts.comparison.map({ $0.rows + [$0.of] + $0.over }) ?? [] {
      guard parts.stages.contains(where: { $0.name == name && $0.kind == .eval }) else {
        throw MartletError(.configuration, "\(path): summary: \(name) is no eval stage of this file")
      }
    }
    return parts
  }

  private static func decode<T: Decodable>(
    _ tree: ConfigurationTree, _ path: String, _ key: String, known: ConfigurationTree
  ) throws -> T {
    if case .list(let items) = tree {
      for (index, item) in items.enumerated() {
        try ConfigurationFile.refuseUnknown(item, known: known, at: ["\(key)[\(index)]"], path: path)
      }
    } else {
      try ConfigurationFile.refuseUnknown(tree, known: known, at: [key], path: path)
    }
    return try ConfigurationFile.decoded(T.self, from: tree, path: "\(path): \(key)")
  }
}
