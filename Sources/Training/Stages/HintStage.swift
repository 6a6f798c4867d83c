import Foundation
import Reports
import Rollout
import Support

/// Hint engineering (CoRT, arXiv:2510.20342, section 3): cut the model's own responses where the interpreter is not
/// used well, insert a sentence, let the model continue, and keep what ends right. Leaves `data.jsonl` and
/// `hints.jsonl`.
enum HintStage {
  /// Where and why a hint was inserted, and whether the response was kept: a line of `hints.jsonl`.
  private struct Record: Encodable {
    var id: String
    var sample: Int
    var hints: [Episode.Hint]
    var kept: Bool
    var reasons: [String]
  }

  /// A spot and a hint chosen by a person: a line of `hint --edits`.
  struct Edit: DataLine {
    static let keys = ["id", "sample", "token", "hint"]

    var id: String
    var sample: Int
    /// Where to cut: an index into the episode's tokens.
    var token: Int
    var hint: String
  }

  /// Runs the stage, or what is left of it.
  /// - Throws: `MartletError`: data when fewer than `hint.count` examples could be made; `Interrupted`.
  static func run(_ configuration: Configuration, folder: RunFolder, context: StageContext) throws {
    let dataFile = folder.file("data.jsonl")
    if context.resume, FileManager.default.fileExists(atPath: dataFile) {
      return context.onEvent(.note("\(folder.path) is finished"))
    }
    try check(configuration)
    try folder.commit(fromStep: 1, context: context)
    var configuration = configuration
    if configuration.hint.mode == .prompt, configuration.prompt.hint == nil {
      configuration.prompt.hint = configuration.hint.prompt
    }
    let source =
      try configuration.hint.episodes == nil
      ? StageProblems(configuration.data, configuration, folder: folder, context: context) : nil
    let engine = try RolloutEngine(
      LoadedModel.make(configuration, valueHead: false, pool: context.pool), configuration: configuration,
      context: context, scorer: source?.scorer)
    context.onEvent(.note(EpisodeJournal.costOfKill))
    let journal = try EpisodeJournal(
      folder, model: engine.loaded.identity(pool: context.pool), resume: context.resume)
    let problems = try source.map { try engine.admit($0.given, folder: folder) } ?? []
    var maker = HintMaker(engine, journal: journal, configuration: configuration)
    if let edits = configuration.hint.edits {
      let traces = try configuration.hint.episodes.map { try EpisodeFile.read($0) } ?? maker.traces(of: problems)
      try maker.apply(JSONLines.read(edits, as: Edit.self), to: traces, file: edits)
    } else {
      try placeHints(&maker, problems, configuration, folder: folder, context: context)
    }
    try write(maker, folder: folder)
    let kept = try examples(maker, configuration, folder: folder, context: context)
    try EpisodeFile.write(kept, to: dataFile)
    journal.remove()
  }

  /// There is a model whose responses get the hints, and it can call the interpreter.
  private static func check(_ configuration: Configuration) throws {
    guard configuration.model != nil else {
      throw MartletError(.configuration, "model: is missing; hints are put into a model's own responses")
    }
    guard configuration.sampling.tools != .none, configuration.sampling.maxCalls > 0 else {
      throw MartletError(
        .configuration,
        "sampling: nothing is executed (tools \(configuration.sampling.tools.rawValue), max_calls "
          + "\(configuration.sampling.maxCalls)), but only responses that call the interpreter are kept")
    }
  }

  /// Samples traces and places hints in them, batch by batch of problems, until `hint.count` examples are kept.
  private static func placeHints(
    _ maker: inout HintMaker, _ problems: [Problem], _ configuration: Configuration, folder: RunFolder,
    context: StageContext
  ) throws {
    let wanted = configuration.hint.count
    for start in stride(from: 0, to: problems.count, by: configuration.promptsPerStep) {
      guard maker.kept.count < wanted else { return }
      let batch = Array(problems[start..<min(start + configuration.promptsPerStep, problems.count)])
      try maker.improve(maker.traces(of: batch))
      try write(maker, folder: folder)
      context.onEvent(
        .steps(Progress(what: "hints", done: min(maker.kept.count, wanted), total: wanted, unit: "examples")))
    }
  }

  /// The kept examples: all where a person chose the spots, else `hint.count` of them.
  private static func examples(
    _ maker: HintMaker, _ configuration: Configuration, folder: RunFolder, context: StageContext
  ) throws -> [Episode] {
    let isEdited = configuration.hint.edits != nil
    let kept = Array(maker.kept.prefix(isEdited ? .max : configuration.hint.count))
    context.onEvent(.note("\(kept.count) of \(maker.tried.count) hinted responses are kept"))
    guard isEdited || kept.count >= configuration.hint.count else {
      throw MartletError(
        .data,
        "\(folder.path): \(kept.count) of \(configuration.hint.count) examples were made; go on with --resume and "
          + "a lower hint.count, or start a new run with more problems or samples_per_prompt (what was tried is in "
          + "hints.jsonl)")
    }
    return kept
  }

  /// Writes what was tried so far, and why it was kept or not.
  private static func write(_ maker: HintMaker, folder: RunFolder) throws {
    try EpisodeFile.write(maker.tried, to: folder.episodeFile(step: 0))
    try JSONLines.write(
      zip(maker.tried, maker.reasons).map { episode, reasons in
        Record(
          id: episode.id, sample: episode.sample, hints: episode.hints, kept: reasons.isEmpty, reasons: reasons)
      }, to: folder.file("hints.jsonl"))
  }
}
