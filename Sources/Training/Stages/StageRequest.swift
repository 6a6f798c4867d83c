import Foundation
import Support

/// A stage to run, and the file that asked for it.
public struct StageRequest {
  /// What to do.
  public var kind: StageKind
  /// With what settings.
  public var configuration: Configuration
  /// The configuration file without what was `--set`; nil: there is only the run's own configuration.
  var given: ConfigurationTree?

  /// The run's folder.
  package var folder: String { RunFolder.path(configuration.run) }

  /// A request whose configuration comes from no file.
  public init(_ kind: StageKind, _ configuration: Configuration) {
    self.kind = kind
    self.configuration = configuration
  }

  /// This request with its configuration checked for the stage.
  /// - Throws: `MartletError` (configuration) for a key that the stage does not use, or lacks.
  func settled(replays: Bool = false) throws -> StageRequest {
    var settled = self
    settled.configuration.replays = replays
    try settled.configuration.settle(on: kind, path: kind.rawValue + (replays ? " --replay" : ""))
    return settled
  }

  /// What `train STAGE SOURCE [--set ...] [--resume]` asks for.
  ///
  /// A resumed run keeps its own configuration. If `source` is a file, the changes of that file since the run began go
  /// over it, then `overrides`. So nothing that was once `--set` is lost.
  /// - Parameter source: a configuration file; with `resume` also a run's folder, or its name under `checkpoints/`.
  /// - Throws: `MartletError` naming file and key.
  public init(
    _ kind: StageKind, _ source: String, overrides: [String] = [], resume: Bool, replays: Bool = false
  ) throws {
    self.kind = kind
    if resume, let folder = Self.run(source) {
      configuration = try Self.resumed(folder, overrides: overrides)
      configuration.replays = replays
      return
    }
    let written = try ConfigurationFile.written(source)
    var tree = written
    for override in overrides { try ConfigurationFile.apply(override, to: &tree) }
    given = written
    if resume, case .text(let run)? = ConfigurationFile.resolved(tree, source)["run"],
      let folder = RunFolder.existing(run), FileManager.default.fileExists(atPath: folder + "/given.yaml")
    {
      let begun = try ConfigurationFile.written(folder + "/given.yaml")
      let own = try ConfigurationFile.written(folder + "/config.yaml")
      tree = ConfigurationFile.resolved(own, folder + "/config.yaml")
      tree = written.edits(since: begun, over: tree)
      for override in overrides { try ConfigurationFile.apply(override, to: &tree) }
      tree.set(["run"], to: .text(PortablePath.resolve(PortablePath.prefix, in: folder)))
    }
    configuration = try Configuration(tree: ConfigurationFile.resolved(tree, source), path: source)
    configuration.replays = replays
    try configuration.settle(on: kind, path: source)
  }

  /// The run's folder that `source` names; nil: it is a file, or nothing is there.
  public static func run(_ source: String) -> String? {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: source, isDirectory: &isFolder), !isFolder.boolValue { return nil }
    return RunFolder.existing(source)
  }

  /// The configuration of the run in `folder`, which may have been moved.
  static func resumed(_ folder: String, overrides: [String]) throws -> Configuration {
    if let override = overrides.first(where: { $0.hasPrefix("run=") }) {
      throw MartletError(
        .usage, "--set \(override): \(folder) is resumed where it lies; branch from it into another folder instead")
    }
    return try Configuration.own(folder, overrides: overrides)
  }
}
