import Rollout
import Support

/// Puts hints into responses and judges what comes of them.
struct HintMaker {
  private let engine: RolloutEngine
  private let journal: EpisodeJournal
  private let configuration: Configuration
  private let finder: HintFinder
  /// Hinted responses in order, and for each why it was not kept; empty: it was.
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

  /// The model's own responses to `problems`.
  func traces(of problems: [Problem]) throws -> [Episode] {
    try journal.run(
      engine.requests(problems, samples: 0..<configuration.samplesPerPrompt), step: 0, what: "traces", engine: engine)
  }

  /// Cuts, hints and continues each response until nothing is left to improve or `rounds` cuts were made.
  mutating func improve(_ episodes: [Episode]) throws {
    var open = episodes
    let spots = configuration.hint.mode.spots
    for _ in 0..<configuration.hint.rounds where !spots.isEmpty {
      var requests: [SampleRequest] = []
      var places: [Int] = []
      for (place, episode) in open.enumerated() {
        let segments = episode.segments(engine.loaded.tokenizer)
        let analysis = engine.analysis(episode)
        guard let hint = finder.hint(analysis, of: segments, against: spots) else { continue }
        let prefix = prefix(
          of: episode, cutAt: hint.offset, hint: finder, kind: hint.kind, reason: hint.reason,
          tokenizer: engine.loaded.tokenizer)
        requests.append(SampleRequest(continuing: episode, from: prefix))
        places.append(place)
      }
      if requests.isEmpty { break }
      let continued = try journal.run(requests, step: 0, what: "hinted", engine: engine)
      for (place, episode) in zip(places, continued) { open[place] = episode }
    }
    for episode in open where !episode.hints.isEmpty || configuration.hint.mode == .unhinted { add(episode) }
  }

  /// Inserts hints at spots that a person chose.
  /// - Throws: `MartletError` (data) naming file and line of an edit that fits no episode.
  mutating func apply(_ edits: [HintStage.Edit], to episodes: [Episode], file: String) throws {
    let tools = configuration.sampling.tools
    var requests: [SampleRequest] = []
    for (number, edit) in edits.enumerated() {
      guard let episode = episodes.first(where: { $0.id == edit.id && $0.sample == edit.sample }) else {
        throw MartletError(.data, "\(file):\(number + 1): there is no episode \(edit.id), sample \(edit.sample)")
      }
      if let own = episode.tools, own != tools {
        throw MartletError(
          .data,
          "\(file):\(number + 1): episode \(edit.id) was sampled with tools \(own.rawValue); set sampling.tools to it")
      }
      do {
        let prefix = try prefix(
          of: episode, cutAtToken: edit.token, hint: edit.hint,
          kind: tools.reading.opensCall(edit.hint) ? .delayed : .distrust,
          reason: "chosen by a person", tokenizer: engine.loaded.tokenizer)
        requests.append(SampleRequest(continuing: episode, from: prefix))
      } catch let error as MartletError {
        throw MartletError(error.status, "\(file):\(number + 1): \(error.message)")
      }
    }
    for episode in try journal.run(requests, step: 0, what: "edited", engine: engine) { add(episode) }
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
    if settings.mode == .prompt || settings.mode == .unhinted {
      // The prompt hint only makes the model write code at all (CoRT's baseline): right answers with working code
      // count. Without hints, right answers do.
      why = []
      if episode.verdict != .correct { why.append("the answer is not correct") }
      if settings.mode == .prompt, !episode.calls.contains(where: { $0.status == .ok }) { why.append("no code ran") }
      if let limit, episode.modelTokenCount > limit {
        why.append("\(episode.modelTokenCount) tokens, more than \(limit)")
      }
    }
    if analysis.idleHints > 0 { why.append("a call that the hint opened never ran") }
    if episode.finish == .length { why.append("cut off") }
    return why
  }
}
