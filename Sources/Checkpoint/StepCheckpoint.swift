import Foundation
import Support
import Tensor
import Transformer

/// A step folder: `manifest.json` and `rank-0000-NNN.h5` files of at most 256 MB each, with weights, moments and the
/// caller's state. The rename of the folder is the only commit point: a folder named `step-...` is whole.
public struct StepCheckpoint: Sendable {
  /// The path of the folder.
  public let folder: String
  /// The step after which it was written.
  public let step: Int
  let manifest: StepManifest

  static let prefix = "step-"
  static let statePath = "/state"

  /// What is to be read of a folder, and so must be checked first.
  enum Extent { case header, weights, all }

  /// Opens a folder after checking the manifest and the size and SHA-256 of every file.
  /// - Throws: `MartletError`, with status `io` when something cannot be read, `data` when it is not as written.
  public static func open(_ folder: String) throws -> StepCheckpoint { try open(folder, .all) }

  static func open(_ folder: String, _ extent: Extent) throws -> StepCheckpoint {
    let manifest = try StepManifest(folder: folder)
    for (index, file) in manifest.files.enumerated() {
      let path = join(folder, file.name)
      let input: InputFile
      do { input = try InputFile(path) } catch let error as MartletError where !exists(path) {
        throw MartletError(.data, error.message)
      }
      guard input.byteCount == file.bytes else {
        throw MartletError(
          .data, "\(path): has \(input.byteCount) bytes where the manifest says \(file.bytes); use another step folder")
      }
      let isNeeded =
        switch extent {
        case .all: true
        case .weights: index == 0 || file.parts.contains { $0.kind == .parameters }
        case .header: index == 0
        }
      if isNeeded, try input.sha256() != file.sha256 {
        throw MartletError(.data, "\(path): does not have the SHA-256 of the manifest; use another step folder")
      }
    }
    return StepCheckpoint(folder: folder, step: manifest.step, manifest: manifest)
  }

  /// The newest step folder of a run that is as it was written; nil when there is none.
  /// - Parameter skipped: is given a line for each newer folder that was refused, with the reason.
  /// - Throws: `MartletError` with status `io` when the run's folder cannot be listed.
  public static func latest(run: String, skipped: (String) -> Void) throws -> StepCheckpoint? {
    try latest(run: run, .all, skipped: skipped)
  }

  static func latest(run: String, _ extent: Extent, skipped: (String) -> Void) throws -> StepCheckpoint? {
    for (_, name) in try folders(run).reversed() {
      do { return try open(join(run, name), extent) } catch let error as MartletError { skipped(error.message) }
    }
    return nil
  }

  /// The step folders of a run, oldest first.
  static func folders(_ run: String) throws -> [(step: Int, name: String)] {
    guard exists(run) else { return [] }
    return try names(in: run).compactMap { name in
      let digits = name.dropFirst(prefix.count)
      guard name.hasPrefix(prefix), digits.allSatisfy(\.isNumber), let step = Int(digits) else { return nil }
      return (step, name)
    }.sorted { $0 < $1 }
  }

  /// The saved model's configuration and files.
  public func configuration() throws -> (ModelConfiguration, ModelFiles) {
    try ModelFile.header(try HDF5Reader(join(folder, try firstFile())))
  }

  func firstFile() throws -> String {
    guard let file = manifest.files.first else {
      throw MartletError(.data, "\(join(folder, StepManifest.name)): lists no files; use another step folder")
    }
    return file.name
  }

  /// Reads weights into `model` and, when given, moments and `step` into `optimizer`.
  ///
  /// Memory: a few slices. When it throws, model and optimizer may be half read.
  /// - Returns: the state bytes that were saved.
  /// - Throws: `MartletError` with status `data` when the folder holds another model or optimizer.
  public func restore(into model: LanguageModel, optimizer: Optimizer?) throws -> Data {
    let stored = ParameterTable(try storedConfiguration())
    guard stored.parameters == model.table.parameters else {
      throw MartletError(.data, "\(folder): was saved of a model of another shape; resume with its own configuration")
    }
    try read(.parameters, stored, into: model.weights, model.table)
    if let optimizer {
      guard let step = manifest.optimizerStep else {
        throw MartletError(.data, "\(folder): holds no optimizer; start a new run from its weights")
      }
      guard manifest.momentKinds == StepManifest.momentKinds(optimizer) else {
        throw MartletError(
          .data,
          "\(folder): was saved with another kind of optimizer; resume with the same optimizer.kind and optimizer.state"
        )
      }
      let moments = [(StepManifest.Kind.firstMoment, optimizer.firstMoment), (.secondMoment, optimizer.secondMoment)]
      for case (let kind, let buffer?) in moments { try read(kind, stored, into: buffer, model.table) }
      if let (first, second) = optimizer.quantized {
        try read(.firstMomentEightBit, into: first)
        try read(.secondMomentEightBit, into: second)
      }
      optimizer.step = step
    }
    let reader = try HDF5Reader(join(folder, try firstFile()))
    guard let state = try reader.bytes(Self.statePath) else {
      throw reader.fail(Self.statePath, "is missing; use another step folder")
    }
    return state
  }

