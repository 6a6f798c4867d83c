import Foundation
import Support
import Tensor
import Transformer

/// A model as transformers keeps it: `config.json`, one or many safetensors files, the tokenizer's files.
public enum HuggingFaceFolder {
  static let configName = "config.json"
  static let weightsName = "model.safetensors"
  static let indexName = "model.safetensors.index.json"

  /// Reads a folder. Weights may be F32, F16 or BF16, in one `model.safetensors` or in the shards of its index.
  ///
  /// A tied model's `lm_head.weight` may be there if it equals the embedding table.
  /// - Parameters:
  ///   - use: what the weights are for.
  ///   - pool: the threads that read.
  ///   - progress: called with the share of the weights read, in (0, 1].
  ///   - check: is given the model's files before any weight is read, and may throw.
  /// - Throws: `MartletError` with file, tensor and remedy: `io` when the folder cannot be read, `configuration` for a
  ///   model that is not supported, else `data`.
  public static func read(
    _ folder: String, valueHead: Bool = false, for use: WeightUse = .any, pool: WorkerPool = WorkerPool(),
    progress: (Double) -> Void = { _ in },
    check: (ModelFiles) throws -> Void = { _ in }
  ) throws -> StoredModel {
    let (stored, files) = try readHeader(folder)
    try check(files)
    var configuration = stored
    let tensors = try tensors(folder)
    let sizes = Dictionary(tensors.values.map { ($0.file.path, $0.file.byteCount) }) { first, _ in first }
    let bytes = sizes.values.reduce(0, +)
    try configuration.refuseBeyond(bytes: bytes, path: folder)
    let table = ParameterTable(configuration)
    try Self.check(tensors, against: table, configuration, folder)

    configuration.valueHead = valueHead
    let head = configuration.tiedHead ? tensors[headName] : nil
    let (model, items) = WeightReader.model(
      configuration, table.parameters.compactMap { tensors[$0.name] }, for: head == nil ? use : .any)
    try WeightReader(pool: pool).read(items, progress: progress)
    if let head { try refuseUntied(head, model) }
    return StoredModel(model: model, files: files)
  }

  /// Reads the configuration and the tokenizer's files, not the weights.
  public static func readHeader(_ folder: String) throws -> (configuration: ModelConfiguration, files: ModelFiles) {
    guard isFolder(folder) else {
      throw exists(folder)
        ? MartletError(.data, "\(folder): is not a folder; give the model's folder")
        : systemError(folder, "cannot be read", ENOENT)
    }
    let configPath = join(folder, configName)
    guard let config = try readFileIfThere(configPath, limit: 1 << 24) else {
      throw MartletError(.data, "\(configPath): is missing; give a folder with config.json and *.safetensors")
    }
    let files = try files(folder)
    let configuration = try ModelConfiguration(
      huggingFaceConfig: config, generationConfig: files.generationConfig, path: configPath)
    return (configuration, files)
  }

  /// The tokenizer's files of a folder.
  public static func files(_ folder: String) throws -> ModelFiles {
    var files = ModelFiles(
      tokenizer: try readFileIfThere(join(folder, ModelFiles.tokenizerName), limit: 1 << 28),
      tokenizerConfig: try readFileIfThere(join(folder, ModelFiles.tokenizerConfigName), limit: 1 << 26),
      specialTokensMap: try readFileIfThere(join(folder, ModelFiles.specialTokensMapName), limit: 1 << 24),
      generationConfig: try readFileIfThere(join(folder, ModelFiles.generationConfigName), limit: 1 << 24))
    files.chatTemplate = try chatTemplate(folder, files.tokenizerConfig)
    return files
  }

