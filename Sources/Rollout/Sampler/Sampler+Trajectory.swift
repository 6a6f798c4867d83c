import Support
import Tensor
import Tokenization
import Transformer

/// An episode that is being sampled.
final class Trajectory {
  enum State {
    /// Tokens are to be read or drawn.
    case writing
    /// Its interpreter runs.
    case calling
    case finished(Episode.Finish)
  }

  /// The detail of a call that could not be parsed, and was not executed.
  static let malformed = "malformed"

  let index: Int
  let request: SampleRequest
  private(set) var tokens: [Int32]
  private(set) var state = State.writing
  private(set) var calls: [Episode.Call]
  /// The slot of its keys and values, and how many tokens have theirs there.
  var slot = -1
  var read = 0
  /// The block that waits to be executed.
  private(set) var pendingCall: ToolCall?
  /// Keys the interpreter's random numbers.
  let sessionKey: UInt64
  /// The random path of problem and sample. A draw adds its position.
  private let path: [UInt64]

  private let settings: SamplerSettings
  private let tokenizer: Tokenizer
  private let stopTokens: Set<Int32>
  private let format: (any ToolFormat)?
  private let limit: Int
  private var authors: [Episode.Run] = []
  private var logProbs: [Float?]
  private var kept: [[Int32]?]?
  private var hints: [Episode.Hint] = []
  private var scanner: (any CallScanner)?
  /// How many tokens of the request's prefix are taken.
  private var taken = 0
  /// Whether the model's text ends with a line end.
  private var endsLine = true

  init(index: Int, request: SampleRequest, settings: SamplerSettings, sampler: Sampler) {
    self.index = index
    self.request = request
    self.settings = settings
    tokenizer = sampler.tokenizer
    stopTokens = sampler.stopTokens
    format = sampler.format(settings)
    limit = sampler.limit(request, settings)
    path = [settings.step, stableHash(request.problem.id), UInt64(bitPattern: Int64(request.sample))]
    var key = CounterRandom(seed: settings.seed, path: [stableHash("interpreter")] + path)
    sessionKey = key.next()
    tokens = request.promptTokens
    authors.extend(.prompt, by: tokens.count)
    logProbs = [Float?](repeating: nil, count: tokens.count)
    scanner = format?.scanner()
    calls = request.prefix?.calls ?? []
    if let prefix = request.prefix { take(prefix) }
    if case .writing = state { finishIfFull() }
  }

  private func take(_ prefix: Prefix) {
    let start = tokens.count
    hints = prefix.hints.map {
      Episode.Hint(token: $0.token + start, kind: $0.kind, text: $0.text, reason: $0.reason)
    }
    kept = prefix.kept.map { _ in [[Int32]?](repeating: nil, count: start) }
    goOn(prefix)
  }

  /// Takes the rest of the prefix, up to a call that must run first: one in the hint at its end, or one that ends it.
  /// Earlier calls are in the prefix with their outputs.
  private func goOn(_ prefix: Prefix) {
    let hint = prefix.authors.count - prefix.authors.reversed().prefix { $0 == .hint }.count
    var completed: ToolCall?
    while taken < prefix.tokens.count {
      let (token, author) = (prefix.tokens[taken], prefix.authors[taken])
      tokens.append(token)
      authors.extend(author)
      logProbs.append(prefix.logProbs[taken])
      if let ids = prefix.kept { kept?.append(ids[taken]) }
      taken += 1
      if author == .tool {
        scanner?.skip(0)
        completed = nil
      } else {
        completed = scan(token, isStop: author == .model && stopTokens.contains(token))
      }
      if let completed, calls.count < settings.maxCalls, taken > hint || taken == prefix.tokens.count {
        return begin(completed)
      }
    }
    if prefix.authors.last == .model, stopTokens.contains(prefix.tokens[taken - 1]) {
      state = .finished(.stop)
    }
  }

  /// The prompt shared with other requests.
  var promptCount: Int { request.promptTokens.count }

