import Checkpoint
import Foundation
import Rollout
import Tensor
import Transformer

/// Runs one stage of the recipe from its configuration.
public enum Stage {
  /// Runs `kind`. Finished runs are left as they are when resumed.
  /// - Throws: `MartletError`; `Interrupted` when asked to stop, after saving.
  public static func run(_ kind: StageKind, _ configuration: Configuration, context: StageContext) throws {
    try inFolder(of: configuration, context: context) { folder in
      context.onEvent(.stageStarted(name: kind.rawValue, detail: folder.path))
      let started = ContinuousClock.now
      let configuration = try configuration.resolvingDate(folder: folder.path)
      switch kind {
      case .sft: try SFTStage.run(configuration, folder: folder, context: context)
      case .hint: try HintStage.run(configuration, folder: folder, context: context)
      case .rft: try RFTStage.run(configuration, folder: folder, context: context)
      case .rl: try RLStage.run(configuration, folder: folder, context: context)
      case .eval: try EvalStage.run(configuration, folder: folder, context: context)
      }
      if [.sft, .rft, .rl].contains(kind), !configuration.evalData.isEmpty {
        try EvalStage.runAtEnd(configuration, folder: folder, context: context)
      }
      context.onEvent(
        .stageEnded(name: kind.rawValue, seconds: Double((ContinuousClock.now - started) / .milliseconds(1)) / 1000))
    }
  }

  /// One update on given episodes (`rl --replay`): groups by id, rewards from `reward.total`, old log-probs from the file.
  public static func replay(_ path: String, _ configuration: Configuration, context: StageContext) throws {
    try inFolder(of: configuration, context: context) {
      try RLStage.replay(path, configuration, folder: $0, context: context)
    }
  }

  /// Judges given episodes again (`eval --regrade`).
  public static func regrade(_ path: String, _ configuration: Configuration, context: StageContext) throws {
    try inFolder(of: configuration, context: context) {
      try EvalStage.regrade(path, configuration, folder: $0, context: context)
    }
  }

  /// Opens the run's folder for `body`; when that fails before anything came about, the folder is left empty.
  private static func inFolder(
    of configuration: Configuration, context: StageContext, _ body: (RunFolder) throws -> Void
  ) throws {
    guard !configuration.run.isEmpty else {
      throw MartletError(.configuration, "run: is missing; name the run's folder")
    }
    let folder = try RunFolder(configuration.run, resume: context.resume)
    do { try body(folder) } catch {
      folder.discardIfFruitless()
      throw error
    }
  }

  /// Episodes of a file's problems without a run folder (`generate`), in input order, then by sample.
  public static func generate(
    file: String, loaded: LoadedModel, _ configuration: Configuration, context: StageContext
  ) throws -> [Episode] {
    try generate(placed(file), loaded: loaded, configuration, context: context)
  }

  /// The same of one problem (`ask`).
  public static func generate(
    _ problem: Problem, loaded: LoadedModel, _ configuration: Configuration, context: StageContext,
    onText: @escaping (Author, String) -> Void
  ) throws -> [Episode] {
    let placed = PlacedProblem(problem: problem, place: problem.id)
    return try generate([placed], loaded: loaded, configuration, context: context, onText: onText)
  }

  private static func generate(
    _ problems: [PlacedProblem], loaded: LoadedModel, _ configuration: Configuration, context: StageContext,
    onText: ((Author, String) -> Void)? = nil
  ) throws -> [Episode] {
    let engine = try RolloutEngine(loaded, configuration: configuration, context: context)
    var printer = onText.map { TokenPrinter(tokenizer: loaded.tokenizer, stops: engine.builder.stopTokens, show: $0) }
    defer { printer?.finish() }
    let problems = try engine.room.admit(problems, list: nil, onEvent: context.onEvent)
    let onToken: ((Int, [Int32], Author) -> Void)? = printer == nil ? nil : { printer?.push($1, $2) }
    return try engine.run(
      engine.requests(problems, samples: 0..<configuration.samplesPerPrompt), step: 0, what: "sampling",
      onToken: onToken)
  }

  /// The problems of several files with their places; ids that occur twice get a number.
  static func problems(_ paths: [String], key: String) throws -> [PlacedProblem] {
    guard !paths.isEmpty else { throw MartletError(.configuration, "\(key): names no file of problems") }
    var known: [String: Int] = [:]
    return try paths.flatMap(placed).map { placed in
      var placed = placed
      known[placed.problem.id, default: 0] += 1
      if let times = known[placed.problem.id], times > 1 { placed.problem.id += "-\(times)" }
      return placed
    }
  }

  private static func placed(_ path: String) throws -> [PlacedProblem] {
    try Problem.readFileWithLines(path).map { PlacedProblem(problem: $0.problem, place: "\(path):\($0.line)") }
  }
}

/// Tokens to text as they come: characters whole, and nothing of the token that ends a response.
private struct TokenPrinter {
  private let stops: Set<Int32>
  private let show: (Author, String) -> Void
  private var decoder: StreamingDecoder
  private var author = Author.prompt

  init(tokenizer: Tokenizer, stops: Set<Int32>, show: @escaping (Author, String) -> Void) {
    self.stops = stops
    self.show = show
    decoder = StreamingDecoder(tokenizer: tokenizer)
  }

  mutating func push(_ tokens: [Int32], _ author: Author) {
    if author != self.author { finish() }
    self.author = author
    for token in tokens where author != .model || !stops.contains(token) { give(decoder.push(token)) }
  }

  mutating func finish() { give(decoder.finish()) }

  private func give(_ text: String) { if !text.isEmpty { show(author, text) } }
}
