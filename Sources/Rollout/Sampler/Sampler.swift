import Foundation
import Support
import Tensor
import Tokenization
import Transformer

/// What is to be sampled: the prompt's tokens, then optionally tokens that are already there.
public struct SampleRequest: Sendable {
  /// The problem that is asked.
  public var problem: Problem
  /// Which response to it, from 0.
  public var sample: Int
  /// The prompt, template included.
  public var promptTokens: [Int32]
  /// Tokens of the response that are already there.
  public var prefix: Prefix?
  /// What the first calls after the prefix came to in a run that was ended: they are not executed again, so that a tool
  /// whose output changes (a clock, say) does not change the episode.
  public var recordedCalls: [Episode.Call] = []

  /// A response to sample.
  public init(problem: Problem, sample: Int = 0, promptTokens: [Int32], prefix: Prefix? = nil) {
    self.problem = problem
    self.sample = sample
    self.promptTokens = promptTokens
    self.prefix = prefix
  }
}

extension SampleRequest {
  /// A response that goes on from `prefix`, which holds what is kept of `episode`.
  package init(continuing episode: Episode, from prefix: Prefix) {
    self.init(
      problem: Problem(id: episode.id, problem: episode.problem, gold: episode.gold ?? ""), sample: episode.sample,
      promptTokens: Array(episode.tokens[..<episode.promptCount]), prefix: prefix)
  }
}

/// Samples many trajectories at once, with an interpreter for each that calls it.
///
/// Every trajectory holds one of the cache's slots. Each step reads one token of every trajectory that is decoding and
/// pieces of those whose prompts (or tool outputs) are still to be read; trajectories that wait for their interpreter
/// take no part, finished ones make room at once. Prompts that several requests share are read once. A trajectory
/// depends on itself alone: not on slots, threads, other requests, or when its calls come back.
public final class Sampler {
  let model: LanguageModel
  let tokenizer: Tokenizer
  let stopTokens: Set<Int32>
  let pool: WorkerPool
  let interpreter: InterpreterHost?
  let slotCount: Int
  private let packedStorage: FloatBuffer?
  private let matmul: MatmulMode
  private var pass: SamplingPass?
  /// Is told which part of the work begins; nil: nothing is timed.
  public var timer: PartTimer?
  /// The tools of a manifest, called in the format `tool_call`; nil: Python alone.
  public var tools: ToolPrograms?
  private var capacity = 0

  /// - Parameters:
  ///   - stopTokens: end a trajectory; the token itself is the model's.
  ///   - interpreter: nil where no tools are used.
  ///   - slots: trajectories under way at once.
  ///   - packedStorage: as in `SamplingPass`; when others write there, call `weightsChanged`.
  public init(
    model: LanguageModel, tokenizer: Tokenizer, stopTokens: Set<Int32>, pool: WorkerPool,
    interpreter: InterpreterHost?, slots: Int = 64, packedStorage: FloatBuffer? = nil, matmul: MatmulMode = .mixed
  ) {
    precondition(slots > 0, "Sampler: \(slots) slots")
    self.model = model
    self.tokenizer = tokenizer
    self.stopTokens = stopTokens
    self.pool = pool
    self.interpreter = interpreter
    slotCount = slots
    self.packedStorage = packedStorage
    self.matmul = matmul
  }

  /// Call it after the weights changed, or after something else wrote into the packed storage.
  public func weightsChanged() { pass?.weightsChanged() }

