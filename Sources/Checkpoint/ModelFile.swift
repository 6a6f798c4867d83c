import Foundation
import Support
import Tensor
import Transformer

/// One HDF5 file: `/config` (JSON text), `/tokenizer/...`, `/parameters/<Hugging Face name>`; h5py and h5dump open it
/// with readable names and shapes. `/parts_hash` and `/files_hash` tell a damaged file from a whole one;
/// `/weights_hash` is the ``weightsHash(_:)``.
public enum ModelFile {
  /// Writes a model and its files to `path`, atomically; the old file stays until the new one is on the disk.
  ///
  /// Needs memory for a few slices only, whatever the size.
  /// - Parameter type: what all numbers are rounded to; nil keeps each to the bit, and stores a parameter as bfloat16
  ///   where that holds all of its numbers.
  /// - Returns: the ``weightsHash(_:)`` of what was written.
  /// - Throws: `MartletError` with status `io`.
  @discardableResult
  public static func write(
    _ model: LanguageModel, files: ModelFiles, to path: String, type: StoredType? = nil,
    pool: WorkerPool = WorkerPool()
  ) throws -> String {
    let entries =
      try header(model.configuration, files)
      + model.table.parameters.map { parameter in
        let numbers = model.weights.pointer + parameter.range.lowerBound
        let exact: StoredType = areBFloat16(numbers, count: parameter.range.count, pool: pool) ? .bfloat16 : .float32
        return HDF5Entry(
          path: parameters + parameter.name, content: .floats(numbers, shape: parameter.shape, type: type ?? exact))
      } + [
        HDF5Entry(path: weightsHashPath, content: .weightsHash), HDF5Entry(path: partsHashPath, content: .partsHash),
      ]
    // The pointers above are into the model's buffer.
    return try withExtendedLifetime(model) {
      try HDF5Writer(entries: entries).write(to: path) { path in
        path.hasPrefix(parameters) ? String(path.dropFirst(parameters.count)) : nil
      }
    }
  }

  /// Reads a model file.
  ///
  /// - Parameters:
  ///   - valueHead: true adds a zero value head when the file has none, false drops one, nil changes nothing.
  ///   - use: what the weights are for.
  ///   - pool: the threads that read.
  /// - Throws: `MartletError` with status `io` when there is no such file, `data` when it is damaged or not a model.
  public static func read(
    _ path: String, valueHead: Bool? = nil, for use: WeightUse = .any, pool: WorkerPool = WorkerPool()
  ) throws -> StoredModel {
    let reader = try HDF5Reader(path)
    let (stored, files) = try header(reader)
    let tensors = try tensors(reader, stored)
    var configuration = stored
    configuration.valueHead = valueHead ?? stored.valueHead
    let hash = try reader.bytes(partsHashPath)
    // A file without this hash stores bfloat16's numbers as fp32 and is checked in memory.
    let (model, items) = WeightReader.model(
      configuration, tensors, for: hash == nil ? .any : use, wide: [.float32])
    let found = try WeightReader(pool: pool).read(items, hashes: hash != nil)
    if let hash, let found {
      guard hash == Data(found.utf8) else {
        throw reader.fail(partsHashPath, "does not match the weights; the file is damaged, copy it again")
      }
    } else {
      try verify(reader, model, tensors)
    }
    return StoredModel(model: model, files: files)
  }

  /// The check of a file that has no hash of its parts: one thread after the other's work.
  private static func verify(_ reader: HDF5Reader, _ model: LanguageModel, _ tensors: [StoredTensor]) throws {
    var hasher = WeightsHasher()
    for tensor in tensors {
      hasher.begin(tensor.name, shape: tensor.shape)
      if let parameter = model.table[tensor.name] {
        hasher.update(UnsafeBufferPointer(model.weights[parameter.range]))
      } else {
        try each(tensor) { hasher.update($0) }
      }
    }
    try verify(reader, hasher)
  }

  /// Reads the configuration and the files, not the weights.
  public static func readHeader(_ path: String) throws -> (configuration: ModelConfiguration, files: ModelFiles) {
    try header(try HDF5Reader(path))
  }

  static let parameters = "/parameters/"
  static let weightsHashPath = "/weights_hash"
  static let partsHashPath = "/parts_hash"
  private static let configPath = "/config"
  private static let filesHashPath = "/files_hash"
  private static let filesFolder = "/tokenizer/"

