/// What a model does with its interpreter, read from the response alone.
///
/// Offsets are UTF-8 bytes from the response's first byte (the prompt is not counted, tool text is); a spot begins where a
/// sentence ends and the next has not begun, so that what lies before it is whole.
public struct BehaviourAnalysis: Sendable, Equatable {
  public enum BlockLabel: String, Codable, Sendable {
    case calculation, verification
  }

  /// An executed code block.
  public struct Block: Sendable, Equatable {
    public let label: BlockLabel
    /// The code between its fences.
    public let code: Range<Int>
    public let output: String
  }

  public enum SpotKind: String, Codable, Sendable {
    case delayed, distrust, prompt
  }

  /// Where the interpreter is not used well.
  public struct Spot: Sendable, Equatable {
    public let kind: SpotKind
    public let range: Range<Int>
    public let reason: String
    /// Where to cut.
    public var offset: Int { range.lowerBound }
  }

  /// In the order they were executed.
  public let blocks: [Block]
  /// Manual arithmetic before or instead of code.
  public let delayed: [Spot]
  /// What Python said, checked or worked out again.
  public let distrust: [Spot]

  /// Fewer calculated equations than this in a stretch are not worth a call.
  public static let minimumSteps = 3

  /// - Parameter calls: what was executed, in order; `nil`: the tool segments that open an output fence.
  public init(_ segments: [TraceSegment], calls: [TraceCall]? = nil) {
    let trace = BehaviourTrace(segments)
    var blocks: [Block] = []
    var delayed: [Spot] = []
    var distrust: [Spot] = []
    /// Prose so far, the text in which a result may already stand.
    var said = ""
    var code: Range<Int>?
    for (index, piece) in trace.pieces.enumerated() {
      switch piece {
      case .code(let range, let closed): code = closed ? range : nil
      case .tool(let range):
        let text = trace.text(range)
        let executed = calls.map { blocks.count < $0.count } ?? text.hasPrefix("```output")
        if let code, executed {
          let output = calls.map { $0[blocks.count].output } ?? BehaviourTrace.output(text)
          let stated = Self.stands(BehaviourTrace.lastLine(output), in: said)
          blocks.append(Block(label: stated ? .verification : .calculation, code: code, output: output))
        }
        code = nil
      case .prose(let range):
        code = nil
        let sentences = ProseSentence.split(trace.bytes, in: range)
        let own = sentences.filter { sentence in !trace.hints.contains { $0.overlaps(sentence.range) } }
        let next = Self.nextOutput(trace, after: index, calls: calls, executed: blocks.count)
        var rest = own[...]
        if let last = blocks.last, let spot = Self.distrust(own, of: last, next: next) {
          distrust.append(spot)
          rest = own.prefix { $0.range.upperBound <= spot.offset }
        }
        delayed += Self.delayed(Array(rest), codeFollows: next != nil)
        said += trace.text(range) + "\n"
      }
    }
    self.blocks = blocks
    self.delayed = delayed
    self.distrust = distrust
  }

  /// The output of the code block that follows the prose piece `index`, if one follows and is executed.
  private static func nextOutput(_ trace: BehaviourTrace, after index: Int, calls: [TraceCall]?, executed: Int)
    -> String?
  {
    guard index + 2 < trace.pieces.count, case .code = trace.pieces[index + 1],
      case .tool(let range) = trace.pieces[index + 2]
    else { return nil }
    if let calls { return executed < calls.count ? calls[executed].output : nil }
    let text = trace.text(range)
    return text.hasPrefix("```output") ? BehaviourTrace.output(text) : nil
  }

  /// Whether `result` stands in `text` as a whole: 12 does not stand in 112, in 12.5 or in x12.
  static func stands(_ result: String, in text: String) -> Bool {
    guard !result.isEmpty else { return false }
    let text = Array(text.utf8)
    let result = Array(result.utf8)
    guard text.count >= result.count else { return false }
    func isWord(_ byte: UInt8) -> Bool {
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 95 || byte >= 128
    }
    func isDigit(_ index: Int) -> Bool { index >= 0 && index < text.count && (48...57).contains(text[index]) }
    for start in 0...(text.count - result.count) where text[start] == result[0] {
      let end = start + result.count
      guard text[start..<end].elementsEqual(result) else { continue }
      if isWord(result[0]), start > 0 {
        if isWord(text[start - 1]) || (text[start - 1] == 46 && isDigit(start - 2)) { continue }
      }
      if isWord(result[result.count - 1]), end < text.count {
        if isWord(text[end]) || (text[end] == 46 && isDigit(end + 1)) { continue }
      }
      return true
    }
    return false
  }
}
