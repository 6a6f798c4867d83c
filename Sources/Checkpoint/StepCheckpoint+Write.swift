import Foundation
import Support
import Tensor
import Transformer

extension StepCheckpoint {
  /// Bytes of datasets in one file; with the library's own structures it stays below 256 MB.
  static let fileBytes = 250_000_000

  /// Which step folders of a run stay when a newer one has been written.
  public struct Retention: Sendable {
    /// So many of the newest, at least 1: the one just written counts.
    public var last: Int
    /// Beside them, steps that this divides; 0: none.
    public var every: Int
    /// Beside them, this step, such as the best so far.
    public var also: Int?

    /// The `last` newest, and those that `every` or `also` name.
    public init(last: Int, every: Int = 0, also: Int? = nil) {
      precondition(last >= 1 && every >= 0, "Retention: the last \(last), every \(every)")
      self.last = last
      self.every = every
      self.also = also
    }

    func spares(_ step: Int) -> Bool { (every > 0 && step % every == 0) || step == also }
  }

  /// Writes `run/step-NNNNNNNN`, reads every file back, and renames the folder into place.
  ///
  /// Folders left by a writer that died are removed first, and older steps afterwards, except those that `keeping`
  /// names. The caller holds the run's lock. Takes a few slices of memory beside the model's.
  /// - Parameters:
  ///   - state: whatever else the caller needs to go on.
  ///   - keeping: which steps stay.
  /// - Throws: `MartletError` with status `io`; older folders are then as they were and nothing is left behind.
  @discardableResult
  public static func write(
    run: String, step: Int, model: LanguageModel, files: ModelFiles, optimizer: Optimizer?, state: Data,
    keeping: Retention
  ) throws -> StepCheckpoint {
    try write(
      run: run, step: step, model: model, files: files, optimizer: optimizer, state: state, keeping: keeping,
      fileBytes: fileBytes)
  }

  static func write(
    run: String, step: Int, model: LanguageModel, files: ModelFiles, optimizer: Optimizer?, state: Data,
    keeping: Retention, fileBytes: Int
  ) throws -> StepCheckpoint {
    precondition(step >= 0, "StepCheckpoint: step \(step)")
    try makeFolder(run)
    for name in try names(in: run) where name.hasPrefix(temporaryPrefix) || name.hasPrefix(trashPrefix) {
      removeAll(join(run, name))
    }
    let digits = String(step)
    let name = prefix + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    let plan = try plan(model, files, optimizer, state, fileBytes)
    let bytes = plan.reduce(0) { $0 + HDF5Writer(entries: $1.entries).byteCount }
    if let free = freeBytes(run), free < bytes {
      throw systemError(join(run, name), "cannot be written", ENOSPC, bytesNeeded: bytes)
    }
    let temporary = join(run, "\(temporaryPrefix)\(name)-\(getpid())")
    guard mkdir(temporary, 0o777) == 0 else { throw systemError(temporary, "cannot be made") }
    let manifest: StepManifest
    do {
      // Entries point into these.
      manifest = try withExtendedLifetime((model, optimizer)) {
        try fill(temporary, plan, step: step, optimizerStep: optimizer?.step)
      }
      try commit(temporary, as: name, run: run)
    } catch {
      removeAll(temporary)
      throw error
    }
    try prune(run, newest: step, keeping)
    return StepCheckpoint(folder: join(run, name), step: step, manifest: manifest)
  }

  private static let temporaryPrefix = ".tmp-"
  private static let trashPrefix = ".trash-"

  private struct PlannedFile {
    var entries: [HDF5Entry]
    var parts: [StepManifest.Part] = []
    var bytes: Int
  }

