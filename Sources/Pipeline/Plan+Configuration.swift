import Checkpoint
import Foundation
import Rollout
import Tensor
import Transformer

extension Plan {
  /// The plan of one stage, from its configuration alone: nothing is allocated, of the model only the header is read.
  /// - Parameters:
  ///   - kind: nil: what the keys look like.
  ///   - readsData: count the tokens of the stage's data, where it is there; else as many as the keys allow are assumed.
  /// - Throws: `MartletError` when the model's header cannot be read.
  public static func of(
    _ configuration: Configuration, kind: StageKind?, threads: Int = WorkerPool.physicalCoreCount,
    speed: MachineSpeed? = nil, readsData: Bool = true
  ) throws -> Plan {
    let kind = kind ?? guess(configuration)
    var shape = try shape(of: configuration)
    let trains = kind == .sft || kind == .rft || kind == .rl
    let samples = kind != .sft
    if trains, configuration.lora.rank > 0 { shape.adapters = configuration.lora }
    var prompts = configuration.promptsPerStep
    if kind == .eval || kind == .rft {
      prompts = try (configuration.data + configuration.evalData).reduce(0) { count, path in
        FileManager.default.fileExists(atPath: path) ? count + (try Problem.readFile(path).count) : count
      }
    }
    let responses = samples ? prompts * configuration.samplesPerPrompt : configuration.updateBatch
    var input = PlanInput(
      model: shape, trains: trains, samples: samples, optimizer: configuration.optimizer.kind,
      optimizerState: configuration.optimizer.state,
      gradientShards: configuration.gradientShards, microBatchTokens: configuration.microBatchTokens,
      slots: configuration.slots,
      maxSequenceTokens: min(shape.contextLength, configuration.sampling.maxTokens + promptAllowance),
      promptsPerStep: max(1, prompts), samplesPerPrompt: configuration.samplesPerPrompt,
      updateBatch: configuration.updateBatch, responses: max(1, responses),
      hasReferenceModel: kind == .rl && configuration.loss.requiresReference,
      recompute: configuration.recompute, threads: threads)
    let (lengths, defect) = readsData ? try lengths(configuration, kind) : (nil, nil)
    if let lengths {
      input.maxSequenceTokens = lengths.longest
      (input.rows, input.targets) = (lengths.rows, lengths.targets)
    } else if kind == .sft {
      input.maxSequenceTokens = min(shape.contextLength, configuration.microBatchTokens)
    }
    input.slots = min(input.slots, input.responses)
    input.referenceSharesWeights = ReferenceModel.sharesWeights(configuration)
    var plan = Plan(input, speed: speed)
    if samples, configuration.sampling.maxTokens >= shape.contextLength {
      plan.refusals.append(
        "sampling.max_tokens \(configuration.sampling.maxTokens) leaves no room for a prompt in the model's context of "
          + "\(shape.contextLength) tokens; lower it")
    }
    if let defect { plan.refusals.append(defect) }
    if let first = lengths?.overlong.first {
      let count = lengths?.overlong.count ?? 0
      switch configuration.prompt.overlong {
      case .error: plan.refusals.append(first.message)
      case .skip: plan.notes.append("left out: problems whose prompts leave no room for a response, \(count) of them")
      }
    }
    return plan
  }

  /// The data's lengths, or what is wrong with it.
  private static func lengths(_ configuration: Configuration, _ kind: StageKind) throws -> (PlanLengths?, String?) {
    do {
      return (try PlanLengths(configuration, kind: kind), nil)
    } catch let error as MartletError where error.status == .data {
      return (nil, error.message)
    }
  }

  /// Tokens that a prompt is taken to have.
  private static let promptAllowance = 1024

  private static func guess(_ configuration: Configuration) -> StageKind {
    if configuration.steps == 0 { return .eval }
    if configuration.loss.kind == .sft { return .sft }
    return .rl
  }

  private static func shape(of configuration: Configuration) throws -> ModelConfiguration {
    if let path = configuration.model { return try ModelSource.header(path).configuration }
    guard let new = configuration.newModel else {
      throw MartletError(.configuration, "model: is missing; name a model, or describe one under new_model")
    }
    var shape = new.shape
    if shape.vocabularySize == 1 {
      let path = new.tokenizer + "/tokenizer.json"
      guard let json = FileManager.default.contents(atPath: path) else {
        throw MartletError(.configuration, "new_model.tokenizer: \(path) cannot be read")
      }
      shape.vocabularySize = try Tokenizer(json: json, path: path).vocabularyCount
    }
    return shape
  }
}
