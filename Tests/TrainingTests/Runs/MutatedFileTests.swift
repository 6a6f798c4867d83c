import Foundation
import Rollout
import Support
import Tensor
import TestSupport
import Testing
import Tokenization
import Transformer

@testable import Checkpoint
@testable import Training

/// 10,000 damaged files: a reader refuses with a message or reads what is there, and never ends the process. What holds
/// a model of ours is never read as anything but what was written.
@Suite(.serialized) struct MutatedFileTests {
  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private static let count = 1_120

  /// Damages `file` again and again; `read` must throw nothing but `MartletError`.
  /// - Returns: how many were refused.
  private func refusals(
    of file: String, count: Int = Self.count, _ read: (String) throws -> Void
  ) throws -> Int {
    let whole = try Data(contentsOf: URL(fileURLWithPath: file))
    defer { try? whole.write(to: URL(fileURLWithPath: file)) }
    var refused = 0
    for seed in 0..<count {
      var mutator = Mutator(seed: UInt64(seed))
      try mutator.damage(whole).write(to: URL(fileURLWithPath: file))
      do { try read(file) } catch let error as MartletError {
        refused += 1
        if error.message.isEmpty || error.status == .configuration && error.message.count > 4000 {
          Issue.record("seed \(seed): \(error)")
        }
      }
    }
    return refused
  }

  private func copy(_ fixture: String) throws -> String {
    let source = "\(TrainProgram.root)/Tests/CheckpointTests/Fixtures/\(fixture)"
    let target = "\(folder.path)/\(URL(fileURLWithPath: fixture).lastPathComponent)"
    try FileManager.default.copyItem(atPath: source, toPath: target)
    return target
  }

  private func model() -> LanguageModel {
    let model = LanguageModel(
      configuration: ModelConfiguration(
        architecture: .qwen3, hiddenSize: 8, intermediateSize: 12, layerCount: 2, heads: .init(2, keyValue: 1),
        vocabularySize: 19, contextLength: 32))
    model.initialize(seed: 3)
    return model
  }

  private let files = ModelFiles(tokenizer: Data("{}".utf8), chatTemplate: "{{ messages }}")

  @Test func modelFiles() throws {
    let (written, path) = (model(), folder.path + "/model.h5")
    try ModelFile.write(written, files: files, to: path)
    let hash = weightsHash(written)
    let refused = try refusals(of: path) {
      let stored = try ModelFile.read($0)
      let isWhole =
        weightsHash(stored.model) == hash && stored.files == files
        && stored.model.configuration == written.configuration
      if !isWhole { Issue.record("a damaged model was read as whole") }
    }
    #expect(refused > Self.count / 2)
  }

  @Test(arguments: ["manifest.json", "rank-0000-000.h5"])
  func stepFolders(_ name: String) throws {
    let (written, run) = (model(), folder.path + "/run")
    let optimizer = Optimizer(settings: OptimizerSettings(learningRate: 1e-3), parameterCount: written.weights.count)
    let step = try StepCheckpoint.write(
      run: run, step: 4, model: written, files: files, optimizer: optimizer, state: Data("state".utf8),
      keeping: .init(last: 1))
    let refused = try refusals(of: step.folder + "/" + name) { _ in
      _ = try StepCheckpoint.open(step.folder).restore(into: model(), optimizer: nil)
      Issue.record("a damaged step folder was opened")
    }
    #expect(refused == Self.count)
  }

  /// What follows the damage is cut off, what stands before it is kept as it was.
  @Test func journals() throws {
    let path = folder.path + "/journal.log"
    let journal = try Journal(path: path)
    let records = (0..<40).map { Data("record \($0) of the journal".utf8) }
    for record in records { try journal.append(record) }
    journal.close()
    _ = try refusals(of: path) {
      let found = try Journal(path: $0).records
      let isPrefix = found.count <= records.count && records.starts(with: found)
      if !isPrefix { Issue.record("a damaged journal gave other records") }
    }
  }

  @Test func safetensors() throws {
    let folder = try copy("qwen3-f16")
    let refused = try refusals(of: folder + "/model.safetensors") { _ in _ = try HuggingFaceFolder.read(folder) }
    #expect(refused > Self.count / 3)
    _ = try refusals(of: folder + "/config.json", count: Self.count / 2) { _ in
      _ = try HuggingFaceFolder.read(folder)
    }
  }

  @Test func gguf() throws {
    let refused = try refusals(of: copy("gguf/llama-q8.gguf")) {
      let stored = try GGUFModel.read($0)
      if let json = stored.files.tokenizer { _ = try Tokenizer(json: json, path: $0).encode("he said: hello") }
    }
    #expect(refused > Self.count / 3)
  }

  @Test func tokenizers() throws {
    let path = folder.path + "/tokenizer.json"
    // A small one, made from a GGUF file's vocabulary: reading the demo's 1,000 times would take minutes.
    let stored = try GGUFModel.readHeader(copy("gguf/qwen2-bf16.gguf"))
    try #require(stored.files.tokenizer).write(to: URL(fileURLWithPath: path))
    let refused = try refusals(of: path) {
      let tokenizer = try Tokenizer(json: Data(contentsOf: URL(fileURLWithPath: $0)), path: $0)
      let ids = tokenizer.encode("he said: hello, 12 <|end|> \u{e9}")
      _ = tokenizer.decode(ids)
    }
    #expect(refused > Self.count / 3)
  }

  @Test func configurations() throws {
    let path = folder.path + "/c.yaml"
    try FileManager.default.copyItem(atPath: TrainProgram.root + "/configs/demo-base.yaml", toPath: path)
    let refused = try refusals(of: path) { _ = try Configuration.load($0) }
    #expect(refused > Self.count / 3)
  }

  @Test func episodesAndProblems() throws {
    let path = folder.path + "/episodes.jsonl"
    let episode =
      #"{"id": "a", "sample": 1, "problem": "What is 2 + 2?", "gold": "4", "tokens": [1, 2, 3, 4], "authors": "#
      + #"[["prompt", 2], ["model", 2]], "logprobs": [null, null, -0.5, -1.25], "#
      + #""calls": [{"code": "x", "status": "ok"}], "#
      + #""sampling": {"temperature": 0.5}, "verdict": "correct", "reward": {"accuracy": 1, "total": 1}}"#
    try "\(episode)\n\(episode)\n".write(toFile: path, atomically: true, encoding: .utf8)
    let refused = try refusals(of: path) { _ = try EpisodeFile.read($0) }
    #expect(refused > Self.count / 3)
    try #"{"id": "a", "problem": "What is 2 + 2?", "gt_answer": "4"}"#.write(
      toFile: path, atomically: true, encoding: .utf8)
    _ = try refusals(of: path) { _ = try Problem.readFile($0) }
  }
}
