import Checkpoint
import Foundation
import Reports
import Support
import Tensor
import Transformer

/// Writes checkpoints in the background, one at a time.
///
/// Weights and moments are read in place, without a copy: nothing changes them between two optimizer steps, and
/// ``finish()`` is called before each. So a checkpoint is written while the next step samples and computes its
/// gradients.
final class CheckpointWriter {
  /// What a checkpoint holds. Weights and moments must not change until it is written.
  struct Contents: @unchecked Sendable {
    var step: Int
    var model: LanguageModel
    var files: ModelFiles
    var optimizer: Optimizer
    var state: Data
    /// A step whose checkpoint is always kept.
    var best: Int?
  }

  /// The step of the newest checkpoint that is whole; -1: none.
  var savedStep = -1
  private let run: String
  private let configuration: Configuration
  private let onEvent: EventHandler
  private var failures = 0
  private var underWay: Writing?

  private final class Writing: @unchecked Sendable {
    let done = DispatchSemaphore(value: 0)
    let step: Int
    /// Set before `done` is signalled.
    var error: (any Error)?
    init(step: Int) { self.step = step }
  }

  init(run: String, configuration: Configuration, onEvent: @escaping EventHandler) {
    self.run = run
    self.configuration = configuration
    self.onEvent = onEvent
  }

  // Nothing may be freed while it is still read.
  deinit { underWay?.done.wait() }

  /// Begins to write, once the checkpoint before is done.
  /// - Throws: as ``finish()``.
  func start(_ contents: Contents) throws {
    try finish()
    let writing = Writing(step: contents.step)
    underWay = writing
    let (run, configuration) = (run, configuration)
    Thread.detachNewThread {
      do { try Self.write(contents, run: run, configuration) } catch { writing.error = error }
      writing.done.signal()
    }
  }

  /// Waits until the checkpoint that was begun is on the disk. A failed save is reported and training continues; three
  /// in a row end it.
  /// - Throws: `MartletError` (io) for the third.
  func finish() throws {
    guard let writing = underWay else { return }
    writing.done.wait()
    underWay = nil
    guard let error = writing.error else {
      failures = 0
      savedStep = writing.step
      return
    }
    failures += 1
    guard failures < 3, let error = error as? MartletError else { throw error }
    onEvent(.warning("\(error.message); training goes on (failed save \(failures) of 3)"))
  }

  /// Writes and waits.
  /// - Throws: `MartletError` (io).
  func write(_ contents: Contents) throws {
    try Self.write(contents, run: run, configuration)
    savedStep = contents.step
  }

  private static func write(_ contents: Contents, run: String, _ configuration: Configuration) throws {
    try StepCheckpoint.write(
      run: run, step: contents.step, model: contents.model, files: contents.files, optimizer: contents.optimizer,
      state: contents.state,
      keeping: .init(
        last: configuration.keepLast == 0 ? .max : configuration.keepLast, every: configuration.keepEvery,
        also: contents.best))
  }
}