  /// The model alone, for use outside of training, adapters merged.
  func model(valueHead: Bool?) throws -> StoredModel {
    let files = try configuration().1
    var configuration = try storedConfiguration()
    let stored = ParameterTable(configuration)
    configuration.valueHead = valueHead ?? configuration.valueHead
    let model = LanguageModel(configuration: configuration)
    try read(.parameters, stored, into: model.weights, model.table)
    return StoredModel(model: model.merged(), files: files)
  }

  /// What `model(valueHead:)` would have, without its weights.
  func mergedHeader() throws -> (configuration: ModelConfiguration, files: ModelFiles) {
    var (configuration, files) = try configuration()
    configuration.adapters = nil
    return (configuration, files)
  }

  func storedConfiguration() throws -> ModelConfiguration {
    let configuration = try configuration().0
    try configuration.refuseBeyond(bytes: manifest.files.reduce(0) { $0 + $1.bytes }, path: folder)
    return configuration
  }

  /// What a buffer of this kind holds: all parameters, or moments of those that are trained.
  static func extent(
    of kind: StepManifest.Kind, _ table: ParameterTable
  ) -> (parameters: [Parameter], range: Range<Int>) {
    kind == .parameters ? (table.parameters, 0..<table.count) : (table.trainableParameters, table.trainable)
  }

  /// Reads all tensors of a kind into the places that `target` gives them; those it does not know, and those whose
  /// names are not wanted, are passed over.
  func read(
    _ kind: StepManifest.Kind, _ stored: ParameterTable, into buffer: FloatBuffer, _ target: ParameterTable,
    only isWanted: (String) -> Bool = { _ in true }
  ) throws {
    let extent = Self.extent(of: kind, target).range
    precondition(buffer.count == extent.count, "StepCheckpoint: \(buffer.count) floats for \(extent.count)")
    func fail(_ name: String, _ message: String) -> MartletError {
      MartletError(
        .data, "\(join(folder, StepManifest.name)): \(kind.rawValue): \(name): \(message); use another step folder")
    }
    var next: [String: Int] = [:]
    for file in manifest.files {
      let parts = file.parts.filter { $0.kind == kind }
      guard !parts.isEmpty else { continue }
      let reader = try HDF5Reader(join(folder, file.name))
      for part in parts {
        guard let parameter = stored[part.name] else { throw fail(part.name, "is not a parameter of the model") }
        let rowCount = parameter.shape[0]
        guard part.rows.count == 2, part.rows[0] == next[part.name, default: 0], part.rows[1] > part.rows[0],
          part.rows[1] <= rowCount
        else { throw fail(part.name, "rows \(part.rows) do not follow \(next[part.name, default: 0])") }
        next[part.name] = part.rows[1]
        let tensor = try reader.tensor(
          part.path(rowCount: rowCount), name: part.name,
          shape: [part.rows[1] - part.rows[0]] + parameter.shape.dropFirst())
        guard let place = target[part.name], isWanted(part.name) else { continue }
        let start = place.range.lowerBound - extent.lowerBound + part.rows[0] * (place.range.count / rowCount)
        try tensor.read(0..<tensor.count, into: buffer.pointer + start)
      }
    }
    for parameter in Self.extent(of: kind, stored).parameters where next[parameter.name] != parameter.shape[0] {
      throw fail(parameter.name, "is not there as a whole")
    }
  }
}

extension StepCheckpoint {
  /// The steps that a run has folders of, ascending. Only opening a folder checks that it is as it was written.
  public static func steps(run: String) throws -> [Int] { try folders(run).map(\.step) }

  /// The folder of a run's step; nil: there is none.
  public static func folder(run: String, step: Int) throws -> String? {
    try folders(run).first { $0.step == step }.map { join(run, $0.name) }
  }
}
