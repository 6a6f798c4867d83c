import Checkpoint
import Foundation
import Support
import Tensor
import Tokenization
import Transformer

/// A model with its tokenizer, the files that it came with, and its special tokens.
public struct LoadedModel {
  /// The weights.
  public internal(set) var model: LanguageModel
  /// Its tokenizer.
  public let tokenizer: Tokenizer
  /// The texts that travel with the weights: tokenizer, templates, configurations.
  public let files: ModelFiles
  /// The tokens that begin and end texts and turns.
  public let specialTokens: SpecialTokens

  /// The tokens before a text that no chat template renders, from the tokenizer's post-processor, else from
  /// `add_bos_token` of tokenizer_config.json.
  public var beginTokens: [Int32] {
    if let tokens = tokenizer.beginTokens { return tokens }
    guard specialTokens.addsBegin == true, let begin = specialTokens.begin.flatMap(tokenizer.token) else { return [] }
    return [begin]
  }

  /// The tokens of a text that no chat template renders. Begin tokens that the text already spells are not added again.
  public func encodePlain(_ text: String) -> [Int32] {
    let tokens = tokenizer.encode(text)
    return tokens.starts(with: beginTokens) ? tokens : beginTokens + tokens
  }

  /// Loads `path`: a model file, a run or step folder, a Hugging Face folder, a GGUF file.
  /// - Parameters:
  ///   - adapter: a folder that holds an adapter, which is merged into the weights.
  ///   - valueHead: true adds a zero value head where there is none, false drops one, nil changes nothing.
  ///   - use: what the weights are for.
  ///   - pool: the threads that read.
  public static func load(
    _ path: String, adapter: String? = nil, valueHead: Bool? = nil, for use: WeightUse = .any,
    pool: WorkerPool = WorkerPool()
  ) throws -> LoadedModel {
    let stored = try ModelSource.load(path, adapter: adapter, valueHead: valueHead, for: use, pool: pool)
    return try LoadedModel(stored: stored, path: path)
  }

  init(stored: StoredModel, path: String) throws {
    guard let json = stored.files.tokenizer else {
      throw MartletError(.data, "\(path): has no tokenizer.json; import it again from a folder that has one")
    }
    model = stored.model
    files = stored.files
    tokenizer = try Tokenizer(json: json, path: "\(path): tokenizer.json")
    var special = try SpecialTokens(files, path: path)
    if files.tokenizerConfig == nil && files.specialTokensMap == nil {
      let configuration = model.configuration
      special.fill(begin: configuration.beginToken, end: configuration.stopTokens.first, tokenizer: tokenizer)
    }
    specialTokens = special
    let vocabulary = model.configuration.vocabularySize
    guard tokenizer.vocabularyCount <= vocabulary else {
      throw MartletError(
        .data,
        "\(path): the tokenizer has \(tokenizer.vocabularyCount) ids, the model only \(vocabulary); they do not match")
    }
  }

  /// The model that a stage trains: with adapters beside its weights where `lora.rank` asks for them.
  static func makeTrainable(
    _ configuration: Configuration, valueHead: Bool?, pool: WorkerPool
  ) throws -> LoadedModel {
    let lora = configuration.lora
    guard lora.rank > 0 else { return try make(configuration, valueHead: valueHead, pool: pool) }
    // The small file first: what is wrong with it shows before gigabytes are read.
    let stored = try configuration.adapter.map { try given($0, for: lora) }
    var base = configuration
    base.adapter = nil
    var loaded = try make(base, valueHead: valueHead, pool: pool)
    loaded.model =
      try stored?.added(to: loaded.model) ?? loaded.model.adapted(lora, seed: configuration.seed, takesWeights: true)
    return loaded
  }

  /// The adapter that `lora` goes on with.
  private static func given(_ path: String, for lora: LowRankAdapters) throws -> StoredAdapter {
    let stored = try StoredAdapter.load(path)
    let found = stored.adapters
    guard found.rank == lora.rank, found.alpha == lora.alpha, Set(found.targets) == Set(lora.targets) else {
      let targets = found.targets.map(\.rawValue).joined(separator: ", ")
      throw MartletError(
        .configuration,
        "lora: the adapter \(path) has another shape; give lora: {rank: \(found.rank), alpha: "
          + "\(shortNumber(found.alpha)), targets: [\(targets)]}, or merge it first with train import --base")
    }
    return stored
  }

  /// SHA-256 of everything that this model's samples depend on: shape, tokenizer and weights, whatever file they came
  /// from.
  /// - Parameter trained: whether the trained weights count. Without them the identity stays the same for a whole run.
  func identity(trained: Bool = true, pool: WorkerPool) -> String {
    let weights = trained ? model.weights : FloatBuffer(sharing: model.weights, 0..<model.table.trainable.lowerBound)
    var hash = SHA256()
    hash.update("\(model.configuration)".utf8)
    hash.update(files.tokenizer ?? Data())
    hash.update(stateHash([weights], counters: [], pool: pool).utf8)
    return hash.hexDigest()
  }

  /// The model that `configuration` starts from: stored weights with the adapter merged, or random ones keyed by its
  /// seed.
  static func make(_ configuration: Configuration, valueHead: Bool?, pool: WorkerPool) throws -> LoadedModel {
    if let path = configuration.model {
      return try load(path, adapter: configuration.adapter, valueHead: valueHead, pool: pool)
    }
    let loaded = try new(configuration, valueHead: valueHead)
    loaded.model.initialize(seed: configuration.seed, pool: pool)
    return loaded
  }

  /// The same model without weights: zeros in untouched memory.
  static func header(_ configuration: Configuration) throws -> LoadedModel {
    guard let path = configuration.model else { return try new(configuration, valueHead: nil) }
    let (shape, files) = try ModelSource.header(path)
    return try LoadedModel(stored: StoredModel(model: LanguageModel(configuration: shape), files: files), path: path)
  }

  private static func new(_ configuration: Configuration, valueHead: Bool?) throws -> LoadedModel {
    guard let new = configuration.newModel else {
      throw MartletError(.configuration, "model: is missing; name a model, or describe one under new_model")
    }
    let files = try HuggingFaceFolder.files(new.tokenizer)
    guard let json = files.tokenizer else {
      throw MartletError(.configuration, "new_model.tokenizer: \(new.tokenizer)/tokenizer.json cannot be read")
    }
    let tokenizer = try Tokenizer(json: json, path: new.tokenizer + "/tokenizer.json")
    var shape = new.shape
    if shape.vocabularySize == 1 { shape.vocabularySize = tokenizer.vocabularyCount }
    if shape.stopTokens.isEmpty, let end = tokenizer.token("<|im_end|>") ?? tokenizer.token("<|endoftext|>") {
      shape.stopTokens = [end]
    }
    if let valueHead { shape.valueHead = valueHead }
    if let problem = shape.problem {
      throw MartletError(.configuration, "new_model.shape.\(problem.key): \(problem.message)")
    }
    for (key, tokens) in [("stop_tokens", shape.stopTokens), ("begin_token", shape.beginToken.map { [$0] } ?? [])] {
      guard let token = tokens.first(where: { Int($0) >= shape.vocabularySize }) else { continue }
      throw MartletError(
        .configuration,
        "new_model.shape.\(key): \(token) is outside of the vocabulary of \(shape.vocabularySize); give a smaller id")
    }
    let model = LanguageModel(configuration: shape)
    return try LoadedModel(stored: StoredModel(model: model, files: files), path: new.tokenizer)
  }
}
