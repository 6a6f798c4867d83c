import Checkpoint
import Foundation
import Support

/// `run.json`: what a run was begun with, and how far it has come. A resumed run is compared with it.
struct RunRecord: Codable, Equatable {
  /// A file or model that the run's result depends on.
  struct File: Codable, Equatable {
    /// The configuration's key that names it.
    var key: String
    /// The path when the run began.
    var path: String
    /// ``ContentHash``; nil: it could not be read.
    var sha256: String?
  }

  /// The run and step that this one was branched from.
  struct Parent: Codable, Equatable {
    var run: String
    var step: Int
    /// Whether the optimizer's state came along, or only the weights.
    var hasOptimizer: Bool

    enum CodingKeys: String, CodingKey {
      case run, step
      case hasOptimizer = "has_optimizer"
    }
  }

  static let name = "run.json"

  var format = 1
  var stage: StageKind
  /// The version of the program that began the run.
  var version = Martlet.version
  /// Of the program that began it; nil in records of programs that did not know theirs.
  var commit: String? = Martlet.commit
  var files: [File]
  /// The step that the run ended at; nil: it has not ended.
  var finishedStep: Int?
  var parent: Parent?

  enum CodingKeys: String, CodingKey {
    case format, stage, version, commit, files
    case finishedStep = "finished_step"
    case parent
  }

  init(_ stage: StageKind, _ configuration: Configuration) {
    self.stage = stage
    files = configuration.files.map { File(key: $0.key, path: $0.path, sha256: try? ContentHash.of($0.path)) }
  }

  /// nil: the folder holds none.
  /// - Throws: `MartletError` (data) when it is damaged.
  static func read(_ folder: String) throws -> RunRecord? {
    let path = folder + "/" + name
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    do {
      return try JSONDecoder().decode(RunRecord.self, from: data)
    } catch {
      throw MartletError(.data, "\(path): is damaged (\(error)); restore it from a copy, or start another run")
    }
  }

  func write(_ folder: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try writeFileAtomically(encoder.encode(self) + Data("\n".utf8), to: folder + "/" + Self.name)
  }
}
