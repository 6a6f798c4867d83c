import Foundation
import Support
import Tensor
import Transformer

extension HuggingFaceFolder {
  /// Writes a folder that transformers and vLLM load and score equally. A value head stays behind: they know none.
  ///
  /// A new folder appears whole or not at all; in one that is there each file is replaced atomically. What was written
  /// is read again and compared.
  /// - Returns: the ``weightsHash(_:)`` of what the folder holds.
  /// - Throws: `MartletError` with status `io`, or `data` when the folder holds another model's weights.
  @discardableResult
  public static func write(
    _ model: LanguageModel, files: ModelFiles, to folder: String, type: StoredType = .float32
  ) throws -> String {
    let model = model.merged()
    return try WeightsFolder.write(folder, weightsName: weightsName) { target in
      try fill(target, model, files, type)
      return try verify(target, model, files, type)
    }
  }

  private static func fill(
    _ folder: String, _ model: LanguageModel, _ files: ModelFiles, _ type: StoredType
  ) throws {
    let files = try files.exported(model.configuration)
    try writeWeights(model, type, to: join(folder, weightsName))
    for (name, bytes) in files.named { try writeFileAtomically(bytes, to: join(folder, name)) }
    if files.asksForOwnTokenizer {
      let module = Data(ModelFiles.tokenizerModule.utf8)
      try writeFileAtomically(module, to: join(folder, ModelFiles.tokenizerModuleName))
    }
    let config = model.configuration.huggingFaceConfig(dtype: type == .float32 ? "float32" : "bfloat16")
    try writeFileAtomically(config, to: join(folder, configName))
  }

  /// Reads the folder as an import does and compares it with the model, slice by slice.
  private static func verify(
    _ folder: String, _ model: LanguageModel, _ files: ModelFiles, _ type: StoredType
  ) throws -> String {
    func fail(_ what: String) -> MartletError {
      MartletError(.io, "\(folder): \(what) is not what was written; check the disk and export again")
    }
    let (configuration, found) = try readHeader(folder)
    var written = model.configuration
    written.valueHead = false
    guard configuration == written else { throw fail(configName) }
    guard found.tokenizer == files.tokenizer, found.chatTemplate == files.chatTemplate else {
      throw fail(ModelFiles.tokenizerName)
    }
    let tensors = try SafetensorsFile(join(folder, weightsName)).tensors
    var hasher = WeightsHasher()
    for parameter in model.table.parameters where parameter.name != "value_head.weight" {
      guard let tensor = tensors[parameter.name], tensor.shape == parameter.shape else { throw fail(parameter.name) }
      hasher.begin(parameter.name, shape: parameter.shape)
      var place = parameter.range.lowerBound
      var isEqual = true
      try ModelFile.each(tensor) { slice in
        hasher.update(slice)
        for (read, own) in zip(slice, model.weights[place..<place + slice.count]) {
          let bits = type == .float32 ? own.bitPattern : UInt32(bfloat16Bits(own)) << 16
          isEqual = isEqual && read.bitPattern == bits
        }
        place += slice.count
      }
      guard isEqual else { throw fail(parameter.name) }
    }
    return hasher.hexDigest()
  }

  private static func writeWeights(_ model: LanguageModel, _ type: StoredType, to path: String) throws {
    let parameters = model.table.parameters.filter { $0.name != "value_head.weight" }
    // The pointers are into the model's buffer.
    try withExtendedLifetime(model) {
      try SafetensorsFile.write(
        parameters.map {
          .init(name: $0.name, shape: $0.shape, values: UnsafeBufferPointer(model.weights[$0.range]))
        }, type, to: path)
    }
  }
}
