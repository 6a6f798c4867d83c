import Foundation
import Support
import Tokenization
import Transformer

/// A call that the model has finished writing: a block of code, or arguments for a tool.
public struct ToolCall: Sendable, Equatable {
  /// The code to execute, or the arguments of `tool` as a JSON object.
  public var code: String
  /// The tool of the manifest that is called; nil: the interpreter.
  public var tool: String?
  /// Why it cannot be run (a call that is not JSON); shown to the model in place of an output.
  public var problem: String?

  /// A call.
  public init(code: String, tool: String? = nil, problem: String? = nil) {
    self.code = code
    self.tool = tool
    self.problem = problem
  }
}

/// Reads a response byte by byte, at constant cost for each byte. Finds complete calls, and tells prose from code.
public protocol CallScanner: Sendable {
  /// Takes the next byte.
  /// - Returns: the call that it completes, if any.
  mutating func push(_ byte: UInt8) -> ToolCall?
  /// Tells the scanner that the model stopped here.
  /// - Returns: the call that is complete because of it, if any.
  mutating func stop() -> ToolCall?
  /// Skips a tool's text of `length` bytes. What follows begins a new line.
  mutating func skip(_ length: Int)
  /// Whether a block of code is open.
  var isOpen: Bool { get }
  /// The pieces of the text so far, in order.
  var pieces: [ResponsePiece] { get }
}

/// The tool protocol: how the model marks code, and how the output comes back. Sampler, behaviour analysis and hints
/// all read responses through it.
public protocol ToolFormat: Sendable {
  /// A scanner for a response, from its first byte.
  func scanner() -> any CallScanner
  /// The text that opens a call at the start of a line, up to the first byte of the code.
  var callOpening: String { get }
  /// The marks before and after an output.
  var opening: String { get }
  var closing: String { get }
  /// Whether the marks may become special tokens of the tokenizer. The output never may.
  var frameIsSpecial: Bool { get }
}

extension ToolFormat {
  /// Written once, after the last output of a trajectory that has used up its calls.
  public static var notice: String { "No further code will be run.\n" }

  /// The tool text for an output: the output between the marks. Its last line end belongs to the frame.
  /// - Parameter joined: false when the model's text does not end in a line end (it stopped right behind its fence).
  public func reply(to output: String, joined: Bool = true, isLast: Bool = false) -> String {
    head(joined) + body(output) + closing + (isLast ? Self.notice : "")
  }

  /// The tokens of that text. What the program printed never becomes a special token.
  public func tokens(
    replyTo output: String, joined: Bool = true, isLast: Bool = false, tokenizer: Tokenizer
  ) -> [Int32] {
    guard frameIsSpecial else {
      return tokenizer.encode(reply(to: output, joined: joined, isLast: isLast), allowSpecial: false)
    }
    return tokenizer.encode(head(joined)) + tokenizer.encode(body(output), allowSpecial: false)
      + tokenizer.encode(closing + (isLast ? Self.notice : ""))
  }

  /// The output inside a tool text; nil: the text is no reply (a notice, say).
  public func output(of reply: String) -> String? {
    let lines = reply.drop(while: \.isNewline).split(separator: "\n", omittingEmptySubsequences: false)
    guard let first = lines.first, first == opening.drop(while: \.isNewline).dropLast() else { return nil }
    // An output may hold the closing mark itself: the last one is the frame's.
    let end = lines.lastIndex(of: closing.dropLast()) ?? lines.endIndex
    var body = lines[1..<max(1, end)]
    while body.last?.isEmpty == true { body.removeLast() }
    return body.joined(separator: "\n")
  }

  /// Whether a text that begins a line opens a call.
  public func opensCall(_ text: String) -> Bool {
    var scanner = scanner()
    for byte in text.utf8 { _ = scanner.push(byte) }
    return scanner.pieces.contains { if case .code = $0 { true } else { false } }
  }

  private func head(_ joined: Bool) -> String { joined || opening.hasPrefix("\n") ? opening : "\n" + opening }

  private func body(_ output: String) -> String {
    output.isEmpty || output.hasSuffix("\n") ? output : output + "\n"
  }
}

/// The tool formats by their names in configurations and on the command line.
public enum ToolFormats: String, Codable, Sendable, CaseIterable {
  case python
  case toolCall = "tool_call"
  case code
  /// Nothing is executed.
  case none

  /// How calls and replies are written; nil: there are no tools.
  public var format: (any ToolFormat)? {
    switch self {
    case .python: FencedPython()
    case .toolCall: ToolCallJSON()
    case .code: CodeTags()
    case .none: nil
    }
  }

  /// The format whose frame a tool text has.
  init?(reply: String) {
    guard let found = Self.allCases.first(where: { $0.format?.output(of: reply) != nil }) else { return nil }
    self = found
  }

  /// The format by which text is read. Without tools, fenced code is still no prose.
  public var reading: any ToolFormat { format ?? FencedPython() }
}

/// A fenced block of Python, answered by a fenced block `output`: CoRT's form.
public struct FencedPython: ToolFormat {
  /// The format; it has no settings.
  public init() {}
  public let callOpening = "```python\n"
  public let opening = "```output\n"
  public let closing = "```\n"
  public let frameIsSpecial = false
  public func scanner() -> any CallScanner { FenceScanner() }
}

