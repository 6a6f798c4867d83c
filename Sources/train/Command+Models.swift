import ArgumentParser
import Checkpoint
import Foundation
import Pipeline
import Rollout
import Tensor

struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Turn a Hugging Face folder into a model file.")
  @Argument(help: "A folder with config.json, *.safetensors, tokenizer.json.") var source: String
  @Argument(help: "The model file to write.") var model: String
  @OptionGroup var threads: Threads

  func run() throws {
    let console = Console()
    let stored = try HuggingFaceFolder.read(source) { share in
      console.show(
        .progress(Pipeline.Progress(what: "import", done: Int(share * 1000), total: 1000, unit: "of 1000", rate: nil)))
    }
    try ModelFile.write(stored.model, files: stored.files, to: model)
    Console.out("\(model): \(stored.model.table.parameters.count) parameters, weights \(weightsHash(stored.model))")
  }
}

extension StoredType: ExpressibleByArgument {}

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write a Hugging Face folder that transformers and vLLM load.")
  @Argument(help: "A model file, run or step folder.") var model: String
  @Argument(help: "The folder to write.") var folder: String
  @Option(help: "f32 or bf16.") var dtype: StoredType = .float32
  @OptionGroup var threads: Threads

  func run() throws {
    let stored = try ModelSource.load(model)
    try HuggingFaceFolder.write(stored.model, files: stored.files, to: folder, type: dtype)
  }
}

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "inspect", abstract: "Show what a model file holds.")
  @Argument(help: "A model file.") var model: String
  @Flag(help: "Only the weights' hash.") var hash = false
  @OptionGroup var threads: Threads

  func run() throws {
    let summary = try ModelFile.inspect(model)
    if hash { return Console.out(summary.weightsHash) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    Console.out(String(decoding: try encoder.encode(summary.configuration), as: UTF8.self))
    for parameter in summary.parameters {
      Console.out("\(parameter.type)  \(parameter.name)  \(parameter.shape)")
    }
    Console.out(
      "\(summary.parameterCount) numbers in \(summary.parameters.count) parameters, \(summary.fileBytes) bytes; "
        + "files: \(summary.files.joined(separator: ", "))")
    Console.out("weights \(summary.weightsHash)")
  }
}

struct Tokenize: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "tokenize", abstract: "Texts to token ids.")
  @Argument(help: "A model file, run folder or Hugging Face folder.") var model: String
  @Option(help: "{\"text\"} a line.") var input: String
  @Option(help: "{\"ids\", \"text\"} a line.") var output: String
  @OptionGroup var threads: Threads

  private struct Text: Decodable { var text: String }
  private struct Tokens: Encodable {
    var ids: [Int32]
    var text: String
  }

  func run() throws {
    let tokenizer = try Console.tokenizer(of: model)
    let file = try JSONLinesFile(output)
    try JSONLines.forEach(input, as: Text.self) { line, _ in
      let ids = tokenizer.encode(line.text)
      try file.append(Tokens(ids: ids, text: tokenizer.decode(ids)))
    }
    try file.close()
  }
}

struct Score: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "score", abstract: "Log-probs of given tokens.")
  @Argument(help: "A model file, run folder or Hugging Face folder.") var model: String
  @Option(help: "{\"tokens\"}, {\"text\"} or an episode a line.") var input: String
  @Option(help: "{\"tokens\", \"logprobs\", \"entropy\"} a line.") var output: String
  @Option(help: "What logits are divided by.") var temperature: Float?
  @OptionGroup var threads: Threads

  func run() throws {
    try Scorer.score(
      LoadedModel.load(model), input: input, output: output, temperature: temperature, pool: threads.pool())
  }
}
