import Checkpoint
import Demo
import Foundation
import Reports
import Rollout
import Support
import Tensor

extension Augmentation {
  /// New problems that a model writes and solves. What it has sampled is kept in `OUTPUT.work` until the end: the same
  /// command goes on where an earlier one was ended.
  /// - Parameter configuration: how it solves; problems are written without tools.
  /// - Throws: `MartletError`; `Interrupted` when asked to stop.
  public static func withModel(
    _ loaded: LoadedModel, _ input: String, _ settings: Settings, _ configuration: Configuration, to output: String,
    context: StageContext
  ) throws -> Augmentation {
    let sources = try Problem.readFile(input)
    var work = try Augmentation(settings, sources: sources.map(\.problem))
    let folder = try RunFolder(NSString(string: output + ".work").standardizingPath.absolutePath, resume: true)
    let writer = try Writer(loaded, configuration, settings, folder: folder, context: context)
    let proposals = try writer.proposals(from: sources).filter { work.admits($0) }
    try work.judge(proposals, writer.responses(to: proposals), model: writer.identity)
    try work.write(to: output)
    try? FileManager.default.removeItem(atPath: folder.path)
    return work
  }

  /// Keeps the proposals whose answer enough responses agree on, one of them by executed code.
  mutating func judge(_ proposals: [Proposal], _ episodes: [[Episode]], model: String) throws {
    let grader = Grader()
    for (proposal, responses) in zip(proposals, episodes) {
      let answers = responses.map(\.answer)
      let keys = try Self.keys(answers, grader)
      guard let (answer, places) = Self.majority(answers, keys: keys), places.count >= settings.agree else {
        leaveOut(proposal, .noAgreement)
        continue
      }
      let executed = try places.count { try Self.isExecuted(responses[$0], grader) }
      guard executed > 0 else {
        leaveOut(proposal, .notExecuted)
        continue
      }
      // Other words ask for the same.
      if proposal.method == .wording, let old = proposal.from.first?.gold,
        try grader.gradeMany([(answer: answer, gold: old)]).first?.verdict != .correct
      {
        leaveOut(proposal, .otherAnswer)
        continue
      }
      keep(
        proposal, answer: answer,
        Provenance(
          method: proposal.method, from: proposal.from.map(\.id), concepts: proposal.concepts, model: model,
          seed: settings.seed, agreeing: places.count, samples: responses.count, executed: executed))
    }
  }

  private static func keys(_ answers: [String?], _ grader: Grader) throws -> [String?] {
    let given = answers.compactMap(\.self)
    var keys = try grader.voteKeys(given)[...]
    return answers.map { $0 == nil ? nil : keys.removeFirst() }
  }

  /// The answer that most responses give, as its first response spells it, and which those are; of a tie the first.
  static func majority(_ answers: [String?], keys: [String?]) -> (answer: String, places: [Int])? {
    let classes = Dictionary(grouping: keys.indices.filter { keys[$0] != nil }, by: { keys[$0] ?? "" })
    guard let best = classes.values.max(by: { ($0.count, -$0[0]) < ($1.count, -$1[0]) }), let answer = answers[best[0]]
    else { return nil }
    return (answer, best)
  }

  /// Whether the last line that a call printed is the response's answer.
  private static func isExecuted(_ episode: Episode, _ grader: Grader) throws -> Bool {
    guard let answer = episode.answer else { return false }
    let lines = episode.calls.filter { $0.status == .ok }.compactMap { lastLine($0.output) }
    return try grader.gradeMany(lines.map { (answer: $0, gold: answer) }).contains { $0.verdict == .correct }
  }
}

extension String {
  fileprivate var absolutePath: String { URL(fileURLWithPath: self).standardizedFileURL.path }
}

