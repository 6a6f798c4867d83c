import Foundation
import Support
import Tokenization
import Transformer

/// How a model's files spell its special tokens, and whether they ask for a begin token before a text.
public struct SpecialTokens: Sendable, Equatable {
  /// `bos_token`, `eos_token`, `pad_token`, ... with their texts: what a chat template may name.
  public private(set) var spellings: [String: String] = [:]
  /// `add_bos_token` of tokenizer_config.json.
  public private(set) var addsBegin: Bool?

  /// The text of `bos_token`; nil: there is none.
  public var begin: String? { spellings["bos_token"] }
  /// The text of `eos_token`; nil: there is none.
  public var end: String? { spellings["eos_token"] }

  /// Reads tokenizer_config.json, and special_tokens_map.json where the former does not list its tokens itself, as
  /// transformers 5 does.
  /// - Throws: `MartletError` (data) for a file that is no JSON object.
  public init(_ files: ModelFiles, path: String) throws {
    let config = try Self.object(files.tokenizerConfig, "\(path): \(ModelFiles.tokenizerConfigName)")
    read(config)
    if let extra = config["extra_special_tokens"] as? [String: Any] { read(extra, everyName: true) }
    if config["added_tokens_decoder"] == nil {
      read(try Self.object(files.specialTokensMap, "\(path): \(ModelFiles.specialTokensMapName)"))
    }
    addsBegin = config["add_bos_token"] as? Bool
  }

  /// Fills in what the files do not say: the ids that the model's configuration gives.
  public mutating func fill(begin: Int32?, end: Int32?, tokenizer: Tokenizer) {
    for (name, id) in [("bos_token", begin), ("eos_token", end)] where spellings[name] == nil {
      if let id, tokenizer.isAdded(id) { spellings[name] = tokenizer.decode([id]) }
    }
  }

  private mutating func read(_ fields: [String: Any], everyName: Bool = false) {
    for (name, value) in fields where everyName || name.hasSuffix("_token") {
      let text = value as? String ?? (value as? [String: Any])?["content"] as? String
      if let text { spellings[name] = text }
    }
  }

  private static func object(_ data: Data?, _ place: String) throws -> [String: Any] {
    guard let data else { return [:] }
    guard let fields = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
      throw MartletError(.data, "\(place): is not a JSON object; copy the file again")
    }
    return fields
  }
}
