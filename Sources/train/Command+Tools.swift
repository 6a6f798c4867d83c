import ArgumentParser
import Checkpoint
import Foundation
import Pipeline
import Rollout
import Tensor
import Transformer

extension ProblemFamily: ExpressibleByArgument {}
extension ProblemGenerator.Split: ExpressibleByArgument {}
extension InterpreterSettings.Tier: ExpressibleByArgument {}

struct Problems: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "problems", abstract: "The demo's problem generator.")
  @Option var seed: UInt64
  @Option var count: Int
  @Option var output: String
  @Option(help: "Only this family.") var family: ProblemFamily?
  @Option(help: "training, held_out or any.") var split: ProblemGenerator.Split?
  @Flag(help: "Write solutions in the manner of the demo's base model, to train it on.") var texts = false
  @Option(help: "With --texts: shares of long hand, late code, distrusted code, transcripts.")
  var shares: String?
  @OptionGroup var threads: Threads

  func run() throws {
    guard count >= 0 else { throw ValidationError("--count must be 0 or more") }
    let generator = ProblemGenerator(
      seed: seed, split: split ?? (texts ? .training : .any), families: family.map { [$0] } ?? ProblemFamily.allCases)
    guard texts else { return try JSONLines.write(generator.problems(count: count).map(\.problem), to: output) }
    var drawn = DemoText.Shares()
    if let shares {
      let numbers = shares.split(separator: ",").compactMap { Double($0) }
      guard numbers.count == 4, abs(numbers.reduce(0, +) - 1) < 1e-9, numbers.allSatisfy({ $0 >= 0 }) else {
        throw ValidationError("--shares needs four numbers that add up to 1")
      }
      drawn = .init(longHand: numbers[0], late: numbers[1], distrust: numbers[2], transcript: numbers[3])
    }
    try JSONLines.write(DemoText.examples(generator, count: count, shares: drawn), to: output)
  }
}

struct PythonCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "python", abstract: "The rollout's interpreter by hand, one trajectory a line.")
  @Option(help: "{\"cells\": [code, ...]} a line.") var input: String
  @Option(help: "{\"results\": [{\"status\", \"output\", \"ms\"}]} a line.") var output: String
  @Option(help: "Seconds a block may take.") var timeLimit = 5.0
  @Option(help: "Memory a block may have, such as 1G.") var memory = "1G"
  @Option(help: "T3, T2 or T1; the best that holds if not given.") var tier: InterpreterSettings.Tier?
  @OptionGroup var threads: Threads

  private struct Cells: Decodable { var cells: [String] }
  private struct Results: Encodable { var results: [CallResult] }

  func run() throws {
    var settings = InterpreterSettings()
    settings.timeLimit = timeLimit
    settings.tier = tier
    settings.memoryBytes = try bytes(memory)
    let host = try InterpreterHost(settings: settings)
    let file = try JSONLinesFile(output)
    try JSONLines.forEach(input, as: Cells.self) { line, number in
      let session = try host.open(key: stableHash("train python \(number)"))
      defer { session.close() }
      try file.append(Results(results: line.cells.map { session.run($0) }))
    }
    try file.close()
  }

  private func bytes(_ text: String) throws -> Int {
    let units: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
    let unit = text.last.flatMap { units[$0] }
    guard let number = Double(unit == nil ? text : String(text.dropLast())), number > 0, number < 1e15 else {
      throw ValidationError("--memory: write it as 512M or 1G")
    }
    return Int(number * Double(unit ?? 1))
  }
}

struct GradeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "grade", abstract: "Compare answers with gold answers.")
  @Option(help: "{\"response\"|\"answer\", \"gold\"} a line.") var input: String
  @Option(help: "{\"verdict\", \"answer\", \"how\"} a line.") var output: String
  @OptionGroup var threads: Threads

  private struct Pair: Decodable {
    var response: String?
    var answer: String?
    var gold: String
  }

  func run() throws {
    var pairs: [(answer: String?, gold: String)] = []
    try JSONLines.forEach(input, as: Pair.self) { line, number in
      guard line.response != nil || line.answer != nil else {
        throw MartletError(.data, "\(input):\(number): needs \"response\" or \"answer\"")
      }
      pairs.append((line.answer ?? line.response.flatMap { extractAnswer($0) }, line.gold))
    }
    try JSONLines.write(Grader().gradeMany(pairs), to: output)
  }
}

struct Analyze: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "analyze",
    abstract: "What a model does with its interpreter: block labels, delayed computation, distrust.")
  @Option(help: "Episodes, one a line.") var input: String
  @Option(help: "Labels, one a line.") var output: String
  @Option(help: "The model whose tokenizer reads the episodes; that of their run if not given.") var model: String?
  @OptionGroup var threads: Threads

  func run() throws {
    let tokenizer = try tokenizer()
    try JSONLines.write(
      EpisodeFile.read(input, needsLogProbs: false).map { EpisodeLabels($0, tokenizer: tokenizer) }, to: output)
  }

  /// `--model`, the model of the run the file lies in, or the demo's tokenizer.
  private func tokenizer() throws -> Tokenizer {
    if let model { return try Console.tokenizer(of: model) }
    var folder = URL(fileURLWithPath: input).deletingLastPathComponent().standardizedFileURL
    for _ in 0..<3 {
      if FileManager.default.fileExists(atPath: folder.path + "/model.h5") {
        return try Console.tokenizer(of: folder.path + "/model.h5")
      }
      let config = folder.path + "/config.yaml"
      if FileManager.default.fileExists(atPath: config), let model = try Configuration.load(config).model {
        return try Console.tokenizer(of: model)
      }
      folder.deleteLastPathComponent()
    }
    let demo = "configs/demo/tokenizer.json"
    guard FileManager.default.fileExists(atPath: demo) else {
      throw MartletError(
        .usage, "\(input): belongs to no run, so its tokens cannot be read; name the model with --model")
    }
    Console.write("note: \(input) belongs to no run; its tokens are read with \(demo) (name another with --model)\n")
    return try Console.tokenizer(of: demo)
  }
}

extension Console {
  /// The tokenizer of a model file, a run or Hugging Face folder, or a tokenizer.json.
  static func tokenizer(of path: String) throws -> Tokenizer {
    if path.hasSuffix(".json"), let json = FileManager.default.contents(atPath: path) {
      return try Tokenizer(json: json, path: path)
    }
    guard let json = try ModelSource.header(path).files.tokenizer else {
      throw MartletError(.data, "\(path): has no tokenizer.json")
    }
    return try Tokenizer(json: json, path: path + ": tokenizer.json")
  }
}
