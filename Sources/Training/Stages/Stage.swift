import Checkpoint
import Foundation
import Rollout
import Support
import Tokenization
import Transformer

/// Runs one stage of the recipe from its configuration.
public enum Stage {
  /// Runs the requested stage. A finished run that is resumed stays as it is.
  /// - Throws: `MartletError`; `Interrupted` when asked to stop, after saving.
  public static func run(_ request: StageRequest, context: StageContext) throws {
    let request = try request.settled()
    let kind = request.kind
    try inFolder(of: request, context: context) { folder, configuration in
      context.onEvent(.stageStarted(name: kind.rawValue, detail: folder.path))
      for warning in configuration.warnings(stage: kind) { context.onEvent(.warning(warning)) }
      let started = ContinuousClock.now
      switch kind {
      case .sft: try SFTStage.run(configuration, folder: folder, context: context)
      case .hint: try HintStage.run(configuration, folder: folder, context: context)
      case .rft: try RFTStage.run(configuration, folder: folder, context: context)
      case .rl: try RLStage.run(configuration, folder: folder, context: context)
      case .eval: try EvalStage.run(configuration, folder: folder, context: context)
      }
      if [.sft, .rft, .rl].contains(kind), configuration.evaluates {
        try EvalStage.runAtEnd(configuration, folder: folder, context: context)
      }
      // A finished run still takes over some keys, such as the number of checkpoints to keep.
      try folder.commit(fromStep: (folder.record?.finishedStep ?? 0) + 1, context: context)
      context.onEvent(.stageEnded(name: kind.rawValue, seconds: started.secondsSince))
    }
  }

  /// One update on given episodes (`rl --replay`): groups by id, rewards from `reward.total`, old log-probs from the
  /// file.
  public static func replay(_ path: String, _ request: StageRequest, context: StageContext) throws {
    let request = try request.settled(replays: true)
    try inFolder(of: request, context: context) { folder, configuration in
      for warning in configuration.warnings(stage: .rl) { context.onEvent(.warning(warning)) }
      try RLStage.replay(path, configuration, folder: folder, context: context)
    }
  }

  /// Judges given episodes again (`eval --regrade`).
  public static func regrade(_ path: String, _ request: StageRequest, context: StageContext) throws {
    try inFolder(of: request, context: context) { folder, configuration in
      try EvalStage.regrade(path, configuration, folder: folder, context: context)
    }
  }

  /// Opens the run's folder for `body`. If that fails before it has written anything of use, the folder is left empty.
  private static func inFolder(
    of request: StageRequest, context: StageContext, _ body: (RunFolder, Configuration) throws -> Void
  ) throws {
    guard !request.configuration.run.isEmpty else {
      throw MartletError(.configuration, "run: is missing; name the run's folder")
    }
    let folder = try RunFolder(request.configuration.run, resume: context.resume)
    do {
      let configuration = try request.configuration.resolvingDate(folder: folder.path)
      try folder.begin(request.kind, configuration, given: request.given, context: context)
      try body(folder, configuration)
    } catch {
      folder.discardIfFruitless()
      throw error
    }
  }

  /// Episodes for the problems of a file, without a run's folder (`generate`), in input order, then by sample.
  public static func generate(
    file: String, loaded: LoadedModel, _ configuration: Configuration, context: StageContext
  ) throws -> [Episode] {
    try generate(
      placed(file), loaded: loaded, configuration, context: context,
      remedy: "shorten it, or leave such problems out with --skip-overlong")
  }

  /// Episodes for one problem (`ask`).
  /// - Parameter onText: is given each stretch of text as it is written.
  public static func generate(
    _ problem: Problem, loaded: LoadedModel, _ configuration: Configuration, context: StageContext,
    onText: @escaping (Author, String) -> Void
  ) throws -> [Episode] {
    let placed = PlacedProblem(problem: problem, place: problem.id)
    return try generate(
      [placed], loaded: loaded, configuration, context: context, remedy: "shorten it", onText: onText)
  }

