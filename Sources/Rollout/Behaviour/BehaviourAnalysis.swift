/// What a model does with its interpreter, read from the response alone.
///
/// Offsets are UTF-8 bytes from the response's first byte. The prompt is not counted, tool text is. A spot begins
/// between two sentences, so that the text before it is whole.
public struct BehaviourAnalysis: Sendable, Equatable {
  /// What a block of code is for.
  public enum BlockLabel: String, Codable, Sendable {
    case calculation, verification
  }

  /// An executed code block.
  public struct Block: Sendable, Equatable {
    /// What the block is for.
    public let label: BlockLabel
    /// The code between its marks.
    public let code: Range<Int>
    /// What it printed.
    public let output: String
  }

  /// What is wrong at a spot.
  public enum SpotKind: String, Codable, Sendable {
    case delayed, distrust, prompt
    /// At test time: the sentence before it hesitates.
    case hesitation
    /// At test time: the response would end here.
    case end
  }

  /// Where the interpreter is not used well.
  public struct Spot: Sendable, Equatable {
    /// What is wrong here.
    public let kind: SpotKind
    /// Bytes of the response's text (UTF-8) that show it.
    public let range: Range<Int>
    /// Why this counts as a spot, in words.
    public let reason: String
    /// Where to cut.
    public var offset: Int { range.lowerBound }
  }

  /// In the order they were executed.
  public let blocks: [Block]
  /// Delayed computation: arithmetic by hand before or instead of code.
  public let delayed: [Spot]
  /// Result distrust: what Python said is checked or worked out again.
  public let distrust: [Spot]
  /// Calls that a hint opened and that were never executed.
  public let idleHints: Int

  /// A stretch with fewer calculated equations is not worth a call.
  public static let minimumSteps = 3

  /// - Parameters:
  ///   - calls: what was executed, in order; `nil`: the tool segments in the format's frame.
  ///   - tools: the protocol that the response was sampled with.
  public init(_ segments: [TraceSegment], calls: [TraceCall]? = nil, tools: ToolFormats = .python) {
    let format = tools.reading
    let trace = BehaviourTrace(segments, format: format)
    var blocks: [Block] = []
    var delayed: [Spot] = []
    var distrust: [Spot] = []
    /// The prose so far, in which a result may already stand.
    var said = ""
    var code: Range<Int>?
    for (index, piece) in trace.pieces.enumerated() {
      switch piece {
      case .code(let range, let closed): code = closed ? range : nil
      case .tool(let range):
        if let code, let output = Self.output(trace, range, calls: calls, executed: blocks.count, format) {
          let stated = Self.stands(BehaviourTrace.lastLine(output), in: said)
          blocks.append(Block(label: stated ? .verification : .calculation, code: code, output: output))
        }
        code = nil
      case .prose(let range):
        code = nil
        let sentences = ProseSentence.split(trace.bytes, in: range)
        let own = sentences.filter { sentence in !trace.hints.contains { $0.overlaps(sentence.range) } }
        let next = Self.nextOutput(trace, after: index, calls: calls, executed: blocks.count, format)
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
    idleHints = trace.pieces.count { piece in
      guard case .code(let range, _) = piece, !blocks.contains(where: { $0.code == range }) else { return false }
      return trace.hints.contains { $0.lowerBound < range.lowerBound && range.lowerBound <= $0.upperBound }
    }
  }

  /// The next call, read from a tool's text; nil: none was executed.
  private static func output(
    _ trace: BehaviourTrace, _ range: Range<Int>, calls: [TraceCall]?, executed: Int, _ format: any ToolFormat
  ) -> String? {
    guard let calls else { return format.output(of: trace.text(range)) }
    return executed < calls.count ? calls[executed].output : nil
  }

  /// The output of the code block that follows the prose piece `index`, if one follows and is executed.
  private static func nextOutput(
    _ trace: BehaviourTrace, after index: Int, calls: [TraceCall]?, executed: Int, _ format: any ToolFormat
  ) -> String? {
    guard index + 2 < trace.pieces.count, case .code = trace.pieces[index + 1],
      case .tool(let range) = trace.pieces[index + 2]
    else { return nil }
    return output(trace, range, calls: calls, executed: executed, format)
  }

  /// Whether `text` contains `result` as a whole number: not 12 in 112, 12.5 or x12.
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
