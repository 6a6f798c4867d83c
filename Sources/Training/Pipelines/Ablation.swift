import Foundation
import Rollout
import Support

/// The cases and seeds of one file. Each case with each seed is a pipeline run of its own, and a table compares them.
///
/// A case changes values of named stages. A case that changes nothing that the compared row depends on, or the same as
/// another, is refused. A finished run counts only for the configuration, data and models that it was made with. A run
/// makes the stages that the row depends on, and takes over those that another run has made with the same seed, values
/// and files. Several processes may work on one ablation at the same time.
public struct Ablation {
  struct File: Codable {
    var run: String
    /// The pipeline file that the cases vary.
    var pipeline: String
    /// The eval stage whose figures are compared.
    var row: String
    var seeds: [UInt64]
    var cases: [Case]
  }

  struct Case: Codable, Equatable {
    var name: String
    /// `key.path=value` overrides of the pipeline, as for `--set`.
    var set: [String]
  }

  /// A case with what it changes.
  struct Resolved {
    var name: String
    var set: [String]
    /// By stage, what differs from the pipeline as it stands.
    var effect: [(stage: String, changes: [ConfigurationChange])]
  }

  /// One case with one seed.
  struct Run {
    var name: String
    var seed: UInt64
    /// Its folder.
    var folder: String
    /// The stages that the row depends on.
    var request: PipelineRequest
    var identity: ConfigurationTree
    /// By stage, the hash of everything that its result depends on.
    var stageKeys: [String: String]
  }

  let path: String
  let file: File
  let cases: [Resolved]
  let runs: [Run]
  /// The ablation's folder.
  package var root: String { RunFolder.path(file.run) }

  /// Reads the file and resolves every case with every seed.
  /// - Parameter overrides: `key=value` of the ablation file itself.
  /// - Throws: `MartletError` (configuration) for a case that changes nothing or equals another, a row that no case
  ///   evaluates, seeds that change nothing, or whatever is wrong with a stage.
  public init(_ path: String, overrides: [String] = []) throws {
    self.path = path
    let file = try Self.read(path, overrides: overrides)
    self.file = file
    let root = RunFolder.path(file.run)
    let base = try PipelineRequest(file.pipeline, run: Self.nowhere)
    var cases: [Resolved] = []
    var requests: [PipelineRequest] = []
    for item in file.cases {
      do {
        let request = try Self.request(item, of: file, base)
        let effect = Self.effect(base.parts, request.parts)
        cases.append(Resolved(name: item.name, set: item.set, effect: effect))
        requests.append(request)
      } catch let error as MartletError {
        throw MartletError(error.status, "\(path): case \(item.name): \(error.message)")
      }
    }
    try Self.refuseEqual(zip(cases.map(\.name), requests).map { ($0, $1) }, path: path)
    self.cases = cases
    var hashes: [String: String] = [:]
    var runs: [Run] = []
    for (item, request) in zip(cases, requests) {
      let seeded = try file.seeds.map { try request.with(seed: $0, path: path).needed(by: file.row) }
      try Self.refuseEqual(zip(file.seeds.map { "seed \($0)" }, seeded).map { ($0, $1) }, path: "\(path): \(item.name)")
      for (seed, request) in zip(file.seeds, seeded) {
        let folder = "\(root)/\(item.name)/seed-\(seed)"
        let identity = try Self.identity(request.parts, &hashes)
        runs.append(
          Run(
            name: item.name, seed: seed, folder: folder,
            request: try request.with(run: folder, path: path).needed(by: file.row), identity: identity,
            stageKeys: Self.stageKeys(request.parts, identity)))
      }
    }
    self.runs = runs
  }

  /// The folder of all cases while they are compared, so that no path tells them apart.
  private static let nowhere = "./case"

  private static func read(_ path: String, overrides: [String]) throws -> File {
    let tree = try ConfigurationFile.tree(path, overrides: overrides)
    let example = File(run: "", pipeline: "", row: "", seeds: [], cases: [])
    try ConfigurationFile.refuseUnknown(tree, known: ConfigurationTree(encoding: example), at: [], path: path)
    if case .list(let cases)? = tree["cases"] {
      let known = try ConfigurationTree(encoding: Case(name: "", set: []))
      for (index, item) in cases.enumerated() {
        try ConfigurationFile.refuseUnknown(item, known: known, at: ["cases[\(index)]"], path: path)
      }
    }
    let file = try ConfigurationFile.decoded(File.self, from: tree, path: path)
    func require(_ holds: Bool, _ text: String) throws {
      if !holds { throw MartletError(.configuration, "\(path): \(text)") }
    }
    try require(!file.run.isEmpty, "run: names no folder")
    try require(!file.seeds.isEmpty && !file.cases.isEmpty, "seeds and cases must not be empty")
    try require(Set(file.seeds).count == file.seeds.count, "seeds: one stands twice")
    let names = file.cases.map(\.name)
    try require(Set(names).count == names.count, "cases: a name stands twice")
    for name in names {
      try require(!name.isEmpty && !name.contains("/") && !name.hasPrefix("."), "cases: \(name) is not a folder name")
    }
    return file
  }

  private static func request(_ item: Case, of file: File, _ base: PipelineRequest) throws -> PipelineRequest {
    guard base.parts.stages.contains(where: { $0.name == file.row && $0.kind == .eval }) else {
      let names = base.parts.stages.filter { $0.kind == .eval }.map(\.name)
      throw MartletError(
        .configuration,
        "row: \(file.row) is no eval stage of \(file.pipeline); there are \(names.joined(separator: ", "))")
    }
    var request = base
    for override in item.set {
      let keys = try ConfigurationFile.parse(override).keys
      if keys == ["seed"] || keys == ["defaults", "seed"] || keys == ["run"] {
        throw MartletError(.configuration, "\(override): \(keys.last ?? "") belongs to the ablation, not to a case")
      }
      let changed = try request.setting(override, path: file.pipeline)
      guard !changed.needed(by: file.row).isEqual(to: request.needed(by: file.row)) else {
        throw MartletError(
          .configuration, "\(override): changes no stage that \(file.row) depends on, so it would compare equal runs")
      }
      request = changed
    }
    return request.needed(by: file.row)
  }

  private static func refuseEqual(_ requests: [(name: String, request: PipelineRequest)], path: String) throws {
    for (index, later) in requests.enumerated() {
      guard let equal = requests[..<index].first(where: { $0.request.isEqual(to: later.request) }) else { continue }
      throw MartletError(
        .configuration,
        "\(path): \(equal.name) and \(later.name) come to the same configuration; they would compare a run with itself"
      )
    }
  }

  /// What differs from the pipeline as it stands, in the stages and problems that the case makes.
  private static func effect(
    _ base: PipelineFile.Parts, _ changed: PipelineFile.Parts
  ) -> [(stage: String, changes: [ConfigurationChange])] {
    func tree(_ value: some Encodable) -> ConfigurationTree { (try? ConfigurationTree(encoding: value)) ?? .null }
    var effect: [(stage: String, changes: [ConfigurationChange])] = []
    for new in changed.stages {
      guard let old = base.stages.first(where: { $0.name == new.name }), old != new else { continue }
      effect.append((new.name, tree(new.configuration).changes(from: tree(old.configuration))))
    }
    for new in changed.problems {
      guard let old = base.problems.first(where: { $0.file == new.file }), old != new else { continue }
      effect.append(("problems \(new.file)", tree(new).changes(from: tree(old))))
    }
    return effect
  }
}
