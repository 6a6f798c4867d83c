import ArgumentParser
import Checkpoint
import Foundation
import Reports
import Rollout
import Support
import Tensor
import Tokenization
import Training
import Transformer

struct Import: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Turn a Hugging Face folder or a GGUF file into a model file.",
    discussion: "A folder of PEFT becomes its base model with the adapter merged into it.")
  @Argument(
    help: """
      A folder with config.json, *.safetensors and tokenizer.json, or a .gguf file (F32, F16, BF16, Q4_0, Q4_1, Q5_0, \
      Q5_1, Q8_0, Q2_K to Q6_K).
      """,
    completion: .file())
  var source: String
  @Argument(help: "The model file to write, such as checkpoints/NAME.h5.", completion: .file()) var model: String
  @Option(help: "The base model of a folder of PEFT; what its adapter_config.json names, if not given.")
  var base: InputPath?
  @OptionGroup var threads: Threads

  func run() throws {
    let pool = threads.pool()
    if PEFTFolder.isOne(source) {
      return try write(AdapterFiles.merged(source, base: base?.path(), pool: pool), pool)
    }
    guard base == nil else { throw MartletError(.usage, "--base goes with a folder of PEFT; \(source) is none") }
    func show(_ share: Double) {
      Console.shared.show(
        .progress(Reports.Progress(what: "import", done: Int(share * 100), total: 100, unit: "%")))
    }
    var ids = 0
    func check(_ files: ModelFiles) throws { ids = try checkTokenizer(files) }
    let stored =
      try GGUFModel.isNamed(source)
      ? GGUFModel.read(source, pool: pool, progress: show, check: check)
      : HuggingFaceFolder.read(source, pool: pool, progress: show, check: check)
    let vocabulary = stored.model.configuration.vocabularySize
    if ids > vocabulary {
      Console.warning("\(source): the tokenizer has \(ids) ids, the model only \(vocabulary); \(Self.limits)")
    }
    try write(stored, pool)
  }

  private func write(_ stored: StoredModel, _ pool: WorkerPool) throws {
    let hash = try ModelFile.write(stored.model, files: stored.files, to: model, pool: pool)
    let table = stored.model.table
    Console.out(
      "\(model): \(table.count) numbers in \(table.parameters.count) parameters, weights \(hash)")
  }

  private static let limits = "the model can only be inspected, exported and asked to score tokens"

  /// A damaged tokenizer.json is refused before any weight is read; of a kind that is not read here, it is kept for
  /// export.
  /// - Returns: how many ids it has; 0 where none is read.
  private func checkTokenizer(_ files: ModelFiles) throws -> Int {
    let isFile = GGUFModel.isNamed(source)
    let path = isFile ? source : source + "/tokenizer.json"
    guard let json = files.tokenizer else {
      Console.warning(
        isFile
          ? "\(path): its vocabulary is of a kind that is not read; \(Self.limits)"
          : "\(path): is missing; without it \(Self.limits)")
      return 0
    }
    do {
      return try Tokenizer(json: json, path: path).vocabularyCount
    } catch let error as MartletError where error.status != .data {
      Console.warning("\(error.message); \(Self.limits)")
      return 0
    }
  }
}

extension StoredType: ExpressibleByArgument {}