  /// Which pieces go into which file: in order, each file filled before the next.
  private static func plan(
    _ model: LanguageModel, _ files: ModelFiles, _ optimizer: Optimizer?, _ state: Data, _ limit: Int
  ) throws -> [PlannedFile] {
    let header =
      try ModelFile.header(model.configuration, files) + [HDF5Entry(path: statePath, content: .bytes(state))]
    var plan = [PlannedFile(entries: header, bytes: header.reduce(0) { $0 + $1.byteCount })]
    func add(_ part: StepManifest.Part, rowCount: Int, _ content: HDF5Entry.Content) {
      let entry = HDF5Entry(path: part.path(rowCount: rowCount), content: content)
      if plan[plan.count - 1].bytes + entry.byteCount > limit { plan.append(PlannedFile(entries: [], bytes: 0)) }
      plan[plan.count - 1].entries.append(entry)
      plan[plan.count - 1].parts.append(part)
      plan[plan.count - 1].bytes += entry.byteCount
    }
    let buffers: [(StepManifest.Kind, FloatBuffer?)] = [
      (.parameters, model.weights), (.firstMoment, optimizer?.firstMoment), (.secondMoment, optimizer?.secondMoment),
    ]
    for case (let kind, let buffer?) in buffers {
      let (parameters, extent) = Self.extent(of: kind, model.table)
      precondition(buffer.count == extent.count, "StepCheckpoint: \(buffer.count) floats for \(extent.count)")
      for parameter in parameters {
        let rowCount = parameter.shape[0]
        let rowFloats = parameter.range.count / rowCount
        let step = max(1, limit / (rowFloats * 4))
        for first in stride(from: 0, to: rowCount, by: step) {
          let part = StepManifest.Part(
            kind: kind, name: parameter.name, rows: [first, min(first + step, rowCount)])
          let count = part.rows[1] - part.rows[0]
          add(
            part, rowCount: rowCount,
            .floats(
              buffer.pointer + (parameter.range.lowerBound - extent.lowerBound) + first * rowFloats,
              shape: [count] + parameter.shape.dropFirst(), type: .float32))
        }
      }
    }
    guard let (first, second) = optimizer?.quantized else { return plan }
    for (kind, moment) in [(StepManifest.Kind.firstMomentEightBit, first), (.secondMomentEightBit, second)] {
      for (part, content) in pieces(of: moment, kind, limit) {
        add(part, rowCount: moment.scales.count, content)
      }
    }
    return plan
  }

  private static func fill(
    _ folder: String, _ plan: [PlannedFile], step: Int, optimizerStep: Int?
  ) throws -> StepManifest {
    var files: [StepManifest.File] = []
    for (index, planned) in plan.enumerated() {
      let digits = String(index)
      let name = "rank-0000-" + String(repeating: "0", count: max(0, 3 - digits.count)) + digits + ".h5"
      let path = join(folder, name)
      try HDF5Writer(entries: planned.entries).write(to: path)
      let written = try InputFile(path)
      files.append(.init(name: name, bytes: written.byteCount, sha256: try written.sha256(), parts: planned.parts))
    }
    let version = (try? HDF5.exclusively { _ in HDF5.version() }) ?? ""
    let manifest = StepManifest(step: step, optimizerStep: optimizerStep, hdf5: version, files: files)
    try writeFileAtomically(try manifest.encoded(), to: join(folder, StepManifest.name))
    return manifest
  }

  /// The rename. A folder of that step that was there before (refused on resuming, or the run went back) is put aside.
  private static func commit(_ temporary: String, as name: String, run: String) throws {
    let (target, aside) = (join(run, name), join(run, "\(trashPrefix)\(name)-\(getpid())"))
    let wasThere = rename(target, aside) == 0
    guard rename(temporary, target) == 0 else {
      let code = errno
      if wasThere { rename(aside, target) }
      throw systemError(target, "cannot be given its name", code)
    }
    try syncFolder(run)
    removeAll(aside)
  }

  /// Removes older steps; each loses its name first, so that no half-removed folder is ever taken for a checkpoint.
  private static func prune(_ run: String, newest: Int, _ keeping: Retention) throws {
    let older = try folders(run).filter { $0.step < newest }
    for (step, name) in older.dropLast(keeping.last - 1) where !keeping.spares(step) {
      let trash = join(run, "\(trashPrefix)\(name)-\(getpid())")
      if rename(join(run, name), trash) == 0 { removeAll(trash) }
    }
  }
}