  private static func generate(
    _ problems: [PlacedProblem], loaded: LoadedModel, _ configuration: Configuration, context: StageContext,
    remedy: String, onText: ((Author, String) -> Void)? = nil
  ) throws -> [Episode] {
    let engine = try RolloutEngine(loaded, configuration: configuration, context: context)
    var printer = onText.map { TokenPrinter(tokenizer: loaded.tokenizer, stops: engine.builder.stopTokens, show: $0) }
    defer { printer?.finish() }
    let room = PromptRoom(loaded, builder: engine.builder, configuration: configuration, remedy: remedy)
    let problems = try room.admit(problems, list: nil, onEvent: context.onEvent)
    let onToken: ((Int, [Int32], Author) -> Void)? = printer == nil ? nil : { printer?.push($1, $2) }
    func run(_ requests: [SampleRequest], what: String) throws -> [Episode] {
      try engine.run(requests, step: 0, what: what, onToken: onToken)
    }
    let requests = try engine.requests(problems, samples: 0..<configuration.samplesPerPrompt)
    if let prefix = requests.first?.prefix { printer?.push(prefix.tokens, .hint) }
    let episodes = try run(requests, what: "sampling")
    let rounds = try HintRounds(engine, configuration).run(after: episodes) { requests, round in
      if let prefix = requests.first?.prefix { printer?.goBack(prefix, round: round) }
      return try run(requests, what: "hints, round \(round)")
    }
    return rounds.last?.episodes ?? episodes
  }

  /// The problems of several files with their places. An id that occurs again gets a number.
  static func problems(_ paths: [String], key: String) throws -> [PlacedProblem] {
    guard !paths.isEmpty else { throw MartletError(.configuration, "\(key): names no file of problems") }
    let problems = try paths.enumerated().flatMap { file, path in try placed(path, file: file) }
    guard !problems.isEmpty else {
      throw MartletError(.data, "\(key): \(paths.joined(separator: ", ")): there are no problems")
    }
    var ids = DistinctIds(separator: "-")
    return problems.map { placed in
      var placed = placed
      placed.problem = ids.distinct(placed.problem)
      return placed
    }
  }

  private static func placed(_ path: String, file: Int = 0) throws -> [PlacedProblem] {
    try Problem.readFileWithLines(path).map {
      PlacedProblem(problem: $0.problem, place: "\(path):\($0.line)", file: file)
    }
  }
}

/// Makes ids distinct, since they key the draws: an id that comes again gets a number.
struct DistinctIds {
  let separator: String
  private var times: [String: Int] = [:]

  init(separator: String) { self.separator = separator }

  mutating func distinct(_ problem: Problem) -> Problem {
    var problem = problem
    let id = problem.id
    // A numbered id may itself be in the files.
    while true {
      times[id, default: 0] += 1
      let count = times[id] ?? 1
      problem.id = count == 1 ? id : "\(id)\(separator)\(count)"
      if count == 1 { return problem }
      if times[problem.id] == nil {
        times[problem.id] = 1
        return problem
      }
    }
  }
}

/// Turns tokens into text as they come: only whole characters, and without the token that ends a response.
private struct TokenPrinter {
  private let stops: Set<Int32>
  private let show: (Author, String) -> Void
  private let tokenizer: Tokenizer
  private var decoder: StreamingDecoder
  private var author = Author.prompt

  init(tokenizer: Tokenizer, stops: Set<Int32>, show: @escaping (Author, String) -> Void) {
    self.stops = stops
    self.show = show
    self.tokenizer = tokenizer
    decoder = StreamingDecoder(tokenizer: tokenizer)
  }

  mutating func push(_ tokens: [Int32], _ author: Author) {
    if author != self.author { finish() }
    self.author = author
    for token in tokens where author != .model || !stops.contains(token) { give(decoder.push(token)) }
  }

  /// Shows where a response is cut, unless that is its end, and the hint that is put there.
  mutating func goBack(_ prefix: Prefix, round: Int) {
    finish()
    guard let hint = prefix.hints.last else { return }
    if hint.kind != .end {
      let kept = tokenizer.decode(Array(prefix.tokens[..<hint.token].suffix(40)))
      let line = kept.split(separator: "\n").last.map { String($0.suffix(80)) } ?? ""
      show(.hint, "\n[round \(round), from here on: \(line)]\n")
    }
    push(Array(prefix.tokens[hint.token...]), .hint)
  }

  mutating func finish() { give(decoder.finish()) }

  private func give(_ text: String) { if !text.isEmpty { show(author, text) } }
}
