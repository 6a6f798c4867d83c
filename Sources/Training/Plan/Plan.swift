import Reports
import Support
import Tensor
import Transformer

/// What a plan is made from: plain numbers of a configuration.
public struct PlanInput: Sendable {
  /// The model's shape.
  public var model: ModelConfiguration
  /// Whether weights are updated (sft, rft, rl).
  public var trains: Bool
  /// Whether responses are sampled (rl, eval, hint, rft).
  public var samples: Bool
  /// Tokens of the longest sequence, prompt included.
  public var maxSequenceTokens: Int
  /// Which optimizer steps the weights.
  public var optimizer = OptimizerKind.adamw
  /// How its moments are stored.
  public var optimizerState = OptimizerState.float32
  /// Parts that a gradient is summed in.
  public var gradientShards = 1
  /// Packed rows of a micro-batch; one longer sequence is taken whole.
  public var microBatchTokens = 4096
  /// Packed rows of the largest micro-batch, and its targets, where they are known; nil: what the budget allows.
  public var rows, targets: Int?
  /// Sequences that the sampler has open at once.
  public var slots = 64
  /// Prompts of a rollout step.
  public var promptsPerStep = 0
  /// Responses to each prompt.
  public var samplesPerPrompt = 1
  /// Responses of one optimizer step.
  public var updateBatch = 1
  /// Responses sampled in one step: 0 for fine-tuning on given data.
  public var responses = 0
  /// How many of them are learnt from; nil: all.
  public var learntResponses: Int?
  /// Whether a frozen reference scores the samples.
  public var hasReferenceModel = false
  /// The reference's shape; nil: the model's.
  public var reference: ModelConfiguration?
  /// Whether the reference's weights are the policy's own, without adapters.
  public var referenceSharesWeights = false
  /// The shape of the teacher that scores the samples; nil: there is none.
  public var teacher: ModelConfiguration?
  /// Whether layers are run again in the backward pass.
  public var recompute = Recomputation.auto
  /// Worker threads.
  public var threads = WorkerPool.physicalCoreCount

  /// Everything else has its default.
  public init(model: ModelConfiguration, trains: Bool, samples: Bool, maxSequenceTokens: Int) {
    self.model = model
    self.trains = trains
    self.samples = samples
    self.maxSequenceTokens = maxSequenceTokens
  }
}

/// Memory and time of a run, before anything is allocated.
public struct Plan: Codable, Sendable, Equatable {
  /// The memory of one part of the work.
  public struct Part: Codable, Sendable, Equatable {
    /// Which part.
    public var name: String
    /// Bytes at most.
    public var bytes: Int
  }

  /// The stage it is for; nil: made from plain numbers.
  public var stage: StageKind?
  /// The parts that take memory, with their bytes at most.
  public var parts: [Part]
  /// The sum of the parts.
  public var peakBytes: Int
  /// Bytes that may be taken.
  public var availableBytes: Int
  /// Whether layers are run again in the backward pass, because it was asked for or nothing else fits.
  public var recomputes: Bool
  /// Every response as long as allowed, at the speed of a large matrix product; null when nothing was measured.
  public var samplingSecondsPerStep: Double?
  /// The same for the optimizer's part of a step.
  public var updateSecondsPerStep: Double?
  /// Why this cannot run, each with a remedy. Empty: it can.
  public var refusals: [String]
  /// What else there is to know.
  public var notes: [String]

  /// Whether the run is possible.
  public var fits: Bool { refusals.isEmpty }

  enum CodingKeys: String, CodingKey {
    case stage, parts
    case peakBytes = "peak_bytes"
    case availableBytes = "available_bytes"
    case recomputes
    case samplingSecondsPerStep = "sampling_seconds_per_step"
    case updateSecondsPerStep = "update_seconds_per_step"
    case refusals, notes
  }

