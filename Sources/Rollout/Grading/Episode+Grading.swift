import Tokenization
import Transformer

extension Episode.Call {
  /// Whether the call ended with an error, or printed nothing.
  public var failed: Bool { status != .ok || output.allSatisfy(\.isWhitespace) }
}

extension Episode {
  /// Whether a reward would judge the model. It would not where the grader or the sandbox failed.
  public var isScorable: Bool {
    switch verdict {
    case nil, .ungradable, .timeout: false
    case .correct, .incorrect, .noAnswer: !calls.contains { $0.status == .sandboxError }
    }
  }
}

extension Episode {
  /// Whether a call failed, a later one did not, and the answer is right.
  public var isMended: Bool {
    guard verdict == .correct, let first = calls.firstIndex(where: \.failed) else { return false }
    return calls[first...].contains { !$0.failed }
  }

  /// Whether there is an answer in a complete box, which is what the reward for form asks. A box that never closed does
  /// not count.
  public var hasBoxedAnswer: Bool {
    guard let answer else { return false }
    return !answer.hasPrefix("\\boxed") && !answer.hasPrefix("\\fbox")
  }
}

/// The episodes with answers and verdicts, in their order. Rewards are removed; an episode without a gold answer gets
/// no verdict.
/// - Parameter tokenizer: reads the answers again from the tokens; nil: the answers that the episodes hold.
/// - Throws: `MartletError` (configuration) when the grader's worker is needed and cannot start.
public func grade(_ episodes: [Episode], grader: Grader, tokenizer: Tokenizer? = nil) throws -> [Episode] {
  var graded = episodes
  for index in graded.indices {
    if let tokenizer { graded[index].answer = graded[index].readAnswer(tokenizer) }
    graded[index].verdict = nil
    graded[index].reward = nil
  }
  let places = graded.indices.filter { graded[$0].gold != nil }
  let results = try grader.gradeMany(places.map { (answer: graded[$0].answer, gold: graded[$0].gold ?? "") })
  for (place, result) in zip(places, results) { graded[place].verdict = result.verdict }
  return graded
}

extension Episode {
  /// The last boxed answer in what the model wrote; a tool's output does not count.
  public func readAnswer(_ tokenizer: Tokenizer) -> String? {
    extractAnswer(ownWords(tokenizer))
  }

  /// What the model wrote, hints included, without prompt and tool outputs.
  public func ownWords(_ tokenizer: Tokenizer) -> String {
    segments(tokenizer).filter { $0.author == .model || $0.author == .hint }.map(\.text).joined()
  }
}