/// `<tool_call>{"name": "python", "arguments": {"code": ...}}</tool_call>` answered by `<tool_response>`: Qwen's and
/// Hermes' form.
///
/// With a manifest of tools the name is one of theirs, and the arguments are that tool's.
public struct ToolCallJSON: ToolFormat {
  /// What may be called; nil: Python alone, under any name that means it.
  private let names: [String]?
  /// The format.
  /// - Parameter names: the tools that may be called; nil: Python alone.
  public init(names: [String]? = nil) { self.names = names }
  public let callOpening = "<tool_call>\n{\"name\": \"python\", \"arguments\": {\"code\": \""
  public let opening = "\n<tool_response>\n"
  public let closing = "</tool_response>\n"
  public let frameIsSpecial = true
  public func scanner() -> any CallScanner {
    TagScanner(.init("tool_call", syntax: .json, begins: Self.begins) { [names] text, _ in Self.read(text, names) })
  }

  private static func begins(startsLine: Bool, text: [UInt8]) -> Bool? {
    guard let first = text.first(where: { !MarkdownLines.isSpace($0) }) else { return nil }
    return [0x0A, 0x5B, 0x7B].contains(first) || (startsLine && first == text[0])  // line end [ {
  }

  private static func read(_ bytes: [UInt8], _ names: [String]?) -> ToolCall {
    let text = String(decoding: bytes, as: UTF8.self)
    func refused(_ problem: String) -> ToolCall { ToolCall(code: text, problem: problem) }
    let isPythonAlone = names == nil || names == ["python"]
    let form =
      isPythonAlone
      ? "the call is not {\"name\": \"python\", \"arguments\": {\"code\": \"...\"}}"
      : "the call is not {\"name\": \"...\", \"arguments\": {...}}"
    guard let request = JSONValue(json: text), let name = request["name"]?.asText else { return refused(form) }
    guard names?.contains(name) ?? (name.lowercased().contains("python") || name.hasPrefix("code")) else {
      let known = (names ?? ["python"]).map { "\"\($0)\"" }.joined(separator: ", ")
      return refused("there is no tool named \"\(name)\"; use \(known)")
    }
    // OpenAI's form gives the arguments as text.
    let arguments = request["arguments"].flatMap { value in value.asText.map { JSONValue(json: $0) } ?? value }
    guard names == nil || name == "python" else {
      guard case .object? = arguments else { return refused("the arguments of \"\(name)\" are no JSON object") }
      return ToolCall(code: arguments?.text ?? "{}", tool: name)
    }
    guard let code = arguments?["code"]?.asText else { return refused(form) }
    return ToolCall(code: code)
  }
}

/// `<code>...</code>` answered by `<output>`; inside, a fence may stand around the code (ReTool).
public struct CodeTags: ToolFormat {
  /// The format; it has no settings.
  public init() {}
  public let callOpening = "<code>\n"
  public let opening = "\n<output>\n"
  public let closing = "</output>\n"
  public let frameIsSpecial = true
  public func scanner() -> any CallScanner {
    TagScanner(.init("code", syntax: .python, begins: Self.begins, read: Self.read))
  }

  private static func begins(startsLine: Bool, text: [UInt8]) -> Bool? {
    if startsLine { return true }
    let rest = text.drop(while: MarkdownLines.isSpace)
    guard let first = rest.first else { return nil }
    guard first == 0x60 || first == 0x7E else { return first == 0x0A }
    let fence = rest.prefix { $0 == first }.count
    return fence >= 3 ? true : fence == rest.count ? nil : false
  }

  private static func read(_ text: [UInt8], column: Int) -> ToolCall {
    var lines = text.split(separator: 0x0A, omittingEmptySubsequences: false)
    // White space after the tag is not part of the code, nor is the indentation of the tag's line.
    lines[0] = lines[0].drop(while: MarkdownLines.isSpace)
    for index in lines.indices.dropFirst() { lines[index] = MarkdownLines.stripped(lines[index], columns: column)[...] }
    let code = unfenced(lines) ?? lines
    return ToolCall(code: String(decoding: Array(code.joined(separator: [0x0A])), as: UTF8.self))
  }

  /// The lines inside a fence, if the first one that is not empty opens one.
  private static func unfenced(_ lines: [ArraySlice<UInt8>]) -> [ArraySlice<UInt8>]? {
    guard let first = lines.firstIndex(where: { !$0.allSatisfy(MarkdownLines.isSpace) }) else { return nil }
    let (place, column) = MarkdownLines.indentation(lines[first])
    guard let fence = CodeFence(lines[first], at: place, column: column, base: 0), fence.language != .other
    else { return nil }
    var code = lines[(first + 1)...]
    while let last = code.last, last.allSatisfy(MarkdownLines.isSpace) { code.removeLast() }
    if let last = code.last, fence.isClosed(by: Array(last)) { code.removeLast() }
    return code.map { fence.stripped(Array($0))[...] } + [[]]
  }
}
