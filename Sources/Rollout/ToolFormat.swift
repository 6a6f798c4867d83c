import Foundation
import Transformer

/// A block of code that the model has finished writing.
public struct ToolCall: Sendable, Equatable {
  public var code: String
  /// Why it cannot be run (a call that is not JSON); shown to the model in place of an output.
  public var problem: String?

  public init(code: String, problem: String? = nil) {
    self.code = code
    self.problem = problem
  }
}

/// Looks for a complete call in what the model writes, byte by byte, at a cost that does not grow with the text.
public protocol CallScanner: Sendable {
  /// Takes the next byte; the call that it completes, if it does.
  mutating func push(_ byte: UInt8) -> ToolCall?
  /// The call that is complete because the model stopped here.
  mutating func stop() -> ToolCall?
  /// Whether code has been opened and not closed.
  var isOpen: Bool { get }
}

/// How the model marks code, and how it gets the output back.
public protocol ToolFormat: Sendable {
  /// A scanner for a stretch that begins at a line start. A new one begins after every tool text.
  func scanner() -> any CallScanner
  /// What stands before and after an output.
  var opening: String { get }
  var closing: String { get }
  /// Whether the frame's marks are tokens of their own where the tokenizer has such tokens. The output never is.
  var frameIsSpecial: Bool { get }
}

extension ToolFormat {
  /// Said once, after the last output of a trajectory that has used up its calls.
  public static var notice: String { "No further code will be run.\n" }

  /// The tool text for an output: the frame, the output's last line end being the frame's own.
  /// - Parameter joined: false when the model's text does not end in a line end (it stopped right behind its fence).
  public func reply(to output: String, joined: Bool = true, isLast: Bool = false) -> String {
    head(joined) + body(output) + closing + (isLast ? Self.notice : "")
  }

  /// The tokens of that text. What the program printed can never become a special token.
  public func tokens(
    replyTo output: String, joined: Bool = true, isLast: Bool = false, tokenizer: Tokenizer
  ) -> [Int32] {
    guard frameIsSpecial else {
      return tokenizer.encode(reply(to: output, joined: joined, isLast: isLast), allowSpecial: false)
    }
    return tokenizer.encode(head(joined)) + tokenizer.encode(body(output), allowSpecial: false)
      + tokenizer.encode(closing + (isLast ? Self.notice : ""))
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

  public var format: (any ToolFormat)? {
    switch self {
    case .python: FencedPython()
    case .toolCall: ToolCallJSON()
    case .code: CodeTags()
    case .none: nil
    }
  }
}

/// ```` ```python ... ``` ```` answered by ```` ```output ... ``` ````: CoRT's form.
public struct FencedPython: ToolFormat {
  public init() {}
  public let opening = "```output\n"
  public let closing = "```\n"
  public let frameIsSpecial = false
  public func scanner() -> any CallScanner { FenceScanner() }
}

/// `<tool_call>{"name": "python", "arguments": {"code": ...}}</tool_call>` answered by `<tool_response>`: Qwen's and
/// Hermes' form.
public struct ToolCallJSON: ToolFormat {
  public init() {}
  public let opening = "\n<tool_response>\n"
  public let closing = "</tool_response>\n"
  public let frameIsSpecial = true
  public func scanner() -> any CallScanner {
    TagScanner(open: "<tool_call>", close: "</tool_call>", read: Self.read)
  }

  private struct Request: Decodable {
    struct Arguments: Decodable { var code: String }
    var name: String
    var arguments: Arguments

    enum CodingKeys: CodingKey { case name, arguments }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      name = try values.decode(String.self, forKey: .name)
      // As text they come in OpenAI's form.
      if let text = try? values.decode(String.self, forKey: .arguments) {
        arguments = try JSONDecoder().decode(Arguments.self, from: Data(text.utf8))
      } else {
        arguments = try values.decode(Arguments.self, forKey: .arguments)
      }
    }
  }

  private static func read(_ text: String) -> ToolCall {
    do {
      let request = try JSONDecoder().decode(Request.self, from: Data(text.utf8))
      guard request.name.lowercased().contains("python") || request.name.hasPrefix("code") else {
        return ToolCall(code: text, problem: "there is no tool named \"\(request.name)\"; use \"python\"")
      }
      return ToolCall(code: request.arguments.code)
    } catch {
      return ToolCall(
        code: text, problem: "the call is not {\"name\": \"python\", \"arguments\": {\"code\": \"...\"}}")
    }
  }
}

/// `<code>...</code>` answered by `<output>`.
public struct CodeTags: ToolFormat {
  public init() {}
  public let opening = "\n<output>\n"
  public let closing = "</output>\n"
  public let frameIsSpecial = true
  public func scanner() -> any CallScanner {
    TagScanner(open: "<code>", close: "</code>") { ToolCall(code: $0) }
  }
}