  /// The uniform number in [0, 1) that draws the next token.
  var uniform: Double {
    var random = CounterRandom(seed: settings.seed, path: path + [UInt64(tokens.count)])
    return random.uniform()
  }

  /// Takes a token that the model drew.
  func take(_ draw: Draw) {
    let isStop = stopTokens.contains(draw.token)
    tokens.append(draw.token)
    authors.extend(.model)
    logProbs.append(draw.logProb)
    if draw.kept != nil || kept != nil {
      if kept == nil { kept = [[Int32]?](repeating: nil, count: tokens.count - 1) }
      kept?.append(draw.kept)
    }
    let call = scan(draw.token, isStop: isStop)
    if let call, calls.count < settings.maxCalls {
      begin(call)
    } else if isStop {
      state = .finished(.stop)
    } else {
      finishIfFull()
    }
  }

  /// Feeds a token's bytes to the scanner.
  /// - Returns: the call that they complete, if any.
  private func scan(_ token: Int32, isStop: Bool) -> ToolCall? {
    if isStop { return scanner?.stop() }
    var call: ToolCall?
    for byte in tokenizer.bytes(token) {
      if let found = scanner?.push(byte) { call = found }
      endsLine = byte == 0x0A
    }
    return call
  }

  private func begin(_ call: ToolCall) {
    guard tokens.count < limit else {  // no room for any output
      state = .finished(.length)
      return
    }
    pendingCall = call
    state = .calling
  }

  /// The pending call with its result.
  func executed(_ result: CallResult) -> Episode.Call? {
    pendingCall.map { Episode.Call($0, result: result) }
  }

  /// The recorded result of the pending call, if there is one.
  var recordedResult: CallResult? {
    let executed = calls.dropFirst(request.prefix?.calls.count ?? 0).count { $0.detail != Self.malformed }
    guard executed < request.recordedCalls.count else { return nil }
    let call = request.recordedCalls[executed]
    // Other code: the record is from another model, or other settings.
    guard call.code == pendingCall?.code, call.tool == pendingCall?.tool else { return nil }
    return CallResult(status: call.status, detail: call.detail, output: call.output, ms: call.ms)
  }

  /// Takes the result of the pending call: its output becomes tool tokens.
  /// - Returns: the new tokens.
  func take(_ result: CallResult) -> [Int32] {
    guard let call = pendingCall, let format else { return [] }
    pendingCall = nil
    state = .writing
    calls.append(Episode.Call(call, result: result))
    let isStop = tokens.last.map(stopTokens.contains) ?? false
    let all = format.tokens(
      replyTo: result.output, joined: endsLine && !isStop, isLast: calls.count >= settings.maxCalls,
      tokenizer: tokenizer)
    let new = Array(all.prefix(limit - tokens.count))
    for index in hints.indices where hints[index].token >= tokens.count { hints[index].token += new.count }
    tokens += new
    authors.extend(.tool, by: new.count)
    logProbs += [Float?](repeating: nil, count: new.count)
    kept? += [[Int32]?](repeating: nil, count: new.count)
    scanner?.skip(0)
    endsLine = true
    finishIfFull()
    if case .writing = state, let prefix = request.prefix, taken < prefix.tokens.count {
      goOn(prefix)
      if case .writing = state { finishIfFull() }
    }
    return new
  }

  private func finishIfFull() {
    if tokens.count >= limit { state = .finished(.length) }
  }

  var episode: Episode {
    let finish: Episode.Finish = if case .finished(let how) = state { how } else { .length }
    var episode = Episode(
      id: request.problem.id, sample: request.sample, problem: request.problem.problem, gold: request.problem.gold,
      tokens: tokens, authors: authors, logProbs: logProbs, kept: kept)
    episode.sampling = settings.distribution
    episode.seed = settings.seed
    episode.tools = settings.tools
    episode.hints = hints.filter { $0.token <= tokens.count }
    episode.calls = calls
    episode.finish = finish
    episode.answer = episode.readAnswer(tokenizer)
    return episode
  }
}