  /// - Parameters:
  ///   - availableBytes: what may be taken.
  ///   - speed: measured, for the times.
  public init(_ input: PlanInput, availableBytes: Int = MachineMemory.available(), speed: MachineSpeed? = nil) {
    let scale = ModelScale(input.model)
    var parts = Self.parts(input, scale, recomputes: false)
    func sum() -> Int { parts.reduce(0) { $0 + $1.bytes } }
    recomputes = input.trains && (input.recompute == .layers || (input.recompute == .auto && sum() > availableBytes))
    if recomputes { parts = Self.parts(input, scale, recomputes: true) }
    self.parts = parts
    peakBytes = sum()
    self.availableBytes = availableBytes
    refusals = Self.impossible(input)
    notes = Self.notes(input, scale)
    if recomputes { notes.append("only the input of each layer is kept; the layer runs again in the backward pass") }
    if peakBytes > availableBytes {
      let largest = parts.sorted { $0.bytes > $1.bytes }.prefix(3).map { "\($0.name) \(byteText($0.bytes))" }
      refusals.append(
        "memory: \(byteText(peakBytes)) are needed and \(byteText(availableBytes)) are free "
          + "(\(largest.joined(separator: ", "))); " + Self.remedy(parts, input, excess: peakBytes - availableBytes))
    }
    guard let speed else { return }
    let flops = speed.gflops * 1e9
    let tokens = Double(input.maxSequenceTokens)
    // On average a position attends to half of its sequence.
    let each = scale.forwardOperations(contextLength: input.maxSequenceTokens / 2) + scale.headOperations
    if input.samples { samplingSecondsPerStep = Double(input.responses) * tokens * each / flops }
    if input.trains {
      let learnt = input.learntResponses ?? input.responses
      let rows = Double(learnt > 0 ? learnt : input.updateBatch) * tokens
      let scoring = Self.scorers(input).reduce(0) { sum, scorer in
        let own = ModelScale(scorer.shape)
        return sum + own.forwardOperations(contextLength: input.maxSequenceTokens / 2) + own.headOperations
      }
      updateSecondsPerStep = rows * (each * Double(3 + (recomputes ? 1 : 0)) + scoring) / flops
    }
  }

  private static func parts(_ input: PlanInput, _ scale: ModelScale, recomputes: Bool) -> [Part] {
    var parts = [Part(name: "weights", bytes: scale.weightBytes)]
    func add(_ name: String, _ bytes: Int) { if bytes > 0 { parts.append(Part(name: name, bytes: bytes)) } }
    // Counts whose product is no number any more are beyond any memory: one that is refused as well takes their place.
    let perRow = max(1, scale.activationBytesPerToken(recomputes: recomputes))
    let rows = min(input.rows ?? max(input.microBatchTokens, input.maxSequenceTokens), (1 << 55) / perRow)
    let targets = min(input.targets ?? rows, rows)
    let cached = min(input.slots, max(1, (1 << 60) / (input.maxSequenceTokens * scale.cacheBytesPerToken)))
    var gradientBytes = 0
    if input.trains {
      // S parts are added as a binary tree: ceil(log2 S) sums wait beside the one being made.
      let depth = (0..<62).first { 1 << $0 >= input.gradientShards } ?? 0
      gradientBytes = scale.gradientBytes
      add("gradients", gradientBytes * (1 + depth))
      add(
        "optimizer moments",
        Optimizer.stateBytes(
          OptimizerSettings(kind: input.optimizer, state: input.optimizerState), parameterCount: scale.trainableCount))
      func training(targets: Int) -> Int { scale.trainingBytes(rows: rows, targets: targets, recomputes: recomputes) }
      let activations = scale.activationBytesPerToken(recomputes: recomputes) * rows
      add("activations of a micro-batch", activations)
      add("panels and scratch of training", training(targets: 0) - activations)
      add("logits", training(targets: targets) - training(targets: 0))
    }
    if input.samples {
      // The panels lie in the gradients' memory where there is some.
      add("packed panels of sampling", max(0, scale.packedBytes - gradientBytes))
      add("key and value caches", cached * input.maxSequenceTokens * scale.cacheBytesPerToken)
      add("scratch of sampling", scale.samplingBytes)
    }
    for scorer in scorers(input) {
      let own = ModelScale(scorer.shape)
      if scorer.hasWeights { add("\(scorer.name) weights", own.weightBytes) }
      add("scratch of \(scorer.name) scoring", own.trainingBytes(rows: rows, targets: targets, gradients: false))
    }
    add("the program itself", programBytes)
    return parts
  }

  /// The frozen models that score the samples.
  private static func scorers(_ input: PlanInput) -> [(name: String, shape: ModelConfiguration, hasWeights: Bool)] {
    (input.hasReferenceModel
      ? [("reference", input.reference ?? input.model, !input.referenceSharesWeights)] : [])
      + (input.teacher.map { [("teacher", $0, true)] } ?? [])
  }

