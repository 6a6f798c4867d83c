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
    let target = (folder as NSString).standardizingPath
    if exists(target) {
      guard isFolder(target) else { throw MartletError(.data, "\(folder): is a file; give the path of a new folder") }
      let foreign = try names(in: target).first {
        $0 != weightsName && ($0.hasSuffix(".safetensors") || $0.hasSuffix(".bin") || $0 == indexName)
      }
      if let foreign {
        throw MartletError(
          .data, "\(join(folder, foreign)): belongs to other weights, which would be mixed up; export to a new folder")
      }
      try fill(target, model, files, type)
      return try verify(target, model, files, type)
    }
    let parent = Support.folder(of: target)
    let temporary = join(parent, ".\((target as NSString).lastPathComponent).tmp-\(getpid())")
    removeAll(temporary)
    guard mkdir(temporary, 0o777) == 0 else { throw systemError(folder, "cannot be made") }
    let hash: String
    do {
      try fill(temporary, model, files, type)
      hash = try verify(temporary, model, files, type)
      guard rename(temporary, target) == 0 else { throw systemError(folder, "cannot be given its name") }
    } catch {
      removeAll(temporary)
      throw error
    }
    try syncFolder(parent)
    return hash
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
    var items = [#""__metadata__":{"format":"pt"}"#]
    var offsets: [Int] = []
    var next = 0
    for parameter in parameters {
      offsets.append(next)
      let end = next + parameter.range.count * type.byteCount
      let shape = parameter.shape.map(String.init).joined(separator: ",")
      items.append(
        #""\#(parameter.name)":{"dtype":"\#(NumberFormat(type).rawValue)","shape":[\#(shape)],"#
          + #""data_offsets":[\#(next),\#(end)]}"#)
      next = end
    }
    var header = Data("{\(items.joined(separator: ","))}".utf8)
    // Spaces at its end put the tensors at a multiple of 8, as the format's own library does.
    header.append(contentsOf: [UInt8](repeating: 0x20, count: (8 - header.count % 8) % 8))
    let length = Data(withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) })
    let start = length.count + header.count
    let file = try OutputFile(replacing: path, bytesNeeded: start + next)
    try (length + header).withUnsafeBytes { try file.write($0, at: 0) }
    for (parameter, offset) in zip(parameters, offsets) {
      try writeFloats(UnsafeBufferPointer(model.weights[parameter.range]), type, to: file, at: start + offset)
    }
    try file.commit()
  }
}
