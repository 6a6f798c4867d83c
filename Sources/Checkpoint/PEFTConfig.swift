import Foundation
import Support
import Transformer

/// What `adapter_config.json` says. Settings of PEFT that would change what the adapter computes, and that are not
/// supported here, are refused by name.
struct PEFTConfig {
  let rank: Int
  /// As for ``LowRankAdapters``: the sum is scaled by alpha / rank, with rsLoRA by its alpha / sqrt(rank).
  let alpha: Double
  let baseModel: String?
  /// nil: it is a pattern, which PEFT has already applied.
  private let targetModules: [String]?
  private let path: String

  /// Settings that describe training, or do nothing for a LoRA of linear layers.
  private static let passive: Set<String> = [
    "auto_mapping", "ensure_weight_tying", "exclude_modules", "inference_mode", "init_lora_weights", "layers_pattern",
    "lora_dropout", "megatron_core", "peft_version", "qalora_group_size", "revision", "runtime_config", "task_type",
  ]
  private static let read: Set<String> = [
    "base_model_name_or_path", "bias", "lora_alpha", "peft_type", "r", "target_modules", "use_rslora",
  ]
  /// Starts after which the base model is as it was.
  private static let plainStarts = ["gaussian", "orthogonal", "eva"]

  init(_ path: String) throws {
    self.path = path
    func fail(_ status: MartletError.Status, _ what: String) -> MartletError {
      MartletError(status, "\(path): \(what)")
    }
    let bytes = try readFile(path, limit: 1 << 24)
    guard let json = try? JSONSerialization.jsonObject(with: bytes) as? [String: Any] else {
      throw fail(.data, "is not a JSON object; copy the file again")
    }
    let type = json["peft_type"] as? String
    guard type == "LORA" else {
      throw fail(.configuration, "peft_type: \(type ?? "is missing"); only LORA is supported")
    }
    if let start = json["init_lora_weights"] as? String, !Self.plainStarts.contains(start) {
      throw fail(
        .configuration,
        "init_lora_weights: \(start) changes the base model as well; save it in PEFT with "
          + "path_initial_model_for_weight_conversion")
    }
    if let bias = json["bias"], bias as? String != "none" {
      throw fail(.configuration, "bias: \(bias) is not supported; train the adapter with bias none")
    }
    for key in json.keys.sorted() where !Self.passive.contains(key) && !Self.read.contains(key) {
      guard let value = json[key], Self.isActive(value) else { continue }
      throw fail(.configuration, "\(key): \(value) is not supported; merge the adapter in PEFT and import the result")
    }
    guard let rank = json["r"] as? Int, let alpha = json["lora_alpha"] as? Double else {
      throw fail(.data, "r or lora_alpha is missing; copy the file again")
    }
    self.rank = rank
    self.alpha = json["use_rslora"] as? Bool == true ? alpha * Double(rank).squareRoot() : alpha
    baseModel = json["base_model_name_or_path"] as? String
    targetModules = json["target_modules"] as? [String]
  }

  /// Whether a setting is on: not null, false, 0 or empty.
  private static func isActive(_ value: Any) -> Bool {
    switch value {
    case is NSNull: false
    case let number as NSNumber: number.boolValue
    case let text as String: !text.isEmpty
    case let list as [Any]: !list.isEmpty
    case let map as [String: Any]: !map.isEmpty
    default: true
    }
  }

  /// PEFT puts adapters where `target_modules` says. The tensors must be those, or one of the two was changed.
  func checkTargets(_ names: [PEFTName], weights: String) throws {
    guard let targetModules else { return }
    func matches(_ module: String, _ target: String) -> Bool { module == target || module.hasSuffix("." + target) }
    if let stray = names.first(where: { name in !targetModules.contains { matches(name.module, $0) } }) {
      throw MartletError(
        .data,
        "\(weights): \(stray.module): has an adapter, but target_modules of \(path) does not name it; the two are not "
          + "of one adapter")
    }
    if let empty = targetModules.sorted().first(where: { target in !names.contains { matches($0.module, target) } }) {
      throw MartletError(
        .data,
        "\(path): target_modules: \(empty) has no adapter in \(weights); the two are not of one adapter")
    }
  }

  /// The file for adapters of ours, with PEFT's keys.
  static func encoded(_ adapters: LowRankAdapters, baseModel: String?) throws -> Data {
    let alpha: Any = Int(exactly: adapters.alpha).map { $0 as Any } ?? adapters.alpha
    return try ModelFiles.json([
      "base_model_name_or_path": baseModel.map { $0 as Any } ?? NSNull(), "bias": "none", "fan_in_fan_out": false,
      "inference_mode": true, "init_lora_weights": true, "lora_alpha": alpha, "lora_dropout": 0.0,
      "modules_to_save": NSNull(), "peft_type": "LORA", "r": adapters.rank,
      "target_modules": adapters.targets.map(\.rawValue), "task_type": "CAUSAL_LM", "use_dora": false,
      "use_rslora": false,
    ])
  }
}
