import Foundation
import Support

/// A tool that the model may call by name.
public struct Tool: Sendable, Equatable {
  /// The name by which the model calls it.
  public var name: String
  /// What it does, for the model.
  public var description: String
  /// The JSON schema of its arguments.
  package var parameters: JSONValue
  /// nil: the Python interpreter.
  public var command: ProgramCommand?

  /// As chat templates are given it.
  package var schema: JSONValue {
    .object([
      ("type", JSONValue("function")),
      (
        "function",
        .object([
          ("name", JSONValue(name)), ("description", JSONValue(description)), ("parameters", parameters),
        ])
      ),
    ])
  }
}

/// A file of tools, YAML or JSON: a list of `name`, `description`, `parameters`, `command`, `time_limit`.
///
/// `@/NAME` in a command is NAME beside the file. An entry `{name: python}` is the interpreter, which has no command.
public struct ToolManifest: Sendable, Equatable {
  /// The tools, in the file's order.
  public let tools: [Tool]

  /// What chat templates are given: a list of function schemas, in the file's order.
  package var schemas: JSONValue { .array(tools.map(\.schema)) }

  /// Whether the model may call Python too.
  package var hasPython: Bool { tools.contains { $0.command == nil } }

  /// - Throws: `MartletError` (configuration) with the file, the tool and the key.
  public init(path: String) throws {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw MartletError(.configuration, "tools: \(path): no such file; give the path of a list of tools")
    }
    let folder = Support.folder(of: path)
    let tree = try ConfigurationTree(yaml: String(decoding: data, as: UTF8.self), path: path).mapTexts { text in
      text.hasPrefix("@/") ? folder + "/" + text.dropFirst(2) : text
    }
    guard case .list(let entries) = tree, !entries.isEmpty else {
      throw MartletError(.configuration, "\(path): must be a list of tools, each with name, description, command")
    }
    tools = try entries.enumerated().map { try Self.tool($1, "\(path): tool \($0 + 1)") }
    let names = tools.map(\.name)
    if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
      throw MartletError(.configuration, "\(path): the name \(twice) stands there twice; names tell tools apart")
    }
  }

  private static let codeParameters =
    #"{"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}"#
  private static let keys = ["name", "description", "parameters", "command", "time_limit"]

  private static func tool(_ entry: ConfigurationTree, _ place: String) throws -> Tool {
    func refused(_ text: String) -> MartletError { MartletError(.configuration, "\(place): \(text)") }
    guard case .map(let members) = entry else { throw refused("must be a section of keys and values") }
    if let unknown = members.first(where: { !keys.contains($0.key) }) {
      throw refused("unknown key \(unknown.key); known here: \(keys.joined(separator: ", "))")
    }
    guard case .text(let name)? = entry["name"], name.wholeMatch(of: /[A-Za-z0-9_-]{1,64}/) != nil else {
      throw refused("name: must be 1 to 64 letters, digits, _ or -")
    }
    let isPython = name == "python"
    guard isPython || entry["command"] != nil else { throw refused("command: is missing; name the program of \(name)") }
    guard !isPython || (entry["command"] ?? entry["time_limit"]) == nil else {
      throw refused("python is the interpreter: it has no command, and interpreter.time_limit is its limit")
    }
    let description: String
    switch entry["description"] {
    case .text(let text)?: description = text
    case nil where isPython: description = "Runs Python code and returns what it prints."
    default: throw refused("description: must be a text that tells the model what \(name) does")
    }
    guard let json = entry["parameters"]?.json ?? (isPython ? codeParameters : nil),
      let parameters = JSONValue(json: json),
      case .object = parameters
    else { throw refused("parameters: must be the JSON schema of the arguments, an object") }
    let command = try entry["command"].map { try Self.command($0, entry["time_limit"], name: name, place) }
    return Tool(name: name, description: description, parameters: parameters, command: command)
  }

  private static func command(
    _ words: ConfigurationTree, _ limit: ConfigurationTree?, name: String, _ place: String
  ) throws -> ProgramCommand {
    let texts: [String?] =
      switch words {
      case .list(let list): list.map { if case .text(let word) = $0 { word } else { $0.isScalar ? $0.json : nil } }
      case .text(let word): [word]
      default: [nil]
      }
    guard !texts.isEmpty, !texts.contains(nil) else {
      throw MartletError(.configuration, "\(place): command: must be a list of words: [python3, \"@/tool.py\"]")
    }
    let seconds = limit.map { Double($0.json) ?? 0 } ?? 10
    guard seconds > 0, seconds <= 1e6 else {
      throw MartletError(.configuration, "\(place): time_limit: must be a number of seconds above 0")
    }
    return ProgramCommand(key: "tools: \(name)", words: texts.compactMap { $0 }, timeLimit: seconds)
  }
}

extension ConfigurationTree {
  fileprivate var isScalar: Bool {
    switch self {
    case .bool, .integer, .unsigned, .number: true
    default: false
    }
  }
}
