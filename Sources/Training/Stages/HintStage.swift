import Foundation
import Reports
import Rollout
import Support

/// Hint engineering (CoRT, arXiv:2510.20342, section 3): cut the model's own traces where the interpreter is not used
/// well, insert a sentence, let the model go on, keep what ends right. Leaves `data.jsonl` and `hints.jsonl`.
enum HintStage {
  /// Where and why a hint was put, and what became of it: a line of `hints.jsonl`.
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

  static func run(_ configuration: Configuration, folder: RunFolder, context: StageContext) throws {
    let dataFile = folder.file("data.jsonl")
    if context.resume, FileManager.default.fileExists(atPath: dataFile) {
      return context.onEvent(.note("\(folder.path) is finished"))
    }
    guard let path = configuration.model else {
      throw MartletError(.configuration, "model: is missing; hints are put into a model's own responses")
    }
    guard configuration.sampling.tools != .none, configuration.sampling.maxCalls > 0 else {
      throw MartletError(
        .configuration,
        "sampling: nothing is executed (tools \(configuration.sampling.tools.rawValue), max_calls "
          + "\(configuration.sampling.maxCalls)), but only responses that call the interpreter are kept")
    }
    try folder.commit(fromStep: 1, context: context)
    var configuration = configuration
    if configuration.hint.mode == .prompt, configuration.prompt.hint == nil {
      configuration.prompt.hint = configuration.hint.prompt
    }
    let engine = try RolloutEngine(
      LoadedModel.load(path, valueHead: false), configuration: configuration, context: context)
    context.onEvent(.note(EpisodeJournal.costOfKill))
    let journal = try EpisodeJournal(
      folder, model: engine.loaded.identity(pool: context.pool), resume: context.resume)
    var maker = HintMaker(engine, journal: journal, configuration: configuration)
    let problems =
      try configuration.hint.episodes == nil
      ? engine.admit(Stage.problems(configuration.data, key: "data"), folder: folder) : []
    func traces(of problems: [Problem]) throws -> [Episode] {
      try journal.run(
        engine.requests(problems, samples: 0..<configuration.samplesPerPrompt), step: 0, what: "traces", engine: engine)
    }
    if let edits = configuration.hint.edits {
      let episodes = try configuration.hint.episodes.map { try EpisodeFile.read($0) } ?? traces(of: problems)
      try maker.apply(JSONLines.read(edits, as: Edit.self), to: episodes, file: edits)
    } else {
      let batches = stride(from: 0, to: problems.count, by: configuration.promptsPerStep).map {
        Array(problems[$0..<min($0 + configuration.promptsPerStep, problems.count)])
      }
      for batch in batches where maker.kept.count < configuration.hint.count {
        try maker.improve(traces(of: batch))
        try write(maker, folder: folder)
        context.onEvent(
          .steps(
            Progress(
              what: "hints", done: min(maker.kept.count, configuration.hint.count), total: configuration.hint.count,
              unit: "examples")))
      }
    }
    try write(maker, folder: folder)
    let kept = Array(maker.kept.prefix(configuration.edits ? .max : configuration.hint.count))
    context.onEvent(.note("\(kept.count) of \(maker.tried.count) hinted responses are kept"))
    if kept.count < configuration.hint.count, !configuration.edits {
      throw MartletError(
        .data,
        "\(folder.path): \(kept.count) of \(configuration.hint.count) examples were made; go on with --resume and "
          + "a lower hint.count, or start a new run with more problems or samples_per_prompt (what was tried is in "
          + "hints.jsonl)")
    }
    try EpisodeFile.write(kept, to: dataFile)
    journal.remove()
  }

  /// What was tried so far and why it was kept or not.
  private static func write(_ maker: HintMaker, folder: RunFolder) throws {
    try EpisodeFile.write(maker.tried, to: folder.episodeFile(step: 0))
    try JSONLines.write(
      zip(maker.tried, maker.reasons).map { episode, reasons in
        Record(
          id: episode.id, sample: episode.sample, hints: episode.hints, kept: reasons.isEmpty, reasons: reasons)
      }, to: folder.file("hints.jsonl"))
  }
}

extension Configuration {
  fileprivate var edits: Bool { hint.edits != nil }
}

/// Puts hints into responses and judges what comes of them.
struct HintMaker {
  private let engine: RolloutEngine
  private let journal: EpisodeJournal
  private let configuration: Configuration
  private let finder: HintFinder
  /// Hinted responses in the order they ended, and for each why it was not kept (empty: kept).
  private(set) var tried: [Episode] = []
  private(set) var reasons: [[String]] = []
  private(set) var kept: [Episode] = []
  private var usedProblems = Set<String>()

