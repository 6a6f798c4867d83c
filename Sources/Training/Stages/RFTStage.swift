import Foundation
import Rollout
import Support
import Tensor

/// Rejection fine-tuning: sample, keep what is right and efficient, fine-tune on it.
enum RFTStage {
  static func run(_ configuration: Configuration, folder: RunFolder, context: StageContext) throws {
    if folder.isFinished(configuration) { return context.onEvent(.note("\(folder.path) is finished")) }
    let keptFile = folder.file("kept.jsonl")
    if !(context.resume && FileManager.default.fileExists(atPath: keptFile)) {
      try sample(configuration, folder: folder, context: context, to: keptFile)
    }
    var training = configuration
    training.data = [keptFile] + configuration.rejection.mix
    try SFTStage.run(training, folder: folder, context: context)
  }

  /// The model that samples: the teacher in the place of the model, where there is one. It is freed before training.
  static func sampled(_ configuration: Configuration, pool: WorkerPool) throws -> LoadedModel {
    guard configuration.model != nil else {
      throw MartletError(.configuration, "model: is missing; rft fine-tunes it, on responses of its own or a teacher's")
    }
    guard let teacher = configuration.teacher else {
      return try LoadedModel.make(configuration, valueHead: false, pool: pool)
    }
    return try LoadedModel.taught(LoadedModel.header(configuration), by: teacher, pool: pool)
  }

  private static func sample(
    _ configuration: Configuration, folder: RunFolder, context: StageContext, to keptFile: String
  ) throws {
    let source = try StageProblems(configuration.data, configuration, folder: folder, context: context)
    let engine = try RolloutEngine(
      sampled(configuration, pool: context.pool), configuration: configuration, context: context, scorer: source.scorer)
    let problems = try engine.admit(source.given, folder: folder)
    context.onEvent(.note(EpisodeJournal.costOfKill))
    // Find mistakes in files that are read after the sampling before it begins.
    let mix = configuration.rejection.mix
    if !mix.isEmpty || !configuration.evalData.isEmpty {
      _ = try SFTStage.read(mix, for: engine.loaded, configuration, folder: folder) { _ in }
    }
    let journal = try EpisodeJournal(
      folder, model: engine.loaded.identity(pool: context.pool), resume: context.resume)
    let episodes = try journal.run(
      engine.requests(problems, samples: 0..<configuration.samplesPerPrompt), step: 0, what: "sampling", engine: engine)
    try EpisodeFile.write(episodes, to: folder.episodeFile(step: 0))
    let kept = selection(episodes, settings: configuration.rejection) { engine.analysis($0) }
    context.onEvent(
      .note(
        "kept \(kept.count) of \(episodes.count) episodes, of \(Set(kept.map(\.id)).count) of "
          + "\(problems.count) problems"
      ))
    guard !kept.isEmpty else {
      throw MartletError(
        .data,
        "\(folder.path): none of \(episodes.count) episodes passed the filter "
          + "\(configuration.rejection.filter.rawValue); look at \(folder.path)/episodes; go on with --resume and "
          + "another filter, or start a new run with more samples"
      )
    }
    try EpisodeFile.write(kept, to: keptFile)
    journal.remove()
  }

  /// The episodes to train on: those that pass the filter, without repeats, the shortest few of each problem, in input
  /// order.
  static func selection(
    _ episodes: [Episode], settings: Configuration.Rejection, analysis: (Episode) -> BehaviourAnalysis
  ) -> [Episode] {
    var seen = Set<[Int32]>()
    var byProblem: [String: [Int]] = [:]
    for (index, episode) in episodes.enumerated() {
      guard passes(episode, settings, analysis), episode.finish == .stop else { continue }
      guard seen.insert(episode.tokens).inserted else { continue }
      byProblem[episode.id, default: []].append(index)
    }
    let chosen = byProblem.values.flatMap { places in
      places.sorted { (episodes[$0].modelTokenCount, $0) < (episodes[$1].modelTokenCount, $1) }.prefix(
        settings.perProblem)
    }
    return chosen.sorted().map { episodes[$0] }
  }

  private static func passes(
    _ episode: Episode, _ settings: Configuration.Rejection, _ analysis: (Episode) -> BehaviourAnalysis
  ) -> Bool {
    let limit = settings.maxTokens > 0 ? settings.maxTokens : nil
    let correct = episode.verdict == .correct
    guard settings.filter == .efficient else {
      return (correct || settings.filter == .finished) && episode.modelTokenCount <= limit ?? .max
    }
    guard correct else { return false }
    return analysis(episode).verdict(
      correct: correct, calls: episode.traceCalls, tokens: episode.modelTokenCount, maximumTokens: limit
    ).keep
  }
}
