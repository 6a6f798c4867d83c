import Checkpoint
import Foundation
import Support
import Tensor
import Tokenization
import Transformer

/// A model with what stands around it: the tokenizer, the files it came with, its special tokens.
public struct LoadedModel {
  /// The weights.
  public private(set) var model: LanguageModel
  /// Its tokenizer.
  public let tokenizer: Tokenizer
  /// The texts that travel with the weights: tokenizer, templates, configurations.
  public let files: ModelFiles
  /// The tokens that begin and end texts and turns.
  public let specialTokens: SpecialTokens

  /// What stands before a text that no chat template renders: as the tokenizer's post-processor says, else
  /// tokenizer_config.json's `add_bos_token`.
  public var beginTokens: [Int32] {
    if let tokens = tokenizer.beginTokens { return tokens }
    guard specialTokens.addsBegin == true, let begin = specialTokens.begin.flatMap(tokenizer.token) else { return [] }
    return [begin]
  }

  /// The tokens of a text that no chat template renders. Begin tokens that the text spells itself are not put twice.
  public func encodePlain(_ text: String) -> [Int32] {
    let tokens = tokenizer.encode(text)
    return tokens.starts(with: beginTokens) ? tokens : beginTokens + tokens
  }

  /// Loads `path`: a model file, a run or step folder, a Hugging Face folder.
  public static func load(_ path: String, valueHead: Bool? = nil) throws -> LoadedModel {
    let stored = try ModelSource.load(path, valueHead: valueHead)
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

  /// The same with adapters to be trained; this one's weights move there.
  func adapted(_ adapters: LowRankAdapters, seed: UInt64) throws -> LoadedModel {
    var adapted = self
    adapted.model = try model.adapted(adapters, seed: seed, takesWeights: true)
    return adapted
  }

  /// SHA-256 of what this model's samples depend on: its shape, its tokenizer and its weights, whatever file they came
  /// from.
  /// - Parameter trained: whether those weights count that are trained; without them it stays the same for a whole run.
  func identity(trained: Bool = true, pool: WorkerPool) -> String {
    let weights = trained ? model.weights : FloatBuffer(sharing: model.weights, 0..<model.table.trainable.lowerBound)
    var hash = SHA256()
    hash.update("\(model.configuration)".utf8)
    hash.update(files.tokenizer ?? Data())
    hash.update(stateHash([weights], counters: [], pool: pool).utf8)
    return hash.hexDigest()
  }

  /// What `configuration` starts from: stored weights, or random ones keyed by its seed.
  static func make(_ configuration: Configuration, valueHead: Bool?, pool: WorkerPool) throws -> LoadedModel {
    if let path = configuration.model { return try load(path, valueHead: valueHead) }
    let loaded = try new(configuration, valueHead: valueHead)
    loaded.model.initialize(seed: configuration.seed, pool: pool)
    return loaded
  }

  /// The same without weights: they are zeros, whose memory nobody has touched.
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
