import Checkpoint
import Foundation
import Rollout
import Support
import Tensor
import Tokenization
import Transformer

extension Plan {
  /// A part of a stage's work that is in memory at the same time.
  private struct Phase {
    let name: String
    let trains, samples: Bool
    /// Its data, where that is not the stage's own.
    let configuration: Configuration
    /// The kind of stage that its data is read for.
    let kind: StageKind
    /// The shape of the model at work, where that is not the stage's own.
    var shape: ModelConfiguration?
  }

  /// The plan of one stage, from its configuration alone: nothing is allocated, and only the model's header is read.
  ///
  /// A stage may sample first and train afterwards, or evaluate at its end. It frees one phase's memory before the next
  /// begins, so the plan is that of the largest phase.
  /// - Parameters:
  ///   - readsData: whether to count the tokens of the stage's data, if it is there. Otherwise sequences are as long as
  ///     the keys allow.
  ///   - longest: tokens of the longest training example, where the data is not there yet.
  /// - Throws: `MartletError` when the model's header cannot be read.
  public static func of(
    _ configuration: Configuration, kind: StageKind, threads: Int = WorkerPool.physicalCoreCount,
    speed: MachineSpeed? = nil, readsData: Bool = true, longest: Int? = nil
  ) throws -> Plan {
    let shape = try shape(of: configuration)
    let phases = try phases(of: configuration, kind: kind)
    let found = try phases.map { readsData ? try lengths($0) : (nil, nil) }
    let plans = try zip(phases, found).map { phase, found in
      var input = try input(phase, stage: kind, shape: phase.shape ?? shape, threads: threads, lengths: found.0)
      if let longest, phase.kind == .sft, input.rows == nil { input.maxSequenceTokens = longest }
      return Plan(input, speed: speed)
    }
    guard let largest = plans.indices.max(by: { plans[$0].peakBytes < plans[$1].peakBytes }) else {
      preconditionFailure("Plan.of: \(kind) has no phase")
    }
    var plan = plans[largest]
    plan.stage = kind
    plan.recomputes = plans.contains(where: \.recomputes)
    plan.samplingSecondsPerStep = plans.compactMap(\.samplingSecondsPerStep).first
    // Each round may write a whole response again.
    if kind == .eval { plan.samplingSecondsPerStep? *= Double(1 + configuration.testHints.rounds) }
    plan.updateSecondsPerStep = plans.compactMap(\.updateSecondsPerStep).first
    if phases.count > 1 {
      plan.notes.append("of \(phases.map(\.name).joined(separator: ", ")), \(phases[largest].name) takes most")
    }
    if phases.contains(where: \.samples), configuration.sampling.maxTokens >= shape.contextLength {
      plan.notes.append(
        "sampling.max_tokens \(configuration.sampling.maxTokens): a response ends earlier, when the model's context of "
          + "\(shape.contextLength) tokens is full")
    }
    plan.refusals += found.compactMap(\.1)
    let overlong = found.flatMap { $0.0?.overlong ?? [] }
    if let first = overlong.first {
      switch configuration.prompt.overlong {
      case .error: plan.refusals.append(first.message)
      case .skip:
        let places = Set(overlong.map(\.place))  // rft's phases read the same file
        plan.notes.append("left out: problems whose prompts leave no room for a response, \(places.count) of them")
      }
    }
    return plan
  }

  private static func phases(of configuration: Configuration, kind: StageKind) throws -> [Phase] {
    func phase(_ name: String, trains: Bool, samples: Bool, _ kind: StageKind, data: [String]? = nil) -> Phase {
      var own = configuration
      if let data { own.data = data }
      return Phase(name: name, trains: trains, samples: samples, configuration: own, kind: kind)
    }
    let evaluation =
      configuration.evalData.isEmpty
      ? [] : [phase("evaluation", trains: false, samples: true, .eval, data: configuration.evalData)]
    switch kind {
    case .sft: return [phase("training", trains: true, samples: false, .sft)] + evaluation
    case .rl: return [phase("training", trains: true, samples: true, .rl)] + evaluation
    case .hint: return [phase("sampling", trains: false, samples: true, .hint)]
    case .rft:
      var sampling = phase("sampling", trains: false, samples: true, .rft)
      sampling.shape = try configuration.teacher.map { try ModelSource.header($0).configuration }
      return [sampling, phase("training", trains: true, samples: false, .rft)] + evaluation
    case .eval:
      let data = configuration.data + configuration.evalData
      return [phase("evaluation", trains: false, samples: true, .eval, data: data)]
    }
  }

