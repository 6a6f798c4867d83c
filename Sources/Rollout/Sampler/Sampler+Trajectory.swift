import Support
import Tensor
import Tokenization
import Transformer

/// One episode under way.
final class Trajectory {
  enum State {
    /// Tokens are to be read or drawn.
    case writing
    /// Its interpreter runs.
    case calling
    case finished(Episode.Finish)
  }

  /// The detail of a call that could not be understood, and was not executed.
  static let malformed = "malformed"

  let index: Int
  let request: SampleRequest
  private(set) var tokens: [Int32]
  private(set) var state = State.writing
  private(set) var calls: [Episode.Call]
  /// Where its keys and values are, and how many tokens' are.
  var slot = -1
  var read = 0
  /// A block that waits to be executed.
  private(set) var pendingCall: ToolCall?
  /// Keys the interpreter's random numbers.
  let sessionKey: UInt64
  /// The seed's path of the problem and the sample; a draw's position comes behind it.
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
  /// Tokens of the request's prefix that are here.
  private var taken = 0
  /// Whether the model's text ends in a line end.
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

  /// Takes what is left of the prefix, up to a call that is to be executed first: one that the prefix ends with, or one
  /// in the hint that it ends with. Other calls inside were passed over.
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

  /// The number in [0, 1) that the next token is drawn with.
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

  /// Feeds a token's bytes to the scanner; the call that it completes.
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

  /// The pending call with what it came to.
  func executed(_ result: CallResult) -> Episode.Call? {
    pendingCall.map { Episode.Call($0, result: result) }
  }

  /// What the pending call came to before, if it was recorded.
  var recordedResult: CallResult? {
    let executed = calls.dropFirst(request.prefix?.calls.count ?? 0).count { $0.detail != Self.malformed }
    guard executed < request.recordedCalls.count else { return nil }
    let call = request.recordedCalls[executed]
    // Other code: another model's record, or one of other settings.
    guard call.code == pendingCall?.code, call.tool == pendingCall?.tool else { return nil }
    return CallResult(status: call.status, detail: call.detail, output: call.output, ms: call.ms)
  }

  /// Takes what the pending call came to: its output becomes tool tokens.
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
      tokens: tokens, authors: authors, logProbs: logProbs, kept: kept,
      sampling: Episode.Sampling(
        temperature: settings.sampling.temperature, topP: settings.sampling.topP, topK: settings.sampling.topK,
        seed: settings.seed, tools: settings.tools),
      hints: hints.filter { $0.token <= tokens.count }, calls: calls, finish: finish)
    episode.answer = episode.readAnswer(tokenizer)
    return episode
  }
}
