import Checkpoint
import Foundation
import PPO
import Reports
import Rollout
import Support
import Tokenization
import Transformer

/// Makes the final table from the stages' episodes.
struct Comparing {
  let parts: PipelineFile.Parts
  private var evaluations: [String: Evaluation] = [:]

  init(_ parts: PipelineFile.Parts) throws {
    self.parts = parts
    let wanted = parts.comparison.map { Set($0.rows + $0.over + [$0.of]) } ?? []
    for stage in parts.stages where wanted.contains(stage.name) {
      let episodes = try EpisodeFile.read("\(parts.root)/\(stage.name)/episodes/eval.jsonl")
      guard let model = stage.configuration.model else { continue }
      let header = try ModelSource.header(model)
      guard let json = header.files.tokenizer else { continue }
      let tokenizer = try Tokenizer(json: json, path: model)
      evaluations[stage.name] = Evaluation(
        episodes, labels: episodes.map { $0.analysis(tokenizer).blocks.map(\.label) })
    }
  }

  private func evaluation(_ name: String) throws -> Evaluation {
    guard let found = evaluations[name] else {
      throw MartletError(.data, "\(parts.root)/\(name): its model has no tokenizer; import it again with one")
    }
    return found
  }

  func summary(_ comparison: PipelineFile.Comparison) throws -> Summary {
    let rows = try comparison.rows.map { name -> Summary.Row in
      let evaluation = try evaluation(name)
      let model = parts.stages.first { $0.name == name }?.configuration.model ?? ""
      return Summary.Row(
        stage: name, model: model, accuracy: evaluation.value(.accuracy) ?? 0,
        interval: evaluation.interval(.accuracy), problems: evaluation.problems.count, figure: evaluation.value)
    }
    let last = try evaluation(comparison.of)
    let gains = try comparison.over.map { name -> Summary.Gain in
      let other = try evaluation(name)
      let difference = ProblemBootstrap().difference(last.ratio(.accuracy), other.ratio(.accuracy))
      return Summary.Gain(
        of: comparison.of, over: name, points: 100 * ((last.value(.accuracy) ?? 0) - (other.value(.accuracy) ?? 0)),
        low: difference.map { 100 * $0.low }, high: difference.map { 100 * $0.high })
    }
    return Summary(rows: rows, gains: gains)
  }
}
