import Checkpoint
import Foundation
import PPO
import Rollout
import Tensor
import Transformer

/// What a training stage must remember beside weights and moments.
struct TrainingState: Codable, Equatable {
  /// Steps done.
  var step = 0
  /// Adaptive KL coefficient, where there is one.
  var kl: AdaptiveKLController?
  /// The share of right answers a problem had when it was sampled last, by id; nil: nobody asks for it.
  var successRates: [String: Double]?
  /// The best evaluation so far; nil: none was made.
  var best: Best?

  struct Best: Codable, Equatable {
    var step: Int
    var accuracy: Double
  }
}

/// The part that all training stages share: the model with its optimizer, the folder, metrics, checkpoints.
final class TrainingRun {
  let configuration: Configuration
  let context: StageContext
  let folder: RunFolder
  let loaded: LoadedModel
  let learner: Learner
  let metrics: MetricsWriter
  var state = TrainingState()
  private var failedSaves = 0
  /// The step of the newest checkpoint; -1: none.
  private var savedStep = -1

  init(_ configuration: Configuration, folder: RunFolder, context: StageContext) throws {
    self.configuration = configuration
    self.context = context
    self.folder = folder
    let valueHead = configuration.loss.advantage.requiresValues
    let last = try context.resume ? StepCheckpoint.latest(run: folder.path) { context.onEvent(.warning($0)) } : nil
    if let last {
      let (shape, files) = try last.configuration()
      loaded = try LoadedModel(
        stored: StoredModel(model: LanguageModel(configuration: shape), files: files), path: last.folder)
    } else {
      let made = try LoadedModel.make(configuration, valueHead: valueHead, pool: context.pool)
      loaded = configuration.lora.rank == 0 ? made : try made.adapted(configuration.lora, seed: configuration.seed)
    }
    learner = Learner(model: loaded.model, configuration: configuration, pool: context.pool)
    if let last {
      let bytes = try last.restore(into: loaded.model, optimizer: learner.optimizer)
      do {
        state = try JSONDecoder().decode(TrainingState.self, from: bytes)
      } catch {
        throw MartletError(
          .data, "\(last.folder): its training state cannot be read; remove this folder to use an older one")
      }
      savedStep = state.step
      learner.pass.weightsChanged()
      context.onEvent(.note("resumed from \(last.folder)"))
    }
    metrics = try MetricsWriter(run: folder.path, resumeAfter: context.resume ? state.step : nil)
    try folder.keep(configuration)
  }

  var isDone: Bool { state.step >= configuration.steps }

  /// The state's identity: what is trained, moments, counters.
  func hash() -> String {
    let buffers = [loaded.model.trainableWeights, learner.optimizer.firstMoment, learner.optimizer.secondMoment]
      .compactMap(
        \.self)
    return stateHash(buffers, counters: [state.step, learner.optimizer.step], pool: context.pool)
  }

  /// Ends a step: counts it, writes its metrics, saves when it is time, stops when somebody asked to.
  /// - Parameter saves: whether it is time in any case.
  /// - Returns: whether a checkpoint was written.
  @discardableResult
  func finishStep(_ line: Metrics, saves: Bool = false) throws -> Bool {
    state.step += 1
    var line = line
    line["state_hash"] = .string(hash())
    try metrics.write(line)
    context.onEvent(.step(line))
    let stops = context.isCancelled
    var saved = false
    if stops || saves || (configuration.saveEvery > 0 && state.step % configuration.saveEvery == 0 && !isDone) {
      saved = try save(last: stops)
    }
    try context.checkCancelled()
    return saved
  }

  /// A failed save is reported and training goes on; three in a row, or the last, end it.
  /// - Returns: whether it is written.
  @discardableResult
  func save(last: Bool) throws -> Bool {
    if savedStep == state.step { return true }
    do {
      _ = try StepCheckpoint.write(
        run: folder.path, step: state.step, model: loaded.model, files: loaded.files, optimizer: learner.optimizer,
        state: try JSONEncoder().encode(state), keepLast: configuration.keepLast == 0 ? .max : configuration.keepLast,
        keepEvery: configuration.keepEvery, alsoKeep: state.best?.step)
      failedSaves = 0
      savedStep = state.step
      return true
    } catch let error as MartletError {
      failedSaves += 1
      if last || failedSaves >= 3 { throw error }
      context.onEvent(.warning("\(error.message); training goes on (failed save \(failedSaves) of 3)"))
      return false
    }
  }

  /// Leaves model.h5: without the optimizer, adapters merged into the weights.
  func finish() throws {
    try ModelFile.write(loaded.model.merged(pool: context.pool), files: loaded.files, to: folder.modelFile)
    metrics.close()
  }
}