  private static func input(
    _ phase: Phase, stage: StageKind, shape plain: ModelConfiguration, threads: Int, lengths: PlanLengths?
  ) throws -> PlanInput {
    let configuration = phase.configuration
    var shape = plain
    if phase.trains, configuration.lora.rank > 0 { shape.adapters = configuration.lora }
    if stage == .rl, phase.trains, configuration.loss.advantage.requiresValues { shape.valueHead = true }
    let prompts = try prompts(phase)
    let samples = stage == .rl && phase.trains ? configuration.sampledPerPrompt : configuration.samplesPerPrompt
    let responses = phase.samples ? prompts * samples : configuration.updateBatch
    var input = PlanInput(
      model: shape, trains: phase.trains, samples: phase.samples,
      maxSequenceTokens: min(shape.contextLength, configuration.sampling.maxTokens + promptAllowance))
    (input.optimizer, input.optimizerState) = (configuration.optimizer.kind, configuration.optimizer.state)
    input.gradientShards = configuration.gradientShards
    input.microBatchTokens = configuration.microBatchTokens
    input.slots = configuration.slots
    (input.promptsPerStep, input.samplesPerPrompt) = (max(1, prompts), samples)
    if samples != configuration.samplesPerPrompt { input.learntResponses = prompts * configuration.samplesPerPrompt }
    (input.updateBatch, input.responses) = (configuration.updateBatch, max(1, responses))
    input.hasReferenceModel = stage == .rl && phase.trains && configuration.loss.requiresReference
    if stage == .rl, phase.trains {
      input.reference = try configuration.refModel.map { try ModelSource.header($0).configuration }
      input.teacher = try configuration.teacher.map { try ModelSource.header($0).configuration }
    }
    input.recompute = configuration.recompute
    input.threads = threads
    if let lengths {
      input.maxSequenceTokens = lengths.longest
      (input.rows, input.targets) = (lengths.rows, lengths.targets)
    } else if phase.kind == .sft {
      input.maxSequenceTokens = min(shape.contextLength, configuration.microBatchTokens)
    }
    let together = stage == .rl && configuration.evalEvery > 0 ? try count(configuration.evalData) : 0
    input.slots = min(input.slots, max(input.responses, together))
    input.referenceSharesWeights = ReferenceModel.sharesWeights(configuration)
    return input
  }

  /// How many prompts are sampled together.
  private static func prompts(_ phase: Phase) throws -> Int {
    let configuration = phase.configuration
    switch phase.kind {
    case .eval, .rft: return try count(configuration.data)
    case .hint where configuration.hint.edits != nil: return try count(configuration.data)
    case .rl, .hint, .sft: return configuration.promptsPerStep
    }
  }

  /// How many problems the files hold, as far as they are there.
  private static func count(_ paths: [String]) throws -> Int {
    try paths.reduce(0) { count, path in
      FileManager.default.fileExists(atPath: path) ? count + (try Problem.readFile(path).count) : count
    }
  }

  /// The data's lengths, or what is wrong with it.
  private static func lengths(_ phase: Phase) throws -> (PlanLengths?, String?) {
    do {
      return (try PlanLengths(phase.configuration, kind: phase.kind), nil)
    } catch let error as MartletError where error.status == .data {
      return (nil, error.message)
    }
  }

  /// The length that a prompt is assumed to have.
  private static let promptAllowance = 1024

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
