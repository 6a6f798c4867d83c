import Checkpoint
import Foundation
import PPO
import Reports
import Rollout
import Support

extension AblationTable {
  init(_ ablation: Ablation, _ failed: [String: MartletError]) throws {
    let file = ablation.file
    self.init(run: file.run, pipeline: file.pipeline, row: file.row, seeds: file.seeds)
    var first: [AblationTable.Result]?
    for item in ablation.cases {
      let own = ablation.runs.filter { $0.name == item.name }
      let results = try own.compactMap { run -> AblationTable.Result? in
        guard let mark = try? Ablation.Mark.read(run.folder), mark.isFinished, mark.identity == run.identity else {
          return nil
        }
        let episodes = try EpisodeFile.read(ablation.episodes(of: run))
        return Result(seed: run.seed, evaluation: Evaluation(episodes, labels: episodes.map { _ in [] }))
      }
      let isFirst = item.name == ablation.cases.first?.name
      if isFirst { first = results }
      let reference = isFirst ? nil : first
      let weights = own.map { (try? ablation.weights(of: $0)) ?? nil }
      rows.append(
        Row(
          name: item.name, set: item.set,
          effect: .map(item.effect.map { ($0.stage, ConfigurationChange.tree($0.changes)) }),
          results: results, reference: reference,
          weights: results.map { result in zip(own, weights).first { $0.0.seed == result.seed }?.1 },
          error: own.compactMap { failed[$0.folder]?.message }.first))
    }
  }
}

extension Ablation {
  /// The hash of the weights that the row evaluates, as `train inspect --hash` gives it.
  func weights(of run: Run) throws -> String? {
    guard let model = run.request.parts.stages.first(where: { $0.name == file.row })?.configuration.model else {
      return nil
    }
    let inside = model + "/model.h5"
    return try ModelFile.inspect(FileManager.default.fileExists(atPath: inside) ? inside : model).weightsHash
  }
}
