import Tokenization
import Transformer

/// Where the tokens of a response lie in its text (UTF-8, without the prompt, as `segments` decodes it).
struct TokenOffsets {
  /// Entry i: bytes of the response before token `promptCount + i`; the last entry is the length. nil: the border lies
  /// inside a character.
  private(set) var starts: [Int?] = []
  private let promptCount: Int

  init(_ episode: Episode, _ tokenizer: Tokenizer) {
    promptCount = episode.promptCount
    var token = 0
    var offset = 0
    for run in episode.authors {
      let range = token..<token + run.count
      token = range.upperBound
      guard range.lowerBound >= promptCount else { continue }
      var decoder = StreamingDecoder(tokenizer: tokenizer)
      var isWhole = true
      for place in range {
        starts.append(isWhole ? offset : nil)
        offset += decoder.push(episode.tokens[place]).utf8.count
        var rest = decoder
        isWhole = rest.finish().isEmpty
      }
      offset += decoder.finish().utf8.count
    }
    starts.append(offset)
  }

  /// The last token border at or before `offset` bytes of the response, as an index into the episode's tokens.
  func token(at offset: Int) -> Int {
    let place = starts.indices.last { starts[$0].map { $0 <= offset } ?? false } ?? 0
    return promptCount + place
  }
}

/// What behaviour analysis says of an episode: a line of `train analyze`. Spots are indices into the episode's tokens.
public struct EpisodeLabels: Codable, Sendable, Equatable {
  /// The problem's id.
  public var id: String
  /// Which response to it.
  public var sample: Int
  /// What each executed block is for.
  public var blocks: [BehaviourAnalysis.BlockLabel]
  /// Where a calculation begins that code should have done, as token indices.
  public var delayed: [Int]
  /// Where a result of code is checked by hand, as token indices.
  public var distrust: [Int]
  /// Rejection fine-tuning's filter, and why not.
  public var keep: Bool
  /// Why it is not kept; empty: it is.
  public var reasons: [String]

  /// - Parameters:
  ///   - tools: the tool protocol of an episode that does not say its own.
  ///   - maximumTokens: the longest response to keep; nil: any.
  public init(_ episode: Episode, tokenizer: Tokenizer, tools: ToolFormats? = nil, maximumTokens: Int? = nil) {
    let analysis = episode.analysis(tokenizer, tools: tools)
    id = episode.id
    sample = episode.sample
    blocks = analysis.blocks.map(\.label)
    let hasSpots = !analysis.delayed.isEmpty || !analysis.distrust.isEmpty
    let offsets = hasSpots ? TokenOffsets(episode, tokenizer) : nil
    delayed = analysis.delayed.compactMap { offsets?.token(at: $0.offset) }
    distrust = analysis.distrust.compactMap { offsets?.token(at: $0.offset) }
    let verdict = analysis.verdict(
      correct: episode.verdict == .correct, calls: episode.traceCalls, tokens: episode.modelTokenCount,
      maximumTokens: maximumTokens)
    keep = verdict.keep
    reasons = verdict.reasons
  }
}

extension Episode {
  /// Behaviour analysis of the response with what was executed.
  /// - Parameter tools: the tool protocol of an episode that does not say its own; nil: the one whose frame its first
  ///   tool text has, else fenced Python.
  public func analysis(_ tokenizer: Tokenizer, tools: ToolFormats? = nil) -> BehaviourAnalysis {
    // Another program's episode may hold tool text without calls.
    let hasCalls = !calls.isEmpty || !authors.contains { $0.author == .tool }
    let segments = segments(tokenizer)
    let framed = segments.first { $0.author == .tool }.flatMap { ToolFormats(reply: $0.text) }
    return BehaviourAnalysis(
      segments, calls: hasCalls ? traceCalls : nil, tools: self.tools ?? tools ?? framed ?? .python)
  }
}

extension TraceSegment {
  /// The segment as tokens. What a tool wrote never becomes a special token.
  public func tokens(_ tokenizer: Tokenizer) -> [Int32] {
    tokenizer.encode(text, allowSpecial: author != .tool)
  }
}
