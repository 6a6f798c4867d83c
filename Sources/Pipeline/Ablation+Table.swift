import Checkpoint
import Foundation
import PPO
import Rollout
import Tensor

extension Ablation {
  /// The cases that have results, compared.
  struct Table {
    /// A figure of a case: its mean over the seeds, and against the first case.
    struct Figure {
      var value: Double?
      var interval: Interval?
      /// Minus the first case's; nil in its own row, and where seeds or problems are not the same.
      var difference: Double?
      var differenceInterval: Interval?
      /// Of ``signFlipTest(_:draws:key:)``.
      var pValue: Double?
    }

    struct Seed {
      var seed: UInt64
      var accuracy, tokens: Double?
      /// The hash of the weights that were evaluated.
      var weights: String?
    }

    struct Row {
      var name: String
      var set: [String]
      /// By stage and key, what the case changes.
      var effect: ConfigurationTree
      /// Seeds with results.
      var seeds: [UInt64]
      var accuracy, tokens: Figure
      var bySeed: [Seed]
      var error: String?
    }

    var run, pipeline, row: String
    var seeds: [UInt64]
    var rows: [Row] = []

    init(_ ablation: Ablation, _ failed: [String: MartletError]) throws {
      let file = ablation.file
      (run, pipeline, row, seeds) = (file.run, file.pipeline, file.row, file.seeds)
      var first: [(seed: UInt64, evaluation: Evaluation)]?
      for item in ablation.cases {
        let own = ablation.runs.filter { $0.name == item.name }
        let results = try own.compactMap { run -> (seed: UInt64, evaluation: Evaluation)? in
          guard let mark = try? Mark.read(run.folder), mark.isFinished, mark.identity == run.identity else {
            return nil
          }
          let episodes = try EpisodeFile.read(ablation.episodes(of: run))
          return (run.seed, Evaluation(episodes, labels: episodes.map { _ in [] }))
        }
        let isFirst = item.name == ablation.cases.first?.name
        if isFirst { first = results }
        let reference = isFirst ? nil : first
        let weights = own.map { (try? ablation.weights(of: $0)) ?? nil }
        let bySeed = results.map { seed, evaluation in
          Seed(
            seed: seed, accuracy: evaluation.value(.accuracy), tokens: evaluation.value(.tokens),
            weights: zip(own, weights).first { $0.0.seed == seed }?.1)
        }
        rows.append(
          Row(
            name: item.name, set: item.set,
            effect: .map(item.effect.map { ($0.stage, ConfigurationChange.tree($0.changes)) }),
            seeds: results.map(\.seed), accuracy: Self.figure(.accuracy, results, reference),
            tokens: Self.figure(.tokens, results, reference), bySeed: bySeed,
            error: own.compactMap { failed[$0.folder]?.message }.first))
      }
    }

    private static func figure(
      _ figure: Evaluation.Figure, _ results: [(seed: UInt64, evaluation: Evaluation)],
      _ reference: [(seed: UInt64, evaluation: Evaluation)]?
    ) -> Figure {
      guard let ids = results.first?.evaluation.problems.map(\.id),
        let own = ratio(figure, results, ids)
      else { return Figure() }
      var made = Figure(value: own.value, interval: SeededBootstrap().interval(own))
      // Seed by seed, problem by problem: what one of the two lacks, the other cannot be compared with.
      guard let reference else { return made }
      let shared = results.map(\.seed).filter { seed in reference.contains { $0.seed == seed } }
      let a = results.filter { shared.contains($0.seed) }
      let b = reference.filter { shared.contains($0.seed) }
      guard !shared.isEmpty, let mine = ratio(figure, a, ids), let theirs = ratio(figure, b, ids) else { return made }
      made.difference = mine.value.flatMap { own in theirs.value.map { own - $0 } }
      made.differenceInterval = SeededBootstrap().difference(mine, theirs)
      made.pValue = signFlipTest(zip(mine.byProblem, theirs.byProblem).map { $0 - $1 })
      return made
    }

    /// nil: not all of them evaluated these problems.
    private static func ratio(
      _ figure: Evaluation.Figure, _ results: [(seed: UInt64, evaluation: Evaluation)], _ ids: [String]
    ) -> SeededRatio? {
      var seeds: [ProblemRatio] = []
      for (_, evaluation) in results {
        let places = Dictionary(evaluation.problems.enumerated().map { ($1.id, $0) }) { first, _ in first }
        let order = ids.compactMap { places[$0] }
        guard order.count == ids.count, places.count == ids.count else { return nil }
        let ratio = evaluation.ratio(figure)
        seeds.append(
          ProblemRatio(
            numerators: order.map { ratio.numerators[$0] }, denominators: order.map { ratio.denominators[$0] }))
      }
      return SeededRatio(seeds)
    }
  }

  /// The hash of the weights that the row evaluates, as `train inspect --hash` gives it.
  func weights(of run: Run) throws -> String? {
    guard let model = run.request.parts.stages.first(where: { $0.name == file.row })?.configuration.model else {
      return nil
    }
    let inside = model + "/model.h5"
    return try ModelFile.inspect(FileManager.default.fileExists(atPath: inside) ? inside : model).weightsHash
  }
}
