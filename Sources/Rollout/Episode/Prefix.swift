import Support
import Tokenization
import Transformer

/// Response tokens that are there before sampling begins, with all that an episode records of them.
public struct Prefix: Sendable, Equatable {
  /// The tokens to begin with.
  public var tokens: [Int32]
  /// One for each token.
  public var authors: [Author]
  /// One for each token: a number where the model wrote it, else nil.
  public var logProbs: [Float?]
  /// One for each token; nil: nothing was filtered.
  public var kept: [[Int32]?]?
  /// The calls that were executed. They run again, in order, before the first new call, so that variables are there.
  public var calls: [Episode.Call]
  /// `token` counts from the first token of the prefix.
  public var hints: [Episode.Hint]

  /// - Precondition: `authors`, `logProbs` and `kept` have one entry for each token.
  public init(
    tokens: [Int32], authors: [Author], logProbs: [Float?], kept: [[Int32]?]? = nil, calls: [Episode.Call] = [],
    hints: [Episode.Hint] = []
  ) {
    precondition(
      authors.count == tokens.count && logProbs.count == tokens.count && (kept?.count ?? tokens.count) == tokens.count,
      "Prefix: \(tokens.count) tokens, \(authors.count) authors, \(logProbs.count) log-probs")
    self.tokens = tokens
    self.authors = authors
    self.logProbs = logProbs
    self.kept = kept
    self.calls = calls
    self.hints = hints
  }

  /// A hint at the start of a response: the prompt-hint variant.
  public init(hint text: String, kind: BehaviourAnalysis.SpotKind, reason: String, tokenizer: Tokenizer) {
    self.init(tokens: [], authors: [], logProbs: [])
    append(hint: text, kind: kind, reason: reason, tokenizer: tokenizer)
  }

  /// Adds a hint at the end.
  public mutating func append(
    hint text: String, kind: BehaviourAnalysis.SpotKind, reason: String, tokenizer: Tokenizer
  ) {
    let new = tokenizer.encode(text)
    hints.append(Episode.Hint(token: tokens.count, kind: kind, text: text, reason: reason))
    tokens += new
    authors += [Author](repeating: .hint, count: new.count)
    logProbs += [Float?](repeating: nil, count: new.count)
    kept? += [[Int32]?](repeating: nil, count: new.count)
  }

  /// Whether the text ends inside a block of code that the model is to finish.
  public func hasOpenCall(_ tokenizer: Tokenizer, tools: ToolFormats = .python) -> Bool {
    guard var scanner = tools.format?.scanner() else { return false }
    for (token, author) in zip(tokens, authors) {
      if author == .tool {
        scanner.skip(0)
      } else {
        for byte in tokenizer.bytes(token) { _ = scanner.push(byte) }
      }
    }
    return scanner.isOpen
  }
}

extension Prefix {
  /// The response of `episode` up to `token`, an index into its tokens. A cut inside tool text moves to the end of that
  /// text.
  init(of episode: Episode, upTo token: Int) {
    let start = episode.promptCount
    let all = episode.authorsByToken
    var end = min(max(token, start), all.count)
    while end > start, end < all.count, all[end] == .tool, all[end - 1] == .tool { end += 1 }
    let outputs = (start..<end).count { all[$0] == .tool && all[$0 - 1] != .tool }
    self.init(
      tokens: Array(episode.tokens[start..<end]), authors: Array(all[start..<end]),
      logProbs: Array(episode.logProbs[start..<end]), kept: episode.kept.map { Array($0[start..<end]) },
      calls: Array(episode.calls.prefix(outputs)),
      hints: episode.hints.filter { $0.token < end }.map {
        Episode.Hint(token: $0.token - start, kind: $0.kind, text: $0.text, reason: $0.reason)
      })
  }
}

/// The episode up to the last token border at or before `byteOffset` of its response, and the finder's sentence there.
/// - Parameter byteOffset: UTF-8 bytes after the prompt, as `HintFinder.Hint.offset`.
public func prefix(
  of episode: Episode, cutAt byteOffset: Int, hint: HintFinder, kind: BehaviourAnalysis.SpotKind, reason: String,
  tokenizer: Tokenizer
) -> Prefix {
  let token = TokenOffsets(episode, tokenizer).token(at: byteOffset)
  var prefix = Prefix(of: episode, upTo: token)
  let text = hint.text(kind, after: prefix.tokens.suffix(8).flatMap { tokenizer.bytes($0) })
  prefix.append(hint: text, kind: kind, reason: reason, tokenizer: tokenizer)
  return prefix
}

/// The episode up to a token, followed by a hint that a person chose.
/// - Parameter token: an index into the episode's tokens, from `promptCount` to `tokens.count`.
/// - Throws: `MartletError` (data) when it lies outside of the response.
public func prefix(
  of episode: Episode, cutAtToken token: Int, hint text: String, kind: BehaviourAnalysis.SpotKind, reason: String,
  tokenizer: Tokenizer
) throws -> Prefix {
  guard (episode.promptCount...episode.tokens.count).contains(token) else {
    throw MartletError(
      .data,
      "episode \(episode.id), sample \(episode.sample): token \(token) is not in the response, "
        + "which has tokens \(episode.promptCount)..<\(episode.tokens.count)")
  }
  var prefix = Prefix(of: episode, upTo: token)
  prefix.append(hint: text, kind: kind, reason: reason, tokenizer: tokenizer)
  return prefix
}
