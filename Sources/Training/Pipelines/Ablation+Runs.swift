import Checkpoint
import Foundation
import Reports
import Rollout
import Support
import Tensor

extension Ablation {
  /// How a run ended in this process.
  enum Outcome {
    case finished
    case failed(MartletError)
    /// Another process works on it.
    case busy
  }

  /// Runs what is not finished and compares what is. Leaves `ablation.json`, `ablation.txt`, `ablation.svg` and
  /// `report.html`.
  ///
  /// A run that another process works on is left to it. This process waits for it at the end, and takes it over if the
  /// other one dies. A failed run does not stop the others.
  /// - Parameter only: `CASE` or `CASE/seed-N`, with `*` and `?` for any characters; empty: all.
  /// - Returns: the table of all cases that have results, and the failures of this process.
  /// - Throws: `MartletError`: configuration when a run was made with something else and `context.anew` is false, or
  ///   `only` names nothing; `Interrupted`.
  public func run(only: [String] = [], context: StageContext) throws -> (table: String, failures: [MartletError]) {
    let chosen = try choose(only)
    for item in cases where chosen.contains(where: { $0.name == item.name }) { context.onEvent(.note(item.text)) }
    try makeFolder()
    var failed: [String: MartletError] = [:]
    var done = Set<String>()
    while true {
      var isWaiting = false
      for (place, run) in chosen.enumerated() where failed[run.folder] == nil && !done.contains(run.folder) {
        try context.checkCancelled()
        let part = Part(.run, name: "\(run.name)/seed-\(run.seed)", number: place + 1, count: chosen.count)
        context.onEvent(.part(part))
        switch try work(on: run, context: context) {
        case .finished:
          done.insert(run.folder)
          try write(AblationTable(self, failed))
        case .failed(let error):
          failed[run.folder] = error
          context.onEvent(.warning("\(run.folder) failed: \(error.message)"))
        case .busy: isWaiting = true
        }
      }
      guard isWaiting else { break }
      usleep(500_000)
    }
    let table = try AblationTable(self, failed)
    try write(table)
    return (table.text, chosen.compactMap { failed[$0.folder] })
  }

  private func choose(_ only: [String]) throws -> [Run] {
    guard !only.isEmpty else { return runs }
    func isMeant(_ run: Run, _ pattern: String) -> Bool {
      PipelineTree.matches(pattern.contains("/") ? "\(run.name)/seed-\(run.seed)" : run.name, pattern)
    }
    if let idle = only.first(where: { pattern in !runs.contains { isMeant($0, pattern) } }) {
      throw MartletError(
        .configuration, "\(path): --only \(idle): names no case; there are \(cases.map(\.name).joined(separator: ", "))"
      )
    }
    return runs.filter { run in only.contains { isMeant(run, $0) } }
  }

  private func makeFolder() throws {
    do {
      try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    } catch {
      throw MartletError(.io, "\(root): cannot be made: \(error.localizedDescription); check the folder above it")
    }
    let tree = try ConfigurationTree(encoding: file)
    try writeFileAtomically(Data(tree.yaml().utf8), to: root + "/ablation.yaml")
  }

  /// How far a run has come; needs no lock.
  private func state(_ run: Run) throws -> Outcome? {
    guard let mark = try Mark.read(run.folder), mark.isFinished, mark.identity == run.identity,
      FileManager.default.fileExists(atPath: episodes(of: run))
    else { return nil }
    return .finished
  }

  /// Reads the episodes that the table is made from.
  func episodes(of run: Run) -> String { "\(run.folder)/\(file.row)/episodes/eval.jsonl" }

  private func work(on run: Run, context: StageContext) throws -> Outcome {
    if let known = try state(run) {
      context.onEvent(.note("\(run.folder) is finished"))
      return known
    }
    let folder: RunFolder
    do { folder = try RunFolder(run.folder, resume: true) } catch let error as MartletError
      where error.status == .tryAgain
    { return .busy }
    try claim(run, folder, context)
    do {
      try adoptStages(of: run, context: context)
      _ = try PipelineFile.run(run.request, in: folder, context: context.with(resume: true))
      try Mark(identity: run.identity, isFinished: true).write(run.folder)
      return .finished
    } catch let error as MartletError {
      return .failed(error)
    }
  }

  /// Marks the folder, whose lock we hold, with what the run is made with.
  private func claim(_ run: Run, _ folder: RunFolder, _ context: StageContext) throws {
    let isOther: Bool
    if let mark = try? Mark.read(run.folder) {
      isOther = mark.identity != run.identity
      if isOther, !context.anew {
        let changes = run.identity.changes(from: mark.identity).prefix(4).map(\.text).joined(separator: "; ")
        throw MartletError(
          .configuration,
          "\(run.folder): was made with something else (\(changes)); take the change back, name another run, or give "
            + "--anew to make it again")
      }
    } else {
      isOther = !RunFolder.contents(run.folder).isEmpty
      if isOther, !context.anew {
        throw MartletError(
          .configuration,
          "\(run.folder): holds a run without a record of what it was made with; remove it, or give --anew to "
            + "make it again")
      }
    }
    if isOther {
      context.onEvent(.note("\(run.folder) is made anew"))
      for name in RunFolder.contents(run.folder) { try FileManager.default.removeItem(atPath: folder.file(name)) }
    }
    try Mark(identity: run.identity, isFinished: false).write(run.folder)
  }

  private func write(_ table: AblationTable) throws {
    try writeFileAtomically(Data(table.text.utf8), to: root + "/ablation.txt")
    try writeFileAtomically(table.json(), to: root + "/ablation.json")
    try writeFileAtomically(Data(table.picture.utf8), to: root + "/ablation.svg")
    _ = try ReportWriter.write(run: root)
  }
}

extension Ablation {
  /// What each case changes, in words.
  public var effects: [String] { cases.map(\.text) }
}

extension Ablation.Resolved {
  /// What the case changes, one line for each value.
  var text: String {
    guard !effect.isEmpty else { return "case \(name): the pipeline as it stands" }
    return "case \(name):\n"
      + effect.map { stage, changes in changes.map { "  \(stage): \($0.text)" }.joined(separator: "\n") }.joined(
        separator: "\n")
  }
}
