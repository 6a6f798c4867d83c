/// Hint engineering (CoRT, arXiv:2510.20342, section 3): where to cut a response, and what to put there.
public struct HintFinder: Sendable {
  private static let simplifies = "It looks tedious, and we can use python code to simplify the reasoning."
  private static let stepByStep = "Okay, let's try to solve this problem step by step using multiple python code calls."

  /// A sentence to insert.
  public struct Hint: Codable, Sendable, Equatable {
    /// What the hint is against.
    public let kind: BehaviourAnalysis.SpotKind
    /// UTF-8 bytes of the response that stay before it.
    public let offset: Int
    /// The sentence with the white space that joins it to the text before it, and with what opens a call where code is
    /// to follow.
    public let text: String
    /// Why it is put there, in words.
    public let reason: String
  }

  /// Inserted where arithmetic by hand begins. The opening of a call follows it.
  public var delayed = Self.simplifies
  /// Inserted where Python is doubted. The model continues freely.
  public var distrust = "We don't need to doubt the accuracy of python calculations."
  /// The prompt-hint variant's first sentence.
  public var prompt = Self.stepByStep
  /// Inserted at test time where the model hesitates; by default as `delayed`. The opening of a call follows it.
  public var hesitation = Self.simplifies
  /// Inserted at test time before the end of the response; by default as `prompt`. The model continues freely.
  public var end = Self.stepByStep
  /// How a call is opened.
  public var tools = ToolFormats.python

  /// CoRT's sentences.
  public init() {}

  /// The first spot of the response as a hint; `nil`: nothing to improve.
  /// - Parameter kinds: the kinds of spot that count.
  public func hint(
    _ analysis: BehaviourAnalysis, of segments: [TraceSegment],
    against kinds: Set<BehaviourAnalysis.SpotKind> = [.delayed, .distrust]
  ) -> Hint? {
    let spots = (analysis.delayed + analysis.distrust).filter { kinds.contains($0.kind) }
      .sorted { $0.offset < $1.offset }
    return spots.first.map { hint($0, of: segments) }
  }

  /// A hint for each spot, in the order of the response.
  public func hints(_ analysis: BehaviourAnalysis, of segments: [TraceSegment]) -> [Hint] {
    (analysis.delayed + analysis.distrust).sorted { $0.offset < $1.offset }.map { hint($0, of: segments) }
  }

  /// The hint of the prompt-hint variant: at the response's start.
  public func promptHint() -> Hint {
    Hint(kind: .prompt, offset: 0, text: prompt, reason: "a hint at the start of every response")
  }

  private func hint(_ spot: BehaviourAnalysis.Spot, of segments: [TraceSegment]) -> Hint {
    let response = segments.filter { $0.author != .prompt }.flatMap { Array($0.text.utf8) }
    return Hint(
      kind: spot.kind, offset: spot.offset, text: text(spot.kind, after: response.prefix(spot.offset)),
      reason: spot.reason)
  }

  /// The sentence of a hint, joined to the kept response: a space comes before it unless the kept part is empty or ends
  /// in white space. A caller that moves the cut to a token boundary asks again with the new kept part.
  public func text(_ kind: BehaviourAnalysis.SpotKind, after kept: some Collection<UInt8>) -> String {
    let last = kept.isEmpty ? 10 : kept[kept.index(kept.startIndex, offsetBy: kept.count - 1)]
    let space = last == 10 || last == 32 ? "" : " "
    return switch kind {
    case .delayed: space + delayed + "\n" + tools.reading.callOpening
    case .distrust: space + distrust
    case .prompt: space + prompt
    case .hesitation: space + hesitation + (tools == .none ? "" : "\n" + tools.reading.callOpening)
    case .end: space + end
    }
  }
}
