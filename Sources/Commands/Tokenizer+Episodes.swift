import Foundation
import Rollout
import Support
import Tokenization
import Training

extension Tokenizer {
  /// The tokenizer that a file of episodes was written with.
  /// - Parameter model: what the user named; nil: the model of the run that the file lies in, else the demo's.
  /// - Throws: `MartletError`: usage when no run is known, io and data.
  static func of(episodes path: String, model: InputPath?) throws -> Tokenizer {
    if let model { return try read(model.name) }
    let manager = FileManager.default
    var folder = URL(fileURLWithPath: path).deletingLastPathComponent().standardizedFileURL
    for _ in 0..<3 {
      if manager.fileExists(atPath: folder.path + "/model.h5") { return try read(folder.path + "/model.h5") }
      let config = folder.path + "/config.yaml"
      if manager.fileExists(atPath: config), let model = try Configuration.load(config).model {
        return try read(model)
      }
      folder.deleteLastPathComponent()
    }
    let configs = ["configs"] + PythonRuntime.programFolders.map { $0 + "/share/martlet/configs" }
    guard let demo = configs.map({ $0 + "/demo/tokenizer.json" }).first(where: manager.fileExists) else {
      throw MartletError(
        .usage, "\(path): belongs to no run, so its tokens cannot be read; name the model with --model")
    }
    Console.note("\(path) belongs to no run; its tokens are read with \(demo) (--model names another)")
    return try read(demo)
  }

  /// - Throws: `MartletError` (data) when the episode has a token that is not in the vocabulary.
  func check(_ episode: Episode, place: String) throws {
    guard let token = episode.tokens.first(where: { Int($0) >= vocabularyCount }) else { return }
    throw MartletError(
      .data,
      "\(place) (\(episode.id)): token \(token) is not in the tokenizer's vocabulary of \(vocabularyCount); name the "
        + "model it is of with --model")
  }
}
