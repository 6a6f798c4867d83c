import Checkpoint
import Demo
import Foundation
import Rollout
import Support
import Synchronization
import Tensor
import TestSupport
import Testing
import Tokenization
import Transformer
@testable import Reports

@testable import Training

/// Small runs of every stage, in this process, and what they leave behind.
final class StageBench {
  let folder: ScratchFolder
  private let pool = StageContext(threads: 1)
  private var known: [String: Outcome] = [:]
  private var count = 0

  /// What came of a run.
  enum Outcome: Equatable {
    /// A configuration error.
    case refused(String)
    /// Everything in the folder but times, and the plan.
    case ran(result: String, plan: String)
  }

  init() throws {
    folder = try ScratchFolder()
    try Self.model(seed: 5, to: file("tiny.h5"))
    try Self.model(seed: 6, to: file("other.h5"))
    try writeAdapter()
    try folder.write(TrainProgram.doublings(3...6), "p.jsonl")
    try folder.write(TrainProgram.doublings(11...13), "held.jsonl")
    let multiplications = ProblemGenerator(seed: 3, split: .training, families: [.multiplication]).problems(count: 6)
    try JSONLines.write(multiplications.prefix(2).map(\.problem), to: file("m.jsonl"))
    try JSONLines.write(multiplications.map(\.problem), to: file("many.jsonl"))
    try folder.write(
      (1...4).map {
        """
        {"prompt": "What is \($0) + \($0)?", "segments": [{"author": "model", "text": "Let me see."}, \
        {"author": "hint", "text": " So"}, \
        {"author": "model", "text": " \(2 * $0)\(String(repeating: " It is.", count: $0))"}]}

        """
      }.joined(), "examples.jsonl")
    try folder.write("{\"prompt\": \"What is 9?\", \"response\": \"9 is nine.\"}\n", "mix.jsonl")
    let long = String(repeating: "What is 1 + 1? ", count: 400)
    try folder.write(
      "{\"id\": \"long\", \"problem\": \"\(long)\", \"gt_answer\": \"2\"}\n" + TrainProgram.doublings(3...4),
      "long.jsonl")
    try writePrograms()
    try writeEdits(of: multiplications[0].problem)
  }

  /// A run with adapters of `tiny.h5`.
  private func writeAdapter() throws {
    let stored = try ModelFile.read(file("tiny.h5"))
    let model = try stored.model.adapted(LowRankAdapters(rank: 2), seed: 3)
    for parameter in model.table.adapterParameters {
      var random = CounterRandom(seed: 4, path: [stableHash(parameter.name)])
      for index in parameter.range { model.weights[index] = Float(0.1 * random.normal()) }
    }
    try StepCheckpoint.write(
      run: file("adapter"), step: 1, model: model, files: stored.files, optimizer: nil, state: Data(),
      keeping: .init(last: 1))
  }

  /// A reward, a grader and a tool.
  private func writePrograms() throws {
    func program(_ name: String, _ reply: String) throws {
      try folder.write(
        "import json, sys\nfor line in sys.stdin:\n    q = json.loads(line)\n    print(\(reply))\n", name)
    }
    try program("reward.py", "json.dumps({'reward': len(q['response']) % 5})")
    try program("grader.py", "json.dumps({'correct': len(q['response']) % 2 == 0})")
    try program(
      "task.py",
      "json.dumps({'id': 't%d' % q['index'], 'problem': 'What is %d + 1?' % q['index'], 'answer': str(q['index'] + 1)})"
    )
    try program("tool.py", "json.dumps({'output': 'from the tool'})")
    try folder.write(
      "[{name: double, description: d, parameters: {type: object}, command: [python3, \"@/tool.py\"]}]", "tools.yaml")
  }

  /// A spot that a person chose, and other episodes that it may be of.
  private func writeEdits(of problem: Problem) throws {
    let json = try Data(contentsOf: URL(fileURLWithPath: TrainProgram.root + "/configs/demo/tokenizer.json"))
    let place = try Tokenizer(json: json, path: "tokenizer.json").encode(problem.problem + "\n").count + 4
    try folder.write(
      "{\"id\": \"\(problem.id)\", \"sample\": 0, \"token\": \(place), \"hint\": \" Let us use code.\"}\n",
      "edits.jsonl")
    var configuration = try Configuration(
      tree: ConfigurationTree(yaml: resolved(base(.eval)), path: "base"), path: "base")
    (configuration.run, configuration.seed) = (file("others"), 3)
    try Stage.run(StageRequest(.eval, configuration), context: pool)
    try FileManager.default.copyItem(atPath: file("others/episodes/eval.jsonl"), toPath: file("episodes.jsonl"))
  }

  func file(_ name: String) -> String { folder.path + "/" + name }

  /// Random weights; every fifth token ends a response, so that lengths differ.
  private static func model(seed: UInt64, to path: String) throws {
    let json = try Data(contentsOf: URL(fileURLWithPath: TrainProgram.root + "/configs/demo/tokenizer.json"))
    let count = try Tokenizer(json: json, path: "tokenizer.json").vocabularyCount
    var shape = ModelConfiguration(
      architecture: .qwen2, hiddenSize: 24, intermediateSize: 40, layerCount: 2, heads: .init(4, keyValue: 2, width: 6),
      vocabularySize: count, contextLength: 256)
    shape.stopTokens = stride(from: Int32(3), to: 460, by: 5).map { $0 }
    let model = LanguageModel(configuration: shape)
    model.initialize(seed: seed)
    try ModelFile.write(model, files: ModelFiles(tokenizer: json), to: path)
  }

