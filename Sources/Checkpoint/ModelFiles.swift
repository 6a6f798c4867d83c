import Foundation
import Transformer

/// Files of a model beside its weights, byte for byte as imported.
public struct ModelFiles: Sendable, Equatable {
  /// `tokenizer.json`.
  public var tokenizer: Data?
  /// `tokenizer_config.json`.
  public var tokenizerConfig: Data?
  /// `special_tokens_map.json`.
  public var specialTokensMap: Data?
  /// `chat_template.jinja`, or the template inside `tokenizer_config.json`.
  public var chatTemplate: String?
  /// `generation_config.json`; of it only the stop ids are used, and those stand in the model's configuration.
  public var generationConfig: Data?

  /// The files that there are; nil for those that there are not.
  public init(
    tokenizer: Data? = nil, tokenizerConfig: Data? = nil, specialTokensMap: Data? = nil, chatTemplate: String? = nil,
    generationConfig: Data? = nil
  ) {
    self.tokenizer = tokenizer
    self.tokenizerConfig = tokenizerConfig
    self.specialTokensMap = specialTokensMap
    self.chatTemplate = chatTemplate
    self.generationConfig = generationConfig
  }

  static let tokenizerName = "tokenizer.json"
  static let tokenizerConfigName = "tokenizer_config.json"
  static let specialTokensMapName = "special_tokens_map.json"
  static let chatTemplateName = "chat_template.jinja"
  static let generationConfigName = "generation_config.json"

  /// The files that are there, by the names they have in a Hugging Face folder.
  var named: [(name: String, bytes: Data)] {
    let all: [(String, Data?)] = [
      (Self.tokenizerName, tokenizer), (Self.tokenizerConfigName, tokenizerConfig),
      (Self.specialTokensMapName, specialTokensMap), (Self.chatTemplateName, chatTemplate.map { Data($0.utf8) }),
      (Self.generationConfigName, generationConfig),
    ]
    return all.compactMap { name, bytes in bytes.map { (name, $0) } }
  }

  /// Collects the files that `read` finds.
  init(read: (_ name: String) throws -> Data?) rethrows {
    tokenizer = try read(Self.tokenizerName)
    tokenizerConfig = try read(Self.tokenizerConfigName)
    specialTokensMap = try read(Self.specialTokensMapName)
    chatTemplate = try read(Self.chatTemplateName).map { String(decoding: $0, as: UTF8.self) }
    generationConfig = try read(Self.generationConfigName)
  }
}

/// A model with the files that belong to it.
public struct StoredModel {
  /// The weights.
  public let model: LanguageModel
  /// The files beside them.
  public let files: ModelFiles

  /// A model and its files.
  public init(model: LanguageModel, files: ModelFiles) {
    self.model = model
    self.files = files
  }
}

/// How numbers are stored in a file. Weights that are computed with are fp32 in any case.
public enum StoredType: String, Codable, Sendable, CaseIterable {
  case float32 = "f32"
  /// The upper half of an fp32, rounded once to the nearest, ties to even.
  case bfloat16 = "bf16"

  var byteCount: Int { self == .float32 ? 4 : 2 }
}
