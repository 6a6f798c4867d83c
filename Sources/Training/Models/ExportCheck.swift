import Checkpoint
import Foundation
import Rollout
import Support
import Tokenization
import Transformer

/// Compares how transformers and this program read an exported folder.
public struct ExportCheck: Sendable {
  /// What was compared, or why nothing was, in one line.
  public let text: String

  /// Texts on which the tokenizers are compared: pieces of prompts, code and outputs.
  static let texts = [
    "What is 12 times 345, and why?",
    "Let me see: 3.14159 \u{2248} \u{3C0}.\n\n```python\nfor i in range(10):\n\tprint(i ** 2)\n```\n",
    "```output\n0\n1\n```\nSo the answer is \\boxed{-7}.",
    "  two  spaces, don't, I'LL, caf\u{E9}, cafe\u{301}, \u{65E5}\u{672C}\u{8A9E} \u{1F642}\r\n",
    "theorem thermometer other the 007 1000000",
  ]

  private struct Reply: Decodable {
    var missing: Bool?
    var version: String?
    var ids: [[Int32]]?
    var begin: [Int32]?
  }

  /// Compares the ids of some texts and of the special tokens.
  /// - Parameter python: the Python that must have transformers; nil: the project's and those in PATH are tried.
  /// - Throws: `MartletError`: data when transformers reads other ids; configuration when `python` has no transformers.
  public static func run(_ folder: String, model: StoredModel, path: String, python: String?) throws -> ExportCheck {
    guard let json = model.files.tokenizer, (try? Tokenizer(json: json, path: path)) != nil else {
      return ExportCheck(text: "\(folder): the tokenizer is not of a kind that is read here; it was not compared")
    }
    let loaded = try LoadedModel(stored: model, path: path)
    let texts = texts + loaded.tokenizer.addedTokens.prefix(50).map { "a\($0.content)b" }
    for program in try python.map({ [try PythonRuntime.python($0)] }) ?? programs() {
      guard let reply = try read(folder, texts, program) else { continue }
      return try compare(folder, reply, texts, loaded, program)
    }
    if let python {
      throw MartletError(.configuration, "python: \(python) has no transformers; install it there, or name another")
    }
    return ExportCheck(
      text: "\(folder): not read with transformers: no Python here has it; name one with --python to compare the ids")
  }

  private static func compare(
    _ folder: String, _ reply: Reply, _ texts: [String], _ loaded: LoadedModel, _ program: String
  ) throws -> ExportCheck {
    let name = "transformers \(reply.version ?? "") (\(program))"
    for (text, ids) in zip(texts, reply.ids ?? []) {
      let own = loaded.tokenizer.encode(text)
      guard own == ids else {
        throw MartletError(
          .data,
          "\(folder): \(name) reads \"\(text)\" as \(ids.prefix(12)), but here it is \(own.prefix(12)); do not use the "
            + "folder with it")
      }
    }
    // transformers 5 ignores add_bos_token where tokenizer.json has no post-processor.
    if loaded.tokenizer.beginTokens != nil || loaded.specialTokens.addsBegin != true,
      let begin = reply.begin, begin != loaded.beginTokens
    {
      throw MartletError(.data, "\(folder): \(name) begins a text with \(begin), but here it is \(loaded.beginTokens)")
    }
    return ExportCheck(text: "\(folder): \(name) gives \(texts.count) texts the same ids")
  }

  private static func programs() throws -> [String] {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    let all = [try PythonRuntime.python(nil)] + path.split(separator: ":").map { "\($0)/python3" }
    var known: Set<String> = []
    return all.filter { FileManager.default.isExecutableFile(atPath: $0) && known.insert($0).inserted }
  }

  /// What `program` reads; nil where it has no transformers.
  private static func read(_ folder: String, _ texts: [String], _ program: String) throws -> Reply? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = ["-s", "-B", try PythonRuntime.source("exported.py")]
    var environment = ProcessInfo.processInfo.environment
    environment.merge(["HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONUTF8": "1"]) { $1 }
    process.environment = environment
    let (input, output) = (Pipe(), Pipe())
    (process.standardInput, process.standardOutput) = (input, output)
    process.standardError = FileHandle.nullDevice
    try process.run()
    let limit = DispatchWorkItem { process.terminate() }
    DispatchQueue.global().asyncAfter(deadline: .now() + 300, execute: limit)
    let folder = URL(fileURLWithPath: folder).path
    input.fileHandleForWriting.write(
      try JSONSerialization.data(withJSONObject: ["folder": folder, "texts": texts] as [String: Any]))
    try input.fileHandleForWriting.close()
    let answer = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    limit.cancel()
    let line = answer.split(separator: UInt8(ascii: "\n")).last ?? Data()
    guard process.terminationStatus == 0, let reply = try? JSONDecoder().decode(Reply.self, from: line) else {
      throw MartletError(
        .data, "\(folder): transformers (\(program)) cannot read it; try AutoTokenizer.from_pretrained there")
    }
    return reply.missing == true ? nil : reply
  }
}
