import ArgumentParser
import Checkpoint
import Foundation
import Rollout
import Support
import Tensor
import Tokenization
import Training
import Transformer

extension InterpreterSettings.Tier: ExpressibleByArgument {}

struct PythonCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "python",
    abstract: "Run code in the interpreter that rollouts use.",
    discussion: """
      Reads lines of {"cells": [CODE, ...]}, each with variables of its own, and writes lines of {"results": [...]}.
      """)
  @OptionGroup var files: LineFiles
  @Option(help: "Seconds that a cell may take.") var timeLimit = 5.0
  @Option(help: "Memory that a cell may have, such as 1G.") var memory = "1G"
  @Option(help: "The kind of sandbox; the strongest that this machine has if not given.")
  var tier: InterpreterSettings.Tier?
  @Option(help: "Lines that run at a time; one a physical core if not given.") var sessions: Int?
  @OptionGroup var threads: Threads

  private struct Cells: Decodable { var cells: [String] }
  private struct Results: Encodable { var results: [CallResult] }

  func validate() throws {
    guard timeLimit.isFinite, timeLimit > 0 else { throw ValidationError("--time-limit must be more than 0 seconds") }
    _ = try bytes(memory)
    guard (1...1024).contains(sessions ?? 1) else { throw ValidationError("--sessions must be from 1 to 1024") }
  }

  func run() throws {
    var settings = InterpreterSettings()
    settings.timeLimit = timeLimit
    settings.tier = tier
    settings.memoryBytes = try bytes(memory)
    let host = try InterpreterHost(settings: settings)
    defer { host.close() }
    let output = try OrderedLines<Results>(files.output)
    let atOnce = sessions ?? WorkerPool.physicalCoreCount
    let free = DispatchSemaphore(value: atOnce)
    let running = DispatchGroup()
    defer { running.wait() }
    var place = 0
    try JSONLines.forEach(files.input.path(), as: Cells.self) { line, number in
      free.wait()
      try output.check()
      let own = place
      place += 1
      // A thread each: a session waits for its processes, and a queue would start fewer than asked for.
      running.enter()
      Thread.detachNewThread {
        output.put(own) {
          let session = try host.open(key: UInt64(number))
          defer { session.close() }
          return Results(results: line.cells.map { session.run($0) })
        }
        free.signal()
        running.leave()
      }
    }
    running.wait()
    try output.close()
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
    commandName: "grade",
    abstract: "Judge answers against the right ones.",
    discussion: """
      Reads lines of {"answer", "gold"} or {"response", "gold"}, and writes lines of {"verdict", "answer", "how"}.
      """)
  @OptionGroup var files: LineFiles
  @Flag(help: "Write only the lines on which math-verify's verdict is another.") var audit = false
  @OptionGroup var threads: Threads

  private struct Pair: VerbatimNumbers {
    static let verbatimKeys: Set<String> = ["response", "answer", "gold"]
    var response: String?
    var answer: String?
    var gold: String

    enum CodingKeys: CodingKey { case response, answer, gold }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      response = try values.decodeIfPresent(String.self, forKey: .response)
      answer = try values.decodeIfPresent(String.self, forKey: .answer)
      guard let gold = try values.decodeIfPresent(String.self, forKey: .gold) else {
        throw DecodingError.keyNotFound(CodingKeys.gold, .init(codingPath: [], debugDescription: "no gold answer"))
      }
      self.gold = gold
      guard response != nil || answer != nil || values.contains(.answer) else {
        throw DecodingError.keyNotFound(
          CodingKeys.response, .init(codingPath: [], debugDescription: "neither a response nor an answer"))
      }
    }

    var given: String? { answer ?? response.flatMap { extractAnswer($0) } }
  }

  /// A line of results: every key, whether it has a value or not.
  private struct Line: Encodable {
    var result: GradeResult
    enum CodingKeys: CodingKey { case verdict, answer, how }

    func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(result.verdict, forKey: .verdict)
      try values.encode(result.answer, forKey: .answer)
      try values.encode(result.how, forKey: .how)
    }
  }

  /// A line of `--audit`.
  private struct Difference: Encodable {
    var line: Int
    var answer: String?
    var gold: String
    var here: GradeResult
    var mathVerify: Verdict

    enum CodingKeys: String, CodingKey {
      case line, answer, gold, here
      case mathVerify = "math_verify"
    }
  }

  func run() throws {
    var pairs: [(answer: String?, gold: String)] = []
    var lines: [Int] = []
    try JSONLines.forEach(files.input.path(), as: Pair.self) { pair, line in
      pairs.append((pair.given, pair.gold))
      lines.append(line)
    }
    let grader = Grader()
    guard audit else {
      return try JSONLines.write(grader.gradeMany(pairs).map { Line(result: $0) }, to: files.output)
    }
    let found = try grader.audit(pairs).map { place, here, there in
      Difference(
        line: lines[place], answer: pairs[place].answer, gold: pairs[place].gold, here: here, mathVerify: there)
    }
    try JSONLines.write(found, to: files.output)
    Console.note("\(found.count) of \(pairs.count) verdicts differ")
  }
}

struct Analyze: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "analyze",
    abstract: "Show how a model uses Python: what each block is for, and where it computes by hand.")
  @OptionGroup var files: LineFiles
  @Option(help: "The model that wrote the episodes; that of their run if not given.") var model: InputPath?
  @Option(help: "How the model called Python, where the episodes do not say.")
  var tools: ToolFormats?
  @OptionGroup var threads: Threads

  func run() throws {
    let input = try files.input.episodes()
    let tokenizer = try Tokenizer.of(episodes: input, model: model)
    let file = try JSONLinesFile(files.output)
    for (index, episode) in try EpisodeFile.read(input, needsLogProbs: false).enumerated() {
      try tokenizer.check(episode, place: "\(input): episode \(index + 1)")
      try file.append(EpisodeLabels(episode, tokenizer: tokenizer, tools: tools))
    }
    try file.close()
  }
}