enum ExportFormat: String, ExpressibleByArgument, CaseIterable { case hf, peft }

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write a Hugging Face folder that transformers and vLLM load, or an adapter.")
  @Argument(help: "A model file, a run or a step folder.") var model: InputPath
  @Argument(help: "The folder to write.", completion: .directory) var folder: String
  @Option(help: "The whole model (hf), or the adapters of a run with lora as PEFT keeps them (peft).")
  var format = ExportFormat.hf
  @Option(help: "How numbers are stored: f32 or bf16.") var dtype: StoredType = .float32
  @Option(
    help: "With --format peft: the base model's name, such as Qwen/Qwen2.5-0.5B; the run's own folder if not given.")
  var base: String?
  @Option(
    help: "A Python with transformers that reads the folder again; the project's, else python3, if not given.",
    completion: .file())
  var python: String?
  @OptionGroup var threads: Threads

  func run() throws {
    let model = try model.path()
    if format == .peft {
      return Console.out(try AdapterFiles.export(model, to: folder, type: dtype, base: base))
    }
    guard base == nil else { throw MartletError(.usage, "--base goes with --format peft") }
    let stored = try ModelSource.load(model, pool: threads.pool())
    let hash = try HuggingFaceFolder.write(stored.model, files: stored.files, to: folder, type: dtype)
    Console.out("\(folder): weights \(hash), read again and equal")
    Console.out(try ExportCheck.run(folder, model: stored, path: model, python: python).text)
  }
}

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show what a model file, a step folder or an adapter holds.")
  @Argument(help: "A model file, a run, a step folder or a folder of PEFT.") var model: InputPath
  @OptionGroup var adapter: AdapterOption
  @Flag(help: "Print only the hash of the weights.") var hash = false
  @Flag(help: "Print one JSON object.") var json = false
  @OptionGroup var threads: Threads

  private struct Contents: Encodable {
    struct Parameter: Encodable {
      var name: String
      var shape: [Int]
      var type: String
    }
    var config: ModelConfiguration
    var parameters: [Parameter]
    var count: Int
    var bytes: Int
    var files: [String]
    var hash: String
  }

  private func show(_ summary: StepSummary) throws {
    if json { return Console.out(try oneLine(summary)) }
    try showJSON(summary.configuration)
    for entry in summary.entries { Console.out("\(entry.type)  \(entry.kind)/\(entry.name)  \(entry.shape)") }
    let optimizer = summary.optimizerStep.map { "\($0) steps of the optimizer" } ?? "no optimizer"
    Console.out("step \(summary.step), \(optimizer), \(summary.bytes) bytes in \(summary.files.count) files")
  }

  private struct AdapterContents: Encodable {
    var config: LowRankAdapters
    var parameters: [Contents.Parameter]
    var hash: String
  }

  private func show(_ stored: StoredAdapter) throws {
    if hash { return Console.out(stored.hash) }
    if json {
      let parameters = stored.entries.map { Contents.Parameter(name: $0.name, shape: $0.shape, type: "f32") }
      return Console.out(
        try oneLine(AdapterContents(config: stored.adapters, parameters: parameters, hash: stored.hash)))
    }
    try showJSON(stored.adapters)
    for entry in stored.entries { Console.out("\(entry.name)  \(entry.shape)") }
    Console.out("adapter \(stored.hash)")
  }

  private func showJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    Console.out(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  func run() throws {
    let model = try model.path()
    if let adapter = try adapter.path() {
      return try show(ModelSummary(ModelSource.load(model, adapter: adapter, pool: threads.pool())))
    }
    if PEFTFolder.isOne(model) { return try show(StoredAdapter.load(model)) }
    if StepCheckpoint.isStepFolder(model) {
      if hash { return Console.out(weightsHash(try ModelSource.load(model, pool: threads.pool()).model)) }
      return try show(StepCheckpoint.open(model).summary())
    }
    let inside = model + "/model.h5"
    try show(ModelFile.inspect(FileManager.default.fileExists(atPath: inside) ? inside : model))
  }

  private func show(_ summary: ModelSummary) throws {
    if hash { return Console.out(summary.weightsHash) }
    if json {
      let contents = Contents(
        config: summary.configuration,
        parameters: summary.parameters.map { .init(name: $0.name, shape: $0.shape, type: $0.type) },
        count: summary.parameterCount, bytes: summary.fileBytes, files: summary.files, hash: summary.weightsHash)
      return Console.out(try oneLine(contents))
    }
    try showJSON(summary.configuration)
    for parameter in summary.parameters {
      Console.out("\(parameter.type)  \(parameter.name)  \(parameter.shape)")
    }
    let types = summary.countByType.sorted { $0.key < $1.key }.map { "\($0.value) as \($0.key)" }
    Console.out(
      "\(summary.parameterCount) numbers in \(summary.parameters.count) parameters, "
        + "\(types.joined(separator: " and ")), \(summary.fileBytes) bytes; "
        + "files: \(summary.files.joined(separator: ", "))")
    Console.out("weights \(summary.weightsHash)")
  }
}

struct Score: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "score",
    abstract: "Log-probs and entropies of given tokens, texts or episodes.",
    discussion: """
      Reads lines of {"tokens"}, {"text"} or episodes, and writes {"tokens", "logprobs", "entropy"}.
      """)
  @Argument(help: "A model file, a run or a Hugging Face folder.") var model: InputPath
  @OptionGroup var adapter: AdapterOption
  @OptionGroup var files: LineFiles
  @Option(help: "Divides the logits; the episode's own, else 1, if not given.") var temperature: Float?
  @OptionGroup var threads: Threads

  func validate() throws {
    if let temperature, !temperature.isFinite || temperature < 0 {
      throw ValidationError("--temperature must be 0 or more")
    }
  }

  func run() throws {
    try Scorer.score(
      model: model.path(), adapter: adapter.path(), input: files.input.episodes(), output: files.output,
      temperature: temperature, pool: threads.pool())
  }
}