extension Augmentation {
  /// The model that writes problems and solves them.
  fileprivate final class Writer {
    private let loaded: LoadedModel
    private let solving: Configuration
    private let settings: Settings
    private let folder: RunFolder
    private let context: StageContext
    let identity: String

    init(
      _ loaded: LoadedModel, _ configuration: Configuration, _ settings: Settings, folder: RunFolder,
      context: StageContext
    ) throws {
      (self.loaded, solving, self.settings, self.folder, self.context) =
        (loaded, configuration, settings, folder, context)
      identity = loaded.identity(pool: context.pool)
    }

    /// One response to each text, without tools; nil where it was cut off.
    private func write(_ prompts: [(id: String, text: String)], name: String) throws -> [String?] {
      guard !prompts.isEmpty else { return [] }
      var configuration = solving
      (configuration.sampling.tools, configuration.prompt.instruction, configuration.prompt.hint) = (.none, "", nil)
      let engine = try RolloutEngine(loaded, configuration: configuration, context: context)
      let problems = prompts.map { Problem(id: $0.id, problem: $0.text, gold: "0", prompt: $0.text) }
      let episodes = try sample(engine, problems, samples: 1, name: name)
      return problems.map { problem in
        guard let episode = episodes[problem.id]?.first, episode.finish == .stop else { return nil }
        return episode.ownWords(loaded.tokenizer)
      }
    }

    /// The responses by problem. One whose prompt is too long has none.
    private func sample(
      _ engine: RolloutEngine, _ problems: [Problem], samples: Int, name: String
    ) throws -> [String: [Episode]] {
      let journal = try EpisodeJournal(folder, name: name, model: identity, resume: true)
      let admitted = try engine.room.admit(
        problems.map { PlacedProblem(problem: $0, place: "\(name): \($0.id)") }, list: nil, onEvent: context.onEvent)
      let episodes = try journal.run(
        engine.requests(admitted, samples: 0..<samples), step: 0, what: name, engine: engine)
      return Dictionary(grouping: episodes, by: \.id)
    }

    /// The responses to each proposal, with the interpreter.
    func responses(to proposals: [Proposal]) throws -> [[Episode]] {
      guard !proposals.isEmpty else { return [] }
      let engine = try RolloutEngine(loaded, configuration: solving, context: context)
      let problems = proposals.map { Problem(id: $0.id, problem: $0.text, gold: "0") }
      let episodes = try sample(engine, problems, samples: settings.samples, name: "answers")
      return problems.map { episodes[$0.id] ?? [] }
    }

    /// What the model proposes: by each method in turn, for each problem in turn.
    func proposals(from sources: [Problem]) throws -> [Proposal] {
      try settings.methods.flatMap { method in
        switch method {
        case .numbers, .wording: try rewritten(sources, method)
        case .concepts: try fromConcepts(sources)
        case .template: [Proposal]()
        }
      }
    }

    private func rewritten(_ sources: [Problem], _ method: Method) throws -> [Proposal] {
      let wanted = sources.flatMap { source in
        (0..<settings.perProblem).map { (source, "\(source.id)-\(method.rawValue)-\($0)") }
      }
      let texts = try write(
        wanted.map { ($0.1, AugmentPrompt.rewrite($0.0.problem, method)) }, name: method.rawValue)
      return zip(wanted, texts).map { wanted, text in
        Proposal(id: wanted.1, text: AugmentPrompt.problem(in: text), method: method, from: [wanted.0])
      }
    }

    private func fromConcepts(_ sources: [Problem]) throws -> [Proposal] {
      let lists = try write(
        sources.map { ($0.id + "-concepts", AugmentPrompt.concepts(of: $0.problem)) }, name: "concepts"
      ).map { $0.map(ConceptGraph.concepts) ?? [] }
      let graph = ConceptGraph(lists)
      var random = CounterRandom(seed: settings.seed, path: [stableHash("augment"), stableHash("concepts")])
      let walks = (0..<sources.count * settings.perProblem).map { _ in
        graph.walk(&random, steps: random.integer(2...4))
      }.filter { !$0.isEmpty }
      let texts = try write(
        walks.enumerated().map { ("concepts-\($0)", AugmentPrompt.compose($1)) }, name: "problems")
      return zip(walks, texts).enumerated().map { number, pair in
        let from = zip(sources, lists).filter { !Set($1).isDisjoint(with: pair.0) }.map(\.0)
        return Proposal(
          id: "concepts-\(number)", text: AugmentPrompt.problem(in: pair.1), method: .concepts, from: from,
          concepts: pair.0)
      }
    }
  }
}