  init(_ engine: RolloutEngine, journal: EpisodeJournal, configuration: Configuration) {
    self.engine = engine
    self.journal = journal
    self.configuration = configuration
    var finder = HintFinder()
    finder.delayed = configuration.hint.delayed
    finder.distrust = configuration.hint.distrust
    finder.prompt = configuration.hint.prompt
    finder.tools = configuration.sampling.tools
    self.finder = finder
  }

  /// Cuts, hints and continues until nothing is left to improve or `rounds` cuts were made.
  mutating func improve(_ episodes: [Episode]) throws {
    var open = episodes
    for _ in 0..<configuration.hint.rounds where configuration.hint.mode == .engineered {
      var requests: [SampleRequest] = []
      var places: [Int] = []
      for (place, episode) in open.enumerated() {
        let segments = episode.segments(engine.loaded.tokenizer)
        let analysis = engine.analysis(episode)
        guard let hint = finder.hint(analysis, of: segments) else { continue }
        let prefix = prefix(
          of: episode, cutAt: hint.offset, hint: finder, kind: hint.kind, reason: hint.reason,
          tokenizer: engine.loaded.tokenizer)
        requests.append(request(episode, prefix))
        places.append(place)
      }
      if requests.isEmpty { break }
      let continued = try journal.run(requests, step: 0, what: "hinted", engine: engine)
      for (place, episode) in zip(places, continued) { open[place] = episode }
    }
    for episode in open where !episode.hints.isEmpty { add(episode) }
  }

  /// The spots of a person.
  mutating func apply(_ edits: [HintStage.Edit], to episodes: [Episode], file: String) throws {
    let tools = configuration.sampling.tools
    var requests: [SampleRequest] = []
    for (number, edit) in edits.enumerated() {
      guard let episode = episodes.first(where: { $0.id == edit.id && $0.sample == edit.sample }) else {
        throw MartletError(.data, "\(file):\(number + 1): there is no episode \(edit.id), sample \(edit.sample)")
      }
      if let own = episode.sampling?.tools, own != tools {
        throw MartletError(
          .data,
          "\(file):\(number + 1): episode \(edit.id) was sampled with tools \(own.rawValue); set sampling.tools to it")
      }
      do {
        let prefix = try prefix(
          of: episode, cutAtToken: edit.token, hint: edit.hint,
          kind: tools.reading.opensCall(edit.hint) ? .delayed : .distrust,
          reason: "chosen by a person", tokenizer: engine.loaded.tokenizer)
        requests.append(request(episode, prefix))
      } catch let error as MartletError {
        throw MartletError(error.status, "\(file):\(number + 1): \(error.message)")
      }
    }
    for episode in try journal.run(requests, step: 0, what: "edited", engine: engine) { add(episode) }
  }

  private func request(_ episode: Episode, _ prefix: Prefix) -> SampleRequest {
    SampleRequest(
      problem: Problem(id: episode.id, problem: episode.problem, gold: episode.gold ?? ""), sample: episode.sample,
      promptTokens: Array(episode.tokens[..<episode.promptCount]), prefix: prefix)
  }

  private mutating func add(_ episode: Episode) {
    var why = Self.reasons(against: episode, engine.analysis(episode), configuration.hint)
    if why.isEmpty, configuration.hint.edits == nil, !usedProblems.insert(episode.id).inserted {
      why.append("another sample of this problem is kept")
    }
    tried.append(episode)
    reasons.append(why)
    if why.isEmpty { kept.append(episode) }
  }

  /// Why a hinted response is not worth training on; empty: it is.
  static func reasons(
    against episode: Episode, _ analysis: BehaviourAnalysis, _ settings: Configuration.Hint
  ) -> [String] {
    let limit = settings.maxTokens > 0 ? settings.maxTokens : nil
    let verdict = analysis.verdict(
      correct: episode.verdict == .correct, calls: episode.traceCalls, tokens: episode.modelTokenCount,
      maximumTokens: limit)
    var why = verdict.reasons
    if settings.mode == .prompt {
      // The prompt hint is only there to get code at all (CoRT's baseline): right answers with working code count.
      why = []
      if episode.verdict != .correct { why.append("the answer is not correct") }
      if !episode.calls.contains(where: { $0.status == .ok }) { why.append("no code ran") }
      if let limit, episode.modelTokenCount > limit {
        why.append("\(episode.modelTokenCount) tokens, more than \(limit)")
      }
    }
    if analysis.idleHints > 0 { why.append("a call that the hint opened never ran") }
    if episode.finish == .length { why.append("cut off") }
    return why
  }
}
