import Foundation
import Support
import Tensor
import Transformer

/// A LoRA adapter as PEFT keeps it: `adapter_config.json` and `adapter_model.safetensors`, whose tensors are named
/// `base_model.model.` and the parameter's own name.
///
/// PEFT itself passes over tensors whose names it does not expect, and the adapter then does nothing. Here a name that
/// is not understood, and one that is missing, are errors.
public enum PEFTFolder {
  static let configName = "adapter_config.json"
  static let weightsName = "adapter_model.safetensors"
  static let prefix = "base_model.model."

  /// Whether the folder has PEFT's configuration.
  public static func isOne(_ path: String) -> Bool { isFolder(path) && exists(join(path, configName)) }

  /// Reads a folder; its tensors may be F32, F16 or BF16.
  /// - Throws: `MartletError` with file, key or tensor and remedy: `io` when something cannot be read, `configuration`
  ///   for an adapter of a kind that is not supported, else `data`.
  public static func read(_ folder: String) throws -> StoredAdapter {
    let config = try PEFTConfig(join(folder, configName))
    let path = join(folder, weightsName)
    guard exists(path) else {
      throw MartletError(.data, "\(path): is missing; copy it, or save the adapter again with safe_serialization")
    }
    let tensors = try SafetensorsFile(path).tensors
    var names: [String: PEFTName] = [:]
    for key in tensors.keys.sorted() { names[key] = try PEFTName(key, path: path) }
    let targets = Projection.allCases.filter { target in names.values.contains { $0.projection == target } }
    guard let layerCount = names.values.map({ $0.layer + 1 }).max() else {
      throw MartletError(.data, "\(path): holds no tensors; save the adapter again")
    }
    let adapters = LowRankAdapters(rank: config.rank, alpha: config.alpha, targets: targets)
    if let problem = adapters.problem {
      throw MartletError(.data, "\(join(folder, configName)): \(problem); copy the file again")
    }
    try config.checkTargets(names.values.sorted { ($0.layer, $0.module) < ($1.layer, $1.module) }, weights: path)
    let factors = try StoredAdapter.names(adapters, layerCount: layerCount).map { name in
      try factor(name, tensors[prefix + name], rank: config.rank, path: path)
    }
    return StoredAdapter(adapters, factors: factors, baseModel: config.baseModel, path: folder)
  }

  private static func factor(
    _ name: String, _ tensor: StoredTensor?, rank: Int, path: String
  ) throws -> StoredAdapter.Factor {
    guard let tensor else {
      throw MartletError(
        .data,
        "\(path): \(prefix)\(name): is missing, though other layers have it; adapters of some layers only are not read")
    }
    let axis = name.hasSuffix(".lora_A.weight") ? 0 : 1
    guard tensor.shape.count == 2, tensor.shape[axis] == rank else {
      throw MartletError(
        .data,
        "\(path): \(prefix)\(name): has shape \(tensor.shape), whose size \(axis) is not the r = \(rank) of "
          + "\(configName); the two are not of one adapter")
    }
    let values = FloatBuffer(count: tensor.count)
    try tensor.read(0..<tensor.count, into: values.pointer)
    return .init(name: name, shape: tensor.shape, values: values)
  }

  /// Writes a folder that PEFT loads onto the base model. What was written is read again and compared.
  /// - Parameters:
  ///   - type: how A and B are stored. bfloat16 rounds each number once.
  ///   - baseModel: what the folder says about its base: a name on the hub, or a path; nil: what the adapter says.
  /// - Throws: `MartletError` with status `io`, or `data` when the folder holds other weights.
  public static func write(
    _ adapter: StoredAdapter, to folder: String, type: StoredType = .float32, baseModel: String? = nil
  ) throws {
    let base = baseModel ?? adapter.baseModel
    try WeightsFolder.write(folder, weightsName: weightsName) { target in
      try withExtendedLifetime(adapter) {
        try SafetensorsFile.write(sources(adapter), type, to: join(target, weightsName))
      }
      let config = try PEFTConfig.encoded(adapter.adapters, baseModel: base)
      try writeFileAtomically(config, to: join(target, configName))
      let found = try read(target)
      let isSame = zip(found.factors, adapter.factors).allSatisfy { found, own in
        found.name == own.name && found.shape == own.shape
          && zip(found.numbers, own.numbers).allSatisfy {
            $0.bitPattern == (type == .float32 ? $1.bitPattern : UInt32(bfloat16Bits($1)) << 16)
          }
      }
      guard isSame, found.adapters == adapter.adapters, found.factors.count == adapter.factors.count else {
        throw MartletError(.io, "\(folder): is not what was written; check the disk and export again")
      }
    }
  }

  private static func sources(_ adapter: StoredAdapter) -> [SafetensorsFile.Source] {
    adapter.factors.map { factor in
      .init(name: prefix + factor.name, shape: factor.shape, values: factor.numbers)
    }
  }
}

/// The name of a tensor of PEFT, taken apart.
struct PEFTName {
  let layer: Int
  let projection: Projection

  /// The module as PEFT's `target_modules` may name it.
  var module: String { "model.layers.\(layer).\(projection.path)" }

  /// - Throws: `MartletError` (data) when it is no factor of an adapted matrix.
  init(_ key: String, path: String) throws {
    func fail(_ what: String) -> MartletError {
      MartletError(
        .data,
        "\(path): \(key): \(what); expected are names such as "
          + PEFTFolder.prefix + ParameterTable.adapterName(0, .query, "A"))
    }
    guard key.hasPrefix(PEFTFolder.prefix) else { throw fail("does not begin with \(PEFTFolder.prefix)") }
    let name = String(key.dropFirst(PEFTFolder.prefix.count))
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let layer = parts.count > 3 ? Int(parts[2]) : nil
    let projection = Projection.allCases.first { target in
      guard let layer else { return false }
      return ["A", "B"].contains { ParameterTable.adapterName(layer, target, $0) == name }
    }
    guard let layer, layer >= 0, let projection else {
      throw fail("is not an adapter of one of \(Projection.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    (self.layer, self.projection) = (layer, projection)
  }
}