  /// The datasets that describe a model, for a model file and for a checkpoint's first file.
  static func header(_ configuration: ModelConfiguration, _ files: ModelFiles) throws -> [HDF5Entry] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let config = try encoder.encode(configuration)
    return [HDF5Entry(path: configPath, content: .text(config))]
      + files.named.map { HDF5Entry(path: filesFolder + $0.name, content: .text($0.bytes)) }
      + [HDF5Entry(path: filesHashPath, content: .text(Data(filesHash(config, files).utf8)))]
  }

  static func header(_ reader: HDF5Reader) throws -> (configuration: ModelConfiguration, files: ModelFiles) {
    guard let config = try reader.bytes(configPath) else {
      throw reader.fail(configPath, "is missing; this is not a model file, make one with `train import`")
    }
    let files = try ModelFiles { try reader.bytes(filesFolder + $0) }
    if let hash = try reader.bytes(filesHashPath), hash != Data(filesHash(config, files).utf8) {
      throw reader.fail(filesHashPath, "does not match /config and /tokenizer; the file is damaged, copy it again")
    }
    do {
      return (try JSONDecoder().decode(ModelConfiguration.self, from: config), files)
    } catch let error as DecodingError {
      throw reader.fail(configPath, "\(reason(error)); write the file again with `train import`")
    }
  }

  private static func filesHash(_ config: Data, _ files: ModelFiles) -> String {
    var hash = SHA256()
    for (name, bytes) in [(name: "config", bytes: config)] + files.named {
      hash.update("\(name) \(bytes.count)\n".utf8)
      hash.update(bytes)
    }
    return hash.hexDigest()
  }

  /// The weights of the file in table order; all are there, of the right shape, and nothing else is.
  static func tensors(_ reader: HDF5Reader, _ configuration: ModelConfiguration) throws -> [StoredTensor] {
    try configuration.refuseBeyond(bytes: reader.file.byteCount, path: reader.file.path)
    let table = ParameterTable(configuration)
    let tensors = try table.parameters.map {
      try reader.tensor(parameters + $0.name, name: $0.name, shape: $0.shape)
    }
    let count = try reader.linkCount(String(parameters.dropLast()))
    if count != tensors.count {
      let known = Set(table.parameters.map(\.name))
      // The library looks a name up among all of them: a few are named, a hundred thousand are not.
      let names = count < tensors.count + 1000 ? try reader.links(String(parameters.dropLast())) : []
      throw reader.fail(
        parameters + (names.first { !known.contains($0) } ?? ""),
        "is not a parameter of the model in /config (\(count) entries for \(tensors.count)); write the file again with "
          + "`train import`")
    }
    return tensors
  }

  /// Throws unless the file's own hash of its weights is that of what was read. A file without one is taken as it is.
  static func verify(_ reader: HDF5Reader, _ hasher: WeightsHasher) throws {
    if let hash = try reader.bytes(weightsHashPath), hash != Data(hasher.hexDigest().utf8) {
      throw reader.fail(weightsHashPath, "does not match the weights; the file is damaged, copy it again")
    }
  }

  /// Reads a tensor slice by slice.
  static func each(_ tensor: StoredTensor, _ body: (UnsafeBufferPointer<Float>) -> Void) throws {
    let slice = UnsafeMutablePointer<Float>.allocate(capacity: StoredTensor.sliceCount)
    defer { slice.deallocate() }
    for start in stride(from: 0, to: tensor.count, by: StoredTensor.sliceCount) {
      try tensor.read(start..<min(start + StoredTensor.sliceCount, tensor.count), into: slice, consume: body)
    }
  }

  private static func reason(_ error: DecodingError) -> String {
    switch error {
    case .keyNotFound(let key, _): "\(key.stringValue) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      (context.codingPath.map(\.stringValue) + [context.debugDescription]).joined(separator: ": ")
    @unknown default: "cannot be decoded"
    }
  }
}

extension ModelConfiguration {
  /// Throws when files of `bytes` bytes cannot hold this model's weights, so that nothing is allocated for a lie.
  func refuseBeyond(bytes: Int, bytesPerNumber: Double = 2, path: String) throws {
    let (c, q, kv) = (Double(hiddenSize), Double(queryWidth), Double(headWidth) * Double(keyValueHeadCount))
    let layer = 2 * c * (q + kv) + 3 * c * Double(intermediateSize)
    let numbers = Double(vocabularySize) * c * (tiedHead ? 1 : 2) + Double(layerCount) * layer
    if numbers * bytesPerNumber > Double(bytes) {
      throw MartletError(
        .data,
        "\(path): \(bytes) bytes cannot hold the \(numbers) weights that the configuration asks for; "
          + "the file is cut off or belongs to another model")
    }
  }
}
