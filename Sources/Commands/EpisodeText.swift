import Rollout
import Tokenization

/// An episode as text to read: what each line is stands before it, so that it can be told apart without colours too.
struct EpisodeText {
  /// What a stretch of text is.
  private enum Kind: String {
    case prompt, model, code, output, hint

    var colour: Colour? {
      switch self {
      case .prompt: .dim
      case .model: nil
      case .code: .magenta
      case .output: Author.tool.colour
      case .hint: Author.hint.colour
      }
    }
  }

  let episode: Episode
  let tokenizer: Tokenizer
  let isColoured: Bool

  /// All of it, ending in a line end.
  var text: String {
    var lines: [String] = []
    for (kind, text) in stretches { lines += self.lines(kind, text) }
    return (lines + verdictLines).joined(separator: "\n") + "\n"
  }

  private func paint(_ colour: Colour?, _ text: String) -> String {
    isColoured ? colour?.paint(text) ?? text : text
  }

  private func lines(_ kind: Kind, _ text: String) -> [String] {
    var lines = text.printable.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    let label = kind.rawValue + String(repeating: " ", count: 6 - kind.rawValue.count)
    return lines.map { paint(.dim, label + " │ ") + paint(kind.colour, String($0)) }
  }

  /// Neighbouring text of one kind, in order.
  private var stretches: [(Kind, String)] {
    let segments = episode.segments(tokenizer)
    let prompt = segments.filter { $0.author == .prompt }.map { (Kind.prompt, $0.text) }
    let kinds = kinds(of: segments)
    var stretches: [(Kind, String)] = []
    var place = 0
    for segment in segments where segment.author != .prompt {
      var rest = Array(segment.text.utf8)[...]
      while let kind = rest.isEmpty ? nil : kinds[place] {
        let count = kinds[place..<place + rest.count].prefix { $0 == kind }.count
        stretches.append((kind, String(decoding: rest.prefix(count), as: UTF8.self)))
        rest = rest.dropFirst(count)
        place += count
      }
    }
    return prompt + stretches
  }

  /// What each byte of the response is: what is neither prose nor a tool's text is code, its marks included.
  private func kinds(of segments: [TraceSegment]) -> [Kind] {
    var scanner = format(segments).reading.scanner()
    var kinds: [Kind] = []
    for segment in segments where segment.author != .prompt {
      let bytes = Array(segment.text.utf8)
      switch segment.author {
      case .tool: scanner.skip(bytes.count)
      case .model, .hint, .prompt: for byte in bytes { _ = scanner.push(byte) }
      }
      let kind: Kind = segment.author == .tool ? .output : segment.author == .hint ? .hint : .code
      kinds += [Kind](repeating: kind, count: bytes.count)
    }
    for case .prose(let range) in scanner.pieces {
      for place in range where kinds[place] == .code { kinds[place] = .model }
    }
    return kinds
  }

  /// The tool protocol: as the episode says, else by the frame of its outputs.
  private func format(_ segments: [TraceSegment]) -> ToolFormats {
    if let tools = episode.sampling?.tools { return tools }
    let reply = segments.first { $0.author == .tool }?.text ?? ""
    return ToolFormats.allCases.first { $0.format?.output(of: reply) != nil } ?? .python
  }

  /// Verdict, end, tokens, calls, reward, hints: below the text.
  private var verdictLines: [String] {
    var lines: [String] = []
    func add(_ name: String, _ text: String, _ colour: Colour? = nil) {
      let label = name + String(repeating: " ", count: 7 - name.count)
      lines.append(paint(.dim, label) + paint(colour, text))
    }
    let answer = episode.answer.map { "answer \($0.printable)" } ?? "no answer"
    let gold = episode.gold.map { ", gold \($0.printable)" } ?? ""
    let verdict = episode.verdict.map { $0.rawValue.replacing("_", with: " ") + ": " } ?? ""
    let isRight = episode.verdict == .correct
    add("result", verdict + answer + gold, episode.verdict == nil ? nil : isRight ? .green : .red)
    if episode.finish == .length { add("end", "cut off: a limit of tokens or the context was reached", .red) }
    let counts = Dictionary(grouping: episode.authors, by: \.author).mapValues { $0.reduce(0) { $0 + $1.count } }
    add(
      "tokens",
      Author.allCases.compactMap { author in counts[author].map { "\(author) \($0)" } }.joined(separator: ", "))
    if !episode.calls.isEmpty {
      let byStatus = Dictionary(grouping: episode.calls, by: \.status.rawValue).mapValues(\.count)
      add("calls", byStatus.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", "))
    }
    if let total = episode.reward?.total { add("reward", Format.short(total)) }
    for hint in episode.hints { add("hint", "\(hint.kind.rawValue): \(hint.reason.printable)", .yellow) }
    return lines
  }
}
