import Foundation
import Support

/// What a configuration file holds.
public enum ConfigurationKind: Sendable, Equatable {
  case stage(StageKind), pipeline, ablation

  /// - Parameters:
  ///   - overrides: `key.path=value`, as given to `--set`.
  ///   - stage: what the command line says; nil: the file's own `stage`, else the only stage that can take all of its
  ///     keys.
  /// - Throws: `MartletError` (configuration) when the file cannot be read, or when several stages could take it and
  ///   nothing says which: there is no guess.
  public static func of(
    _ path: String, overrides: [String] = [], stage: StageKind? = nil
  ) throws -> ConfigurationKind {
    let tree = try ConfigurationFile.tree(path, overrides: overrides)
    let several: ConfigurationKind? = tree["cases"] != nil ? .ablation : tree["stages"] != nil ? .pipeline : nil
    if let several {
      guard let stage else { return several }
      throw MartletError(
        .usage, "--stage \(stage.rawValue): \(path) is \(several == .pipeline ? "a pipeline" : "an ablation")")
    }
    let configuration = try Configuration(tree: tree, path: path)
    if let known = stage ?? configuration.stage { return .stage(known) }
    var reasons: [String] = []
    let fitting = StageKind.allCases.filter { kind in
      var copy = configuration
      do {
        try copy.settle(on: kind, path: kind.rawValue)
        return true
      } catch {
        reasons.append((error as? MartletError)?.message ?? "\(error)")
        return false
      }
    }
    if fitting.count == 1 { return .stage(fitting[0]) }
    let remedy = "write \"stage: \((fitting.first ?? .rl).rawValue)\" into it, or give --stage"
    guard !fitting.isEmpty else {
      throw MartletError(
        .configuration, "\(path): stage: no stage takes all of its keys (\(reasons.joined(separator: "; "))); \(remedy)"
      )
    }
    throw MartletError(
      .configuration, "\(path): stage: it may be for \(fitting.map(\.rawValue).joined(separator: " or ")); \(remedy)")
  }
}
