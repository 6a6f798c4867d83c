import Checkpoint
import Foundation
import PPO
import Support
import Synchronization
import Tensor
import TestSupport
import Testing
import Transformer
@testable import Reports

@testable import Training

/// Checkpoints that are written while the training goes on.
@Suite struct CheckpointWriterTests {
  private let folder: ScratchFolder
  private let warnings = Warnings()

  private final class Warnings: Sendable {
    let texts = Mutex<[String]>([])
  }

  init() throws { folder = try ScratchFolder() }

  private func run() throws -> TrainingRun {
    var configuration = Configuration()
    configuration.newModel = .init(
      tokenizer: TrainProgram.root + "/configs/demo",
      shape: ModelConfiguration(
        architecture: .qwen2, hiddenSize: 24, intermediateSize: 40, layerCount: 2, heads: .init(4, keyValue: 2),
        vocabularySize: 1, contextLength: 64))
    configuration.steps = 100
    configuration.saveEvery = 1
    configuration.loss.kind = .sft
    let context = StageContext(
      threads: 2,
      onEvent: { [warnings] event in
        if case .warning(let text) = event { warnings.texts.withLock { $0.append(text) } }
      })
    return try TrainingRun(configuration, folder: RunFolder(folder.path + "/run", resume: false), context: context)
  }

  private func sample() -> LearningSample {
    LearningSample(
      tokens: [1, 2, 3, 4], responseStart: 0,
      policy: PolicySample(
        group: 0, reward: 0, responseMask: [false, true, true, true], oldLogProbs: [0, 0, 0, 0]),
      advantages: [0, 0, 0, 0])
  }

  /// What a step folder holds is what there was when its writing began, though the next step came at once.
  @Test func noUpdateOvertakesACheckpoint() throws {
    let run = try run()
    for step in 1...4 {
      _ = try run.learner.update([sample()], weights: [1.0 / 3], totalSteps: 100)
      #expect(run.savedStep == (step == 1 ? -1 : step - 1), "an update must wait for the checkpoint before it")
      try run.finishStep(Metrics())
      let wanted = weightsHash(run.loaded.model)
      _ = try run.learner.update([sample()], weights: [1.0 / 3], totalSteps: 100)
      #expect(run.savedStep == step && weightsHash(run.loaded.model) != wanted)
      let name = "/run/step-0000000\(step)"
      let stored = try StepCheckpoint.open(folder.path + name).configuration()
      let found = LanguageModel(configuration: stored.0)
      let optimizer = Optimizer(
        settings: run.configuration.optimizer, parameterCount: run.learner.gradients.count)
      _ = try StepCheckpoint.open(folder.path + name).restore(into: found, optimizer: optimizer)
      #expect(weightsHash(found) == wanted && optimizer.step == 2 * step - 1)
    }
  }

  @Test func nothingChangesWhenTheCheckpointBeforeFails() throws {
    let run = try run()
    let before = run.hash()
    run.learner.beforeUpdate = { throw MartletError(.io, "the disk is gone") }
    #expect(throws: MartletError.self) {
      _ = try run.learner.update([sample()], weights: [1.0 / 3], totalSteps: 100)
    }
    #expect(run.hash() == before)
  }

  @Test func theThirdFailureInARowEndsIt() throws {
    let run = try run()
    // Where the folder of the run was there is a file.
    try FileManager.default.moveItem(atPath: folder.path + "/run", toPath: folder.path + "/away")
    try Data("in the way".utf8).write(to: URL(fileURLWithPath: folder.path + "/run"))
    try run.finishStep(Metrics())
    try run.finishStep(Metrics())
    try run.finishStep(Metrics())
    #expect(warnings.texts.withLock { $0.count } == 2)
    #expect(throws: MartletError.self) { try run.finishStep(Metrics()) }
    #expect(run.savedStep == -1)
  }
}
