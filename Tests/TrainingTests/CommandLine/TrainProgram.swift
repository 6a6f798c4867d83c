import Checkpoint
import Foundation
import Support
import TestSupport
import Testing
import Tokenization
import Transformer

/// The program as a user meets it, with a folder to work in.
struct TrainProgram {
  struct Outcome {
    var status: Int32
    var output: String
    var errors: String
  }

  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  /// The root of the package.
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

  /// `train` lies beside the test bundle, which is this process or an argument of it.
  static func path() throws -> String {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    for place in [own] + CommandLine.arguments {
      let candidate = URL(fileURLWithPath: place).deletingLastPathComponent().path + "/train"
      if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
    }
    return try #require(nil, "the program train is not beside \(own); build the whole package")
  }

  func file(_ name: String) -> String { folder.path + "/" + name }

  @discardableResult
  func write(_ name: String, _ text: String) throws -> String {
    try text.write(toFile: file(name), atomically: true, encoding: .utf8)
    return file(name)
  }

  /// Lines of problems `p1: What is 1 + 1?`.
  static func doublings(_ range: ClosedRange<Int>) -> String {
    range.map { "{\"id\": \"p\($0)\", \"problem\": \"What is \($0) + \($0)?\", \"gt_answer\": \"\(2 * $0)\"}\n" }
      .joined()
  }

  func lines(_ name: String) throws -> [[String: Any]] {
    try String(contentsOfFile: file(name), encoding: .utf8).split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
  }

  /// A process in the folder, or another one, its streams going to files in the folder.
  func start(
    _ arguments: [String], in place: String? = nil, environment: [String: String]? = nil
  ) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try Self.path())
    process.arguments = arguments
    if let environment { process.environment = environment }
    process.currentDirectoryURL = URL(fileURLWithPath: place ?? folder.path)
    for name in ["out", "err"] { try write(name, "") }
    process.standardOutput = FileHandle(forWritingAtPath: file("out"))
    process.standardError = FileHandle(forWritingAtPath: file("err"))
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return process
  }

  func end(_ process: Process) throws -> Outcome {
    process.waitUntilExit()
    return Outcome(
      status: process.terminationStatus, output: try String(contentsOfFile: file("out"), encoding: .utf8),
      errors: try String(contentsOfFile: file("err"), encoding: .utf8))
  }

  func run(_ arguments: String...) throws -> Outcome { try end(start(arguments)) }

  /// A small model of random weights with the demo's tokenizer, in `model.h5`.
  func makeModel(contextLength: Int = 64) throws -> String {
    let json = try Data(contentsOf: URL(fileURLWithPath: Self.root + "/configs/demo/tokenizer.json"))
    let count = try Tokenizer(json: json, path: "tokenizer.json").vocabularyCount
    let model = LanguageModel(
      configuration: ModelConfiguration(
        architecture: .qwen2, hiddenSize: 32, intermediateSize: 48, layerCount: 2, heads: .init(4, keyValue: 2),
        vocabularySize: count, contextLength: contextLength))
    model.initialize(seed: 5)
    try ModelFile.write(model, files: ModelFiles(tokenizer: json), to: file("model.h5"))
    return file("model.h5")
  }

  /// A supervised stage that takes its time.
  func makeStage() throws -> String {
    try write(
      "examples.jsonl",
      (1...8).map { "{\"prompt\": \"What is \($0) + \($0)?\", \"response\": \"\(2 * $0)\"}\n" }.joined())
    return try write(
      "sft.yaml",
      """
      run: ./sft
      model: model.h5
      data: examples.jsonl
      steps: 3
      update_batch: 4
      optimizer: {learning_rate: 1.0e-3}
      prompt: {template: none}

      """)
  }
}
