import Checkpoint
import Foundation
import Reports
import Rollout
import Support

/// Evaluation on problems with known answers. Leaves `eval.json` and the episodes.
enum EvalStage {
  static func run(_ configuration: Configuration, folder: RunFolder, context: StageContext) throws {
    if context.resume, FileManager.default.fileExists(atPath: folder.file("eval.json")) {
      return context.onEvent(.note("\(folder.path) is finished"))
    }
    guard configuration.model != nil else {
      throw MartletError(.configuration, "model: is missing; name what is to be evaluated")
    }
    try folder.commit(fromStep: 1, context: context)
    let problems = try StageProblems(
      configuration.data + configuration.evalData, configuration, folder: folder, context: context)
    let engine = try RolloutEngine(
      LoadedModel.make(configuration, valueHead: false, pool: context.pool), configuration: configuration,
      context: context, scorer: problems.scorer)
    try evaluate(
      engine.admit(problems.given, folder: folder), engine: engine, configuration: configuration, folder: folder,
      context: context)
  }

  /// Evaluates a training stage's final model on `eval_data`. A run that was killed before does it on resume.
  static func runAtEnd(_ configuration: Configuration, folder: RunFolder, context: StageContext) throws {
    guard !FileManager.default.fileExists(atPath: folder.file("eval.json")) else { return }
    let problems = try StageProblems(
      nil, heldOut: configuration.evalData, configuration, folder: folder, context: context)
    let engine = try RolloutEngine(
      LoadedModel.load(folder.modelFile, valueHead: false, pool: context.pool), configuration: configuration,
      context: context, scorer: problems.scorer)
    try evaluate(
      engine.admit(problems.heldOut, folder: folder, list: "skipped-eval.jsonl"), engine: engine,
      configuration: configuration, folder: folder, context: context)
  }

  private static func evaluate(
    _ problems: [Problem], engine: RolloutEngine, configuration: Configuration, folder: RunFolder,
    context: StageContext
  ) throws {
    context.onEvent(.note(EpisodeJournal.costOfKill))
    let journal = try EpisodeJournal(
      folder, name: "eval", model: engine.loaded.identity(pool: context.pool), resume: context.resume)
    let episodes = try journal.run(
      engine.requests(problems, samples: 0..<configuration.samplesPerPrompt), step: 0, what: "evaluating",
      engine: engine)
    let rounds = try HintRounds(engine, configuration).run(after: episodes) { requests, round in
      try journal.run(requests, step: 0, what: "hints, round \(round)", engine: engine)
    }
    for (number, round) in rounds.dropLast().enumerated() {
      try EpisodeFile.write(round.episodes, to: folder.episodeFile(named: "eval-round-\(number)"))
    }
    let last = rounds.last?.episodes ?? episodes
    try EpisodeFile.write(last, to: folder.episodeFile(named: "eval"))
    let table =
      rounds.count > 1
      ? RoundTable(rounds.map { (engine.evaluation(of: $0.episodes), $0.hinted) }) : nil
    try write(last, rounds: table, engine: engine, configuration, folder: folder, context: context)
    journal.remove()
  }

  /// Judges the episodes of a file again: `eval --regrade`.
  static func regrade(
    _ path: String, _ configuration: Configuration, folder: RunFolder, context: StageContext
  ) throws {
    guard let model = configuration.model else {
      throw MartletError(.configuration, "model: is missing; its tokenizer reads the episodes")
    }
    var configuration = configuration
    configuration.sampling.tools = .none
    let scorer = try configuration.taskProgram.flatMap { program in
      let tape = TaskTape(program: program, folder: folder, configuration: configuration, context: context)
      return try tape.scorer(tape.problems())
    }
    let engine = try RolloutEngine(
      LoadedModel.load(model, valueHead: false, pool: context.pool), configuration: configuration, context: context,
      scorer: scorer)
    let episodes = try engine.judged(EpisodeFile.read(path))
    try EpisodeFile.write(episodes, to: folder.episodeFile(named: "eval"))
    try write(episodes, engine: engine, configuration, folder: folder, context: context)
  }

  private static func write(
    _ episodes: [Episode], rounds: RoundTable? = nil, engine: RolloutEngine, _ configuration: Configuration,
    folder: RunFolder, context: StageContext
  ) throws {
    // A program's verdicts are not by value: votes are then counted by spelling.
    let looks =
      try !engine.isJudgedByPrograms
      ? Evaluation.secondLooks(episodes, grader: engine.grader, tokenizer: engine.loaded.tokenizer) : nil
    let evaluation = engine.evaluation(of: episodes, looks: looks)
    var report = evaluation.report()
    if let rounds {
      report["rounds"] = rounds.report
      try writeFileAtomically(Data(rounds.picture.utf8), to: folder.file("rounds.svg"))
      context.onEvent(.note(rounds.text))
    }
    let data = try JSONSerialization.data(
      withJSONObject: report, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
    try writeFileAtomically(data + Data("\n".utf8), to: folder.file("eval.json"))
    context.onEvent(.evaluated(evaluation, step: nil))
    if let line = evaluation.libraryLine { context.onEvent(.note("responses that import: \(line)")) }
  }
}