  private static func chatTemplate(_ folder: String, _ tokenizerConfig: Data?) throws -> String? {
    let path = join(folder, ModelFiles.chatTemplateName)
    if let bytes = try readFileIfThere(path, limit: 1 << 24) {
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw MartletError(.data, "\(path): is not UTF-8; copy the file again")
      }
      return text
    }
    return try tokenizerConfig.flatMap {
      try embeddedTemplate($0, path: join(folder, ModelFiles.tokenizerConfigName))
    }
  }

  /// The template inside of `tokenizer_config.json`: a string, or the entry named `default` of a list.
  static func embeddedTemplate(_ tokenizerConfig: Data, path: String) throws -> String? {
    guard let json = try? JSONSerialization.jsonObject(with: tokenizerConfig) as? [String: Any] else {
      throw MartletError(.data, "\(path): is not a JSON object; copy the file again")
    }
    switch json["chat_template"] {
    case nil, is NSNull: return nil
    case let text as String: return text
    case let list as [[String: Any]]:
      return list.first { $0["name"] as? String == "default" }.flatMap { $0["template"] as? String }
    default:
      throw MartletError(.data, "\(path): chat_template: is neither a string nor a list of templates; correct the file")
    }
  }

  /// All tensors of the folder by name.
  private static func tensors(_ folder: String) throws -> [String: StoredTensor] {
    let single = join(folder, weightsName)
    if exists(single) { return try SafetensorsFile(single).tensors }
    let indexPath = join(folder, indexName)
    guard let bytes = try readFileIfThere(indexPath, limit: 1 << 26) else {
      let torch = try names(in: folder).contains { $0.hasPrefix("pytorch_model") }
      throw MartletError(
        .data,
        "\(single): is missing, and so is \(indexName); "
          + (torch ? "convert pytorch_model.bin to safetensors first" : "copy the model's safetensors files"))
    }
    struct Index: Decodable { let weight_map: [String: String] }
    guard let map = (try? JSONDecoder().decode(Index.self, from: bytes))?.weight_map, !map.isEmpty else {
      throw MartletError(.data, "\(indexPath): has no weight_map from tensors to files; copy the file again")
    }
    var tensors: [String: StoredTensor] = [:]
    for name in Set(map.values).sorted() {
      guard !name.isEmpty, !name.contains("/"), name != "..", !name.utf8.contains(0) else {
        throw MartletError(
          .data, "\(indexPath): \"\(name)\" is not the name of a file in the folder; correct weight_map")
      }
      let path = join(folder, name)
      guard exists(path) else {
        throw MartletError(.data, "\(path): is missing, but \(indexName) names it; copy it")
      }
      for (tensor, place) in try SafetensorsFile(path).tensors {
        if let other = tensors.updateValue(place, forKey: tensor) {
          throw MartletError(.data, "\(path): \(tensor): is in \(other.file.path) too; copy the folder again")
        }
      }
    }
    for (tensor, name) in map.sorted(by: { $0.key < $1.key })
    where (tensors[tensor]?.file.path as NSString?)?.lastPathComponent != name
      && !tensor.hasSuffix(SafetensorsFile.derivedSuffix)
    {
      throw MartletError(
        .data, "\(join(folder, name)): \(tensor): is missing, but \(indexName) says it is there; copy the folder again")
    }
    return tensors
  }

  private static let headName = "lm_head.weight"

  /// Every parameter is there in its shape, and nothing else but what follows from the others.
  private static func check(
    _ tensors: [String: StoredTensor], against table: ParameterTable, _ configuration: ModelConfiguration,
    _ folder: String
  ) throws {
    for parameter in table.parameters {
      guard let tensor = tensors[parameter.name] else {
        throw MartletError(
          .data,
          "\(folder): \(parameter.name): is missing from the safetensors files; config.json belongs to another model, "
            + "or a file was not copied")
      }
      guard tensor.shape == parameter.shape else {
        throw MartletError(
          .data,
          "\(tensor.file.path): \(parameter.name): has shape \(tensor.shape) where config.json asks for "
            + "\(parameter.shape); the two are not of one model")
      }
    }
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key })
    where table[name] == nil && !name.hasSuffix(SafetensorsFile.derivedSuffix) {
      if configuration.tiedHead, name == headName,
        tensor.shape == [configuration.vocabularySize, configuration.hiddenSize]
      {
        continue
      }
      throw MartletError(
        .data,
        "\(tensor.file.path): \(name): is not a parameter of a \(configuration.architecture.rawValue) model with this "
          + "config.json; choose a plain causal language model")
    }
  }

  private static func refuseUntied(_ head: StoredTensor, _ model: LanguageModel) throws {
    var table = UnsafePointer(model.pointerToEmbedding)
    var equal = true
    try ModelFile.each(head) { slice in
      equal = equal && memcmp(table, slice.baseAddress!, slice.count * 4) == 0
      table += slice.count
    }
    if !equal {
      throw MartletError(
        .data,
        "\(head.file.path): \(headName): differs from model.embed_tokens.weight though config.json ties them; "
          + "set tie_word_embeddings to false")
    }
  }
}

extension LanguageModel {
  fileprivate var pointerToEmbedding: UnsafeMutablePointer<Float> {
    weights.pointer + table["model.embed_tokens.weight"]!.range.lowerBound
  }
}
