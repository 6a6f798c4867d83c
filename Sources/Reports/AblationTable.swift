import PPO
import Rollout
import Support

/// The finished cases of an ablation, each compared with the first.
public struct AblationTable: Sendable {
  /// A figure of a case: its mean over the seeds, and its difference from the first case.
  package struct Figure: Sendable {
    var value: Double?
    var interval: Interval?
    /// The mean minus the first case's; nil in the first row, and where seeds or problems differ.
    var difference: Double?
    var differenceInterval: Interval?
    /// Of ``signFlipTest(_:draws:key:)``.
    var pValue: Double?
  }

  /// What one seed of a case came to.
  package struct Seed: Sendable {
    var seed: UInt64
    var accuracy, tokens: Double?
    /// The hash of the weights that were evaluated.
    var weights: String?
  }

  /// One case.
  package struct Row: Sendable {
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

  /// The ablation's folder, its pipeline's file, and the stage whose figures are compared.
  package var run, pipeline, row: String
  /// The seeds that every case is to run with.
  package var seeds: [UInt64]
  /// The cases, in the order of the file.
  package var rows: [Row] = []

  /// A table whose rows may still be added.
  package init(run: String, pipeline: String, row: String, seeds: [UInt64], rows: [Row] = []) {
    (self.run, self.pipeline, self.row, self.seeds, self.rows) = (run, pipeline, row, seeds, rows)
  }

  /// The result of one run of a case.
  package struct Result: Sendable {
    /// The seed of the run.
    package var seed: UInt64
    /// Its evaluation.
    package var evaluation: Evaluation

    /// The result of one seed.
    package init(seed: UInt64, evaluation: Evaluation) {
      self.seed = seed
      self.evaluation = evaluation
    }
  }
}

extension AblationTable.Row {
  /// - Parameters:
  ///   - results: one for each seed that has finished.
  ///   - reference: the first case's results; nil for the first case itself.
  ///   - weights: the hash of the evaluated weights, one for each result.
  package init(
    name: String, set: [String], effect: ConfigurationTree, results: [AblationTable.Result],
    reference: [AblationTable.Result]?, weights: [String?], error: String?
  ) {
    let bySeed = zip(results, weights).map { result, weights in
      AblationTable.Seed(
        seed: result.seed, accuracy: result.evaluation.value(.accuracy), tokens: result.evaluation.value(.tokens),
        weights: weights)
    }
    self.init(
      name: name, set: set, effect: effect, seeds: results.map(\.seed),
      accuracy: Self.figure(.accuracy, results, reference), tokens: Self.figure(.tokens, results, reference),
      bySeed: bySeed, error: error)
  }

  private static func figure(
    _ figure: Evaluation.Figure, _ results: [AblationTable.Result],
    _ reference: [AblationTable.Result]?
  ) -> AblationTable.Figure {
    guard let ids = results.first?.evaluation.problems.map(\.id),
      let own = ratio(figure, results, ids)
    else { return AblationTable.Figure() }
    var made = AblationTable.Figure(value: own.value, interval: SeededBootstrap().interval(own))
    // Cases are compared seed by seed and problem by problem; what one of them lacks is left out.
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

  /// The figure by seed and problem; nil: not all seeds evaluated these problems.
  private static func ratio(
    _ figure: Evaluation.Figure, _ results: [AblationTable.Result], _ ids: [String]
  ) -> SeededRatio? {
    var seeds: [ProblemRatio] = []
    for evaluation in results.map(\.evaluation) {
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
