import Checkpoint
import Foundation
import PPO
import Reports
import Rollout
import Support
import Transformer

/// What a training stage remembers besides weights and moments.
struct TrainingState: Codable, Equatable {
  /// Steps done.
  var step = 0
  /// The next place in the endless order of examples or problems; nil in checkpoints of older versions.
  var place: Int?
  /// Adaptive KL coefficient, where there is one.
  var kl: AdaptiveKLController?
  /// Each problem's success rate when it was last sampled, by id; nil: not needed.
  var successRates: [String: Double]?
  /// The best evaluation so far; nil: there was none.
  var best: Best?

  struct Best: Codable, Equatable {
    var step: Int
    var accuracy: Double
  }
}

/// What all training stages share: the model with its optimizer, the run's folder, metrics, checkpoints.
final class TrainingRun {
  let configuration: Configuration
  let context: StageContext
  let folder: RunFolder
  let loaded: LoadedModel
  let learner: Learner
  let metrics: MetricsWriter
  var state = TrainingState()
  /// ``hash()`` after the last step; nil: this process has not made a step yet.
  private(set) var lastHash: String?
  private let saver: CheckpointWriter
  private var lastSave = ContinuousClock.now
  /// The step of the newest checkpoint that is whole; -1: none.
  var savedStep: Int { saver.savedStep }

  init(_ configuration: Configuration, folder: RunFolder, context: StageContext) throws {
    self.configuration = configuration
    self.context = context
    self.folder = folder
    var decided = configuration
    if configuration.recompute == .auto,
      try Plan.of(
        configuration, kind: configuration.loss.kind == .sft ? .sft : .rl, readsData: false
      ).recomputes
    {
      decided.recompute = .layers
      context.onEvent(.note("activations would not fit the free memory: layers run again in the backward pass"))
    }
    let valueHead = configuration.loss.advantage.requiresValues
    let last = try context.resume ? StepCheckpoint.latest(run: folder.path) { context.onEvent(.warning($0)) } : nil
    if let last {
      let (shape, files) = try last.configuration()
      loaded = try LoadedModel(
        stored: StoredModel(model: LanguageModel(configuration: shape), files: files), path: last.folder)
    } else {
      loaded = try LoadedModel.makeTrainable(configuration, valueHead: valueHead, pool: context.pool)
    }
    learner = Learner(model: loaded.model, configuration: decided, pool: context.pool)
    learner.timer = context.timer
    saver = CheckpointWriter(run: folder.path, configuration: configuration, onEvent: context.onEvent)
    learner.beforeUpdate = { [saver] in try saver.finish() }
    if let last {
      let bytes = try last.restore(into: loaded.model, optimizer: learner.optimizer)
      do {
        state = try JSONDecoder().decode(TrainingState.self, from: bytes)
      } catch {
        throw MartletError(
          .data, "\(last.folder): its training state cannot be read; remove this folder to use an older one")
      }
      saver.savedStep = state.step
      learner.pass.weightsChanged()
      context.onEvent(.note("resumed from \(last.folder)"))
    }
    metrics = try MetricsWriter(run: folder.path, resumeAfter: context.resume ? state.step : nil)
    try folder.commit(fromStep: state.step + 1, context: context)
    context.onEvent(.note(Self.costOfKill(configuration)))
    reportSteps()
  }

  private func reportSteps() {
    context.onEvent(.steps(Progress(what: "step", done: state.step, total: configuration.steps, unit: "")))
  }

  /// Reports how far the learner's next update comes.
  /// - Parameters:
  ///   - start: how many of the step's `count` samples earlier updates took.
  func announceUpdate(from start: Int = 0, of count: Int) {
    var done = start
    learner.onMicroBatch = { [context] samples in
      done += samples
      context.onEvent(.progress(Progress(what: "update", done: done, total: count, unit: "samples")))
    }
  }

  /// What is lost when the process is killed.
  private static func costOfKill(_ configuration: Configuration) -> String {
    let steps = configuration.saveEvery
    let pauses =
      (configuration.saveMinutes > 0 ? ["\(shortNumber(configuration.saveMinutes)) minutes"] : [])
      + (steps > 0 ? [steps == 1 ? "step" : "\(steps) steps"] : [])
    guard !pauses.isEmpty else {
      return "nothing is saved before the end (save_minutes and save_every are 0): a kill costs all"
    }
    return "saved every \(pauses.joined(separator: " and every ")): a kill costs at most that and the current step"
  }

  var isDone: Bool { state.step >= configuration.steps }

  /// The identity of the training state: trained weights, moments, counters.
  func hash() -> String {
    let buffers = [loaded.model.trainableWeights] + learner.optimizer.stateBuffers
    return stateHash(buffers, counters: [state.step, learner.optimizer.step], pool: context.pool)
  }

  /// Ends a step: counts it, writes its metrics, saves if it is time, and stops if somebody asked to.
  /// - Throws: `Interrupted` after saving; `MartletError` (io).
  /// - Parameter saves: whether to save in any case.
  func finishStep(_ line: Metrics, saves: Bool = false) throws {
    state.step += 1
    var line = line
    if let timer = context.timer { line.add(profile: timer.take()) }
    let hash = hash()
    lastHash = hash
    line["state_hash"] = .string(hash)
    try metrics.write(line)
    reportSteps()
    context.onEvent(.step(line))
    context.timer?.begin(.checkpoint)
    defer { context.timer?.begin(.other) }
    if context.isCancelled {
      try saveNow()
    } else if saves || (!isDone && isTimeToSave) {
      lastSave = .now
      try saver.start(contents())
    }
    try context.checkCancelled()
  }

  private var isTimeToSave: Bool {
    if configuration.saveEvery > 0, state.step % configuration.saveEvery == 0 { return true }
    guard configuration.saveMinutes > 0 else { return false }
    return ContinuousClock.now - lastSave >= .seconds(60 * configuration.saveMinutes)
  }

  /// Saves, and returns when the checkpoint is on the disk.
  func saveNow() throws {
    try saver.finish()
    guard savedStep != state.step else { return }
    context.onEvent(.phase("saving"))
    try saver.write(contents())
  }

  private func contents() throws -> CheckpointWriter.Contents {
    // Sorted keys, so that the same run leaves the same bytes.
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return CheckpointWriter.Contents(
      step: state.step, model: loaded.model, files: loaded.files, optimizer: learner.optimizer,
      state: try encoder.encode(state), best: state.best?.step)
  }

  /// Leaves the last step's checkpoint, from which more steps can be made, and model.h5: without optimizer state, with
  /// adapters merged. This object cannot train afterwards.
  func finish() throws {
    if configuration.saveEvery > 0 || configuration.saveMinutes > 0 { try saveNow() } else { try saver.finish() }
    context.onEvent(.phase("saving"))
    try ModelFile.write(loaded.model.mergedInPlace(pool: context.pool), files: loaded.files, to: folder.modelFile)
    metrics.close()
    try folder.finish(step: state.step)
  }
}