  /// Samples all requests.
  /// - Parameters:
  ///   - onEpisode: is given a request's place and its episode as it ends, in no particular order.
  ///   - onCall: is given a request's place and what was executed for it, before anything is drawn after it.
  ///   - onToken: is given a request's place and tokens as they are written.
  ///   - onProgress: is given the tokens written so far and the episodes finished, every step.
  ///   - isCancelled: asked every step.
  /// - Returns: the episodes in the order of the requests, answers read, not graded.
  /// - Throws: `MartletError`: data for a prompt that leaves no room in the context, tokens outside of the vocabulary,
  ///   and logits that are not numbers; configuration for tools without an interpreter and one that cannot be started;
  ///   `CancellationError`.
  public func run(
    _ requests: [SampleRequest], settings: SamplerSettings, onEpisode: ((Int, Episode) -> Void)? = nil,
    onCall: ((Int, Episode.Call) -> Void)? = nil, onToken: ((Int, [Int32], Author) -> Void)? = nil,
    onProgress: ((_ tokens: Int, _ finished: Int) -> Void)? = nil, isCancelled: () -> Bool = { false }
  ) throws -> [Episode] {
    try check(requests, settings)
    guard !requests.isEmpty else { return [] }
    let longest = requests.reduce(0) { max($0, limit($1, settings)) }
    let pass = preparedPass(capacity: longest)
    pass.timer = timer
    let run = SamplerRun(
      requests: requests, settings: settings, sampler: self, pass: pass,
      slots: min(slotCount, requests.count))
    run.onEpisode = onEpisode
    run.onCall = onCall
    run.onToken = onToken
    defer { pass.releaseCache() }
    return try run.toTheEnd(onProgress: onProgress, isCancelled: isCancelled)
  }

  /// The tool protocol, with the names of the tools where there is a manifest.
  func format(_ settings: SamplerSettings) -> (any ToolFormat)? {
    guard let tools, settings.tools == .toolCall else { return settings.tools.format }
    return ToolCallJSON(names: tools.names)
  }

  /// Whether a call can come that only an interpreter answers.
  private func needsInterpreter(_ settings: SamplerSettings) -> Bool {
    guard settings.tools != .none, settings.maxCalls > 0 else { return false }
    return settings.tools != .toolCall || tools?.hasPython ?? true
  }

  /// The most tokens that a request's episode may have.
  func limit(_ request: SampleRequest, _ settings: SamplerSettings) -> Int {
    limit(promptCount: request.promptTokens.count, settings)
  }

  /// The most tokens that an episode with a prompt of so many may have.
  package func limit(promptCount: Int, _ settings: SamplerSettings) -> Int {
    min(model.configuration.contextLength, promptCount + settings.maxTokens)
  }

  private func check(_ requests: [SampleRequest], _ settings: SamplerSettings) throws {
    guard settings.maxTokens > 0 else {
      throw MartletError(.configuration, "max_tokens: \(settings.maxTokens); at least one token must be allowed")
    }
    guard interpreter != nil || !needsInterpreter(settings) else {
      throw MartletError(.configuration, "tools: \(settings.tools.rawValue) needs an interpreter; use tools none")
    }
    let context = model.configuration.contextLength
    let V = Int32(model.configuration.vocabularySize)
    for request in requests {
      let prompt = request.promptTokens
      let count = prompt.count + (request.prefix?.tokens.count ?? 0)
      guard count > 0 else { throw MartletError(.data, "problem \(request.problem.id): the prompt has no tokens") }
      guard prompt.count < context, count < context else {
        throw MartletError(
          .data,
          "problem \(request.problem.id): the prompt has \(count) tokens, but the context holds \(context); "
            + "shorten it or leave it out")
      }
      if let token = (prompt + (request.prefix?.tokens ?? [])).first(where: { $0 < 0 || $0 >= V }) {
        throw MartletError(
          .data,
          "problem \(request.problem.id): token \(token) is not in the vocabulary of \(V); "
            + "was it encoded by another model's tokenizer?")
      }
    }
  }

  /// The sampling pass, made anew where it is too small.
  private func preparedPass(capacity needed: Int) -> SamplingPass {
    if let pass, capacity >= needed { return pass }
    pass = nil  // its memory first
    capacity = min(model.configuration.contextLength, (needed + 1023) / 1024 * 1024)
    let made = SamplingPass(
      model: model, pool: pool, slotCount: slotCount, capacity: capacity, packedStorage: packedStorage, matmul: matmul)
    pass = made
    return made
  }
}