  /// Code, libraries with their buffers, a tokenizer, worker threads. Saving adds a few slices.
  static let programBytes = 60_000_000

  private static func impossible(_ input: PlanInput) -> [String] {
    var refusals: [String] = []
    if let problem = input.model.problem { refusals.append("model.\(problem.key): \(problem.message)") }
    if input.maxSequenceTokens > input.model.contextLength {
      refusals.append(
        "sampling.max_tokens: sequences of \(input.maxSequenceTokens) tokens do not fit the model's context of "
          + "\(input.model.contextLength); lower it")
    }
    if input.trains, input.updateBatch < 1 {
      refusals.append("update_batch: \(input.updateBatch) is not a number of responses; give 1 or more")
    }
    return refusals
  }

  private static func notes(_ input: PlanInput, _ scale: ModelScale) -> [String] {
    var notes = ["\(scale.parameterCount) parameters, \(input.threads) threads"]
    if input.trains, input.maxSequenceTokens > input.microBatchTokens {
      notes.append(
        "micro_batch_tokens \(input.microBatchTokens) is below the longest sequence of \(input.maxSequenceTokens) "
          + "tokens, which then is a micro-batch of its own")
    }
    if input.trains, input.samples, input.responses > 0, input.updateBatch > 0 {
      let learnt = input.learntResponses ?? input.responses
      let updates = (learnt + input.updateBatch - 1) / input.updateBatch
      notes.append(
        "\(input.promptsPerStep) prompts x \(input.samplesPerPrompt) samples = \(input.responses) responses a step, "
          + "\(updates) optimizer update\(updates == 1 ? "" : "s")")
    }
    if input.samples { notes.append("the Python interpreters' own memory is not counted") }
    return notes
  }

  /// What to change for the part that is worth most, by how much where that is a plain number.
  private static func remedy(_ parts: [Part], _ input: PlanInput, excess: Int) -> String {
    let size = { (name: String) in parts.first { $0.name == name }?.bytes ?? 0 }
    let caches = size("key and value caches")
    if caches > excess, input.slots > 1 {
      let slot = caches / input.slots
      let slots = input.slots - (excess + slot - 1) / slot
      if slots >= 1 { return "sample at most \(slots) sequences at once, or lower sampling.max_tokens" }
    }
    let activations = size("activations of a micro-batch")
    if activations > excess, input.microBatchTokens > input.maxSequenceTokens {
      let token = activations / max(input.microBatchTokens, 1)
      let rows = input.microBatchTokens - (excess + token - 1) / max(token, 1)
      if rows >= input.maxSequenceTokens { return "set micro_batch_tokens to \(rows) at most" }
    }
    if input.hasReferenceModel, size("reference weights") + size("scratch of reference scoring") >= excess {
      return "set loss.kl to none, so that no reference model is needed"
    }
    if input.teacher != nil, size("teacher weights") + size("scratch of teacher scoring") >= excess {
      return "name a smaller teacher"
    }
    if input.optimizer == .adamw, input.optimizerState == .float32, size("optimizer moments") / 256 * 191 >= excess {
      return "set optimizer.state to 8bit"
    }
    if size("optimizer moments") >= excess { return "set optimizer.kind to sgd, or use a machine with more memory" }
    return "use a smaller model, or a machine with \(byteText(parts.reduce(0) { $0 + $1.bytes })) free"
  }

  /// The plan for a terminal.
  public var text: String {
    var rows = [["memory", "bytes", ""]]
    rows += (parts + [Part(name: "peak", bytes: peakBytes), Part(name: "available", bytes: availableBytes)]).map {
      [$0.name, "\($0.bytes)", byteText($0.bytes)]
    }
    var text = (stage.map { "stage: \($0.rawValue)\n" } ?? "") + alignedTable(rows)
    let condition = "s a step of longest responses, at the speed of a large matrix product"
    if let seconds = samplingSecondsPerStep { text += "sampling: \(decimals(seconds, 1)) \(condition)\n" }
    if let seconds = updateSecondsPerStep { text += "update: \(decimals(seconds, 1)) \(condition)\n" }
    for note in notes { text += "note: \(note)\n" }
    for refusal in refusals { text += "refused: \(refusal)\n" }
    return text
  }
}