  /// `$name` is a file of the bench, `$base` the demo's model.
  func resolved(_ text: String) -> String {
    text.replacing("$base", with: TrainProgram.root + "/configs/demo/base.h5").replacing("$", with: folder.path + "/")
  }

  /// A stage's configuration that leaves most to the defaults.
  private func base(_ stage: StageKind) -> String {
    switch stage {
    case .sft: "{model: $tiny.h5, data: $examples.jsonl, steps: 2, update_batch: 2, optimizer: {learning_rate: 0.01}}"
    case .rl:
      """
      {model: $tiny.h5, data: $p.jsonl, steps: 2, prompts_per_step: 2, samples_per_prompt: 4, update_batch: 4, \
      sampling: {max_tokens: 12, tools: none}, reward: {overlong_buffer: 12}, optimizer: {learning_rate: 0.01}}
      """
    case .eval: "{model: $base, data: $m.jsonl, samples_per_prompt: 2, \(Self.solving)}"
    case .hint:
      "{model: $base, data: $m.jsonl, prompts_per_step: 3, samples_per_prompt: 2, sampling: {max_tokens: 200}}"
    case .rft:
      """
      {model: $base, data: $m.jsonl, samples_per_prompt: 6, steps: 2, update_batch: 2, \(Self.solving), \
      optimizer: {learning_rate: 0.01}}
      """
    }
  }

  /// With this the demo's base calls Python and is right more often than not.
  private static let solving =
    "sampling: {max_tokens: 120, temperature: 0.5}, interpreter: {packages: []}, "
    + #"prompt: {hint: "Let us use python code to solve this problem.\n```python\n"}"#

  /// Runs `stage` with `changes` (`key=value`) to its base configuration; the same again is remembered.
  func run(_ stage: StageKind, _ changes: [String]) throws -> Outcome {
    let name = stage.rawValue + " " + changes.joined(separator: " ")
    if let outcome = known[name] { return outcome }
    let outcome = try make(stage, changes)
    known[name] = outcome
    return outcome
  }

  /// The message that `stage` refuses its base configuration with these changes with; nil: it takes it.
  func check(_ stage: StageKind, _ changes: [String]) throws -> String? {
    do {
      _ = try configuration(stage, changes, run: "check")
      return nil
    } catch let error as MartletError {
      #expect(error.status == .configuration)
      return error.message
    }
  }

  private func configuration(_ stage: StageKind, _ changes: [String], run: String) throws -> Configuration {
    var tree = try ConfigurationTree(yaml: resolved(base(stage)), path: "base")
    for change in changes { try ConfigurationFile.apply(resolved(change), to: &tree) }
    tree.set(["run"], to: .text(run))
    var configuration = try Configuration(tree: tree, path: stage.rawValue)
    try configuration.settle(on: stage, path: stage.rawValue)
    return configuration
  }

  private func make(_ stage: StageKind, _ changes: [String]) throws -> Outcome {
    if let message = try check(stage, changes) { return .refused(message) }
    count += 1
    let run = file("run-\(count)")
    defer { try? FileManager.default.removeItem(atPath: run) }
    let configuration = try configuration(stage, changes, run: run)
    let log = Log()
    var result = ""
    do {
      try Stage.run(StageRequest(stage, configuration), context: pool.listening { log.add($0) })
    } catch let error as MartletError {
      result = "error: " + error.message.replacing(run, with: "") + "\n"
    }
    result += log.text.replacing(run, with: "") + (try contents(of: run))
    return .ran(result: result, plan: (try? Self.plan(configuration, stage)) ?? "none")
  }

  private static func plan(_ configuration: Configuration, _ stage: StageKind) throws -> String {
    let plan = try Plan.of(configuration, kind: stage, threads: 1)
    return "recomputes \(plan.recomputes) " + plan.parts.map { "\($0.name) \($0.bytes)" }.joined(separator: ", ")
  }

  /// These change with every key.
  private static let saysTheConfiguration = ["history.jsonl", "run.json"]

  /// Weights by their hash, lines without times, names of the rest; not the journal, whose order is that of the clock.
  private func contents(of run: String) throws -> String {
    let names = FileManager.default.enumerator(atPath: run)?.compactMap { $0 as? String }.sorted() ?? []
    return try names.filter { !$0.hasPrefix("journal") && !Self.saysTheConfiguration.contains($0) }.map { name in
      let path = run + "/" + name
      if name.hasSuffix(".h5"), !name.contains("step-") {
        return try "\(name) \(weightsHash(ModelFile.read(path).model))\n"
      }
      guard name.hasSuffix(".jsonl") || name.hasSuffix(".json"), !name.contains("step-0") || name.hasPrefix("episodes/")
      else {
        return name.hasPrefix("events.out") || name == "LOCK" ? "" : name + "\n"
      }
      return name + "\n" + (try String(contentsOfFile: path, encoding: .utf8).replacing(Self.times, with: ""))
    }.joined()
  }

  nonisolated(unsafe) private static let times = /"(ms|seconds|sampling_seconds|tokens_per_second)":[^,}]*/

  private final class Log: Sendable {
    private let lines = Mutex("")
    var text: String { lines.withLock { $0 } }
    func add(_ event: Event) {
      switch event {
      case .note(let text), .warning(let text): lines.withLock { $0 += text + "\n" }
      default: break
      }
    }
  }
}
