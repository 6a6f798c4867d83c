import ArgumentParser
import Checkpoint
import Foundation
import Support
import Tokenization
import Training

struct Tokenize: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize", abstract: "Turn text into token ids, or ids into text.",
    discussion: """
      train tokenize MODEL 'What is 2 + 3?'
      train tokenize MODEL --decode 12 34 56
      train tokenize MODEL --input FILE --output FILE

      Without ids, --decode reads them from standard input. With --input and --output, lines of {"text"} become lines of
      {"ids", "text"}.
      """)
  @Argument(help: "A model file, a run, a Hugging Face folder, or a tokenizer.json.") var model: InputPath
  @Argument(help: ArgumentHelp("The text; with --decode, token ids.", valueName: "text")) var words: [String] = []
  @Flag(help: "Turn ids into text.") var decode = false
  @Option(help: ArgumentHelp("A file of {\"text\"} lines.", valueName: "file")) var input: InputPath?
  @Option(help: ArgumentHelp("The file for {\"ids\", \"text\"} lines.", valueName: "file"), completion: .file())
  var output: String?
  @OptionGroup var threads: Threads

  private struct Text: DataLine {
    static let keys = ["text"]
    var text: String
  }
  private struct Tokens: Encodable {
    var ids: [Int32]
    var text: String
  }

  func validate() throws {
    let ways = [decode, !decode && !words.isEmpty, input != nil || output != nil].count { $0 }
    guard ways == 1 else { throw ValidationError("Give a text, or --decode, or --input and --output.") }
    if !decode, words.isEmpty, input == nil || output == nil {
      throw ValidationError("--input and --output go together.")
    }
    if let input, let output { try LineFiles.refuseSame(input, output) }
    _ = try decode ? Self.ids(words) : []
  }

  func run() throws {
    let tokenizer = try Tokenizer.read(model.name)
    if decode { return try decode(with: tokenizer) }
    guard let input, let output else {
      Console.out(tokenizer.encode(words.joined(separator: " ")).map(String.init).joined(separator: " "))
      return
    }
    let file = try JSONLinesFile(output)
    try JSONLines.forEach(input.path(), as: Text.self) { line, _ in
      let ids = tokenizer.encode(line.text)
      try file.append(Tokens(ids: ids, text: tokenizer.decode(ids)))
    }
    try file.close()
  }

  private func decode(with tokenizer: Tokenizer) throws {
    var ids = try Self.ids(words)
    if words.isEmpty {
      let text = String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
      ids = try Self.ids([text])
    }
    if let id = ids.first(where: { $0 < 0 || Int($0) >= tokenizer.vocabularyCount }) {
      throw MartletError(.data, "token \(id) is not in the vocabulary of \(tokenizer.vocabularyCount)")
    }
    let text = tokenizer.decode(ids)
    Console.out(Terminal.output.isInteractive ? text.printable : text)
  }

  /// Ids between white space, commas or brackets, as they stand in files.
  private static func ids(_ words: [String]) throws -> [Int32] {
    try words.flatMap { $0.split { $0.isWhitespace || ",[]".contains($0) } }.map { word in
      guard let id = Int32(word) else { throw ValidationError("\(word) is not a token id; ids are whole numbers.") }
      return id
    }
  }
}

extension Tokenizer {
  /// The tokenizer of a model file, a run or Hugging Face folder, or a tokenizer.json.
  static func read(_ name: String) throws -> Tokenizer {
    let path = try NamedPath.existing(name)
    if path.hasSuffix(".json") {
      guard let json = FileManager.default.contents(atPath: path) else {
        throw MartletError(.io, "\(path): cannot be read; name a tokenizer.json or a model")
      }
      return try Tokenizer(json: json, path: path)
    }
    guard let json = try ModelSource.header(path).files.tokenizer else {
      throw MartletError(.data, "\(path): has no tokenizer.json; import it again from a folder that has one")
    }
    return try Tokenizer(json: json, path: path + ": tokenizer.json")
  }
}
