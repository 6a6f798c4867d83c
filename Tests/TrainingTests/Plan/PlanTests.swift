import Foundation
import Support
import Tensor
import TestSupport
import Testing
import Transformer

@testable import Training

@Suite struct PlanTests {
  static let demo = ModelConfiguration(
    architecture: .llama, hiddenSize: 192, intermediateSize: 512, layerCount: 5, heads: .init(6), vocabularySize: 400)
  static let half = ModelConfiguration(
    architecture: .qwen2, hiddenSize: 896, intermediateSize: 4864, layerCount: 24, heads: .init(14, keyValue: 2),
    vocabularySize: 151_936, contextLength: 32_768)

  static func reinforcement(_ model: ModelConfiguration) -> PlanInput {
    var input = PlanInput(model: model, trains: true, samples: true, maxSequenceTokens: 512)
    (input.promptsPerStep, input.samplesPerPrompt) = (16, 8)
    (input.updateBatch, input.responses) = (64, 128)
    input.hasReferenceModel = true
    input.threads = 2
    return input
  }

  @Test func partsAddUpToThePeak() {
    let plan = Plan(Self.reinforcement(Self.demo), availableBytes: 1 << 40)
    #expect(plan.peakBytes == plan.parts.reduce(0) { $0 + $1.bytes })
    #expect(plan.parts.allSatisfy { $0.bytes > 0 })
    #expect(plan.fits && plan.samplingSecondsPerStep == nil)
    let scale = ModelScale(Self.demo)
    let bytes = Dictionary(uniqueKeysWithValues: plan.parts.map { ($0.name, $0.bytes) })
    #expect(bytes["weights"] == scale.weightBytes)
    #expect(bytes["gradients"] == scale.weightBytes)
    #expect(bytes["optimizer moments"] == 2 * scale.weightBytes)
    #expect(bytes["reference weights"] == scale.weightBytes)
    #expect(bytes["key and value caches"] == 64 * 512 * 4 * 5 * 2 * 192)
    let training = ["activations of a micro-batch", "panels and scratch of training", "logits"].compactMap { bytes[$0] }
    #expect(training.reduce(0, +) == scale.trainingBytes(rows: 4096, targets: 4096))
  }

  /// Twice the samples are drawn, and as many as without are learnt from.
  @Test func cleanSuccessesAreSampledTwice() throws {
    var configuration = Configuration()
    configuration.newModel = .init(tokenizer: TrainProgram.root + "/configs/demo", shape: Self.demo)
    (configuration.promptsPerStep, configuration.samplesPerPrompt, configuration.updateBatch) = (4, 8, 16)
    let speed = MachineSpeed(gflops: 100, readGigabytes: 10, threads: 2)
    func plan() throws -> Plan { try Plan.of(configuration, kind: .rl, speed: speed, readsData: false) }
    let plain = try plan()
    configuration.groups.cleanSuccesses = true
    let clean = try plan()
    #expect(clean.samplingSecondsPerStep == plain.samplingSecondsPerStep.map { $0 * 2 })
    #expect(clean.updateSecondsPerStep == plain.updateSecondsPerStep)
    #expect(clean.notes.contains("4 prompts x 16 samples = 64 responses a step, 2 optimizer updates"))
  }

  /// The largest counts that a configuration may have are refused for their memory, not multiplied until they trap.
  @Test func enormousCountsAreRefused() {
    var large = Self.half
    (large.layerCount, large.hiddenSize, large.intermediateSize) = (1 << 10, 1 << 15, 1 << 17)
    large.contextLength = 1 << 30
    #expect(large.problem == nil)
    for shape in [Self.demo, Self.half, large] {
      var input = Self.reinforcement(shape)
      (input.slots, input.microBatchTokens, input.maxSequenceTokens) = (1 << 31, 1 << 31, 1 << 30)
      (input.gradientShards, input.responses) = (1 << 31, 1 << 31)
      let plan = Plan(input, availableBytes: 1 << 44)
      #expect(!plan.fits && plan.peakBytes > 1 << 44)
    }
    large.layerCount = 1 << 20
    #expect(large.problem?.message.contains("no model that can be built") == true)
    (large.layerCount, large.vocabularySize) = (1, 1 << 28)
    #expect(large.problem == nil)
    large.hiddenSize = 1 << 24
    #expect(large.problem != nil)
  }

  @Test func onlyWhatARunNeeds() {
    var input = Self.reinforcement(Self.demo)
    input.trains = false
    input.hasReferenceModel = false
    let sampling = Plan(input, availableBytes: 1 << 40)
    #expect(Set(sampling.parts.map(\.name)).isDisjoint(with: ["gradients", "optimizer moments", "logits", "saving"]))
    #expect(sampling.parts.contains { $0.name == "packed panels of sampling" })
    input.trains = true
    input.samples = false
    input.optimizer = .sgd
    input.gradientShards = 3
    let training = Plan(input, availableBytes: 1 << 40)
    #expect(!training.parts.contains { $0.name == "optimizer moments" || $0.name.contains("cache") })
    let weights = ModelScale(Self.demo).weightBytes
    #expect(training.parts.first { $0.name == "gradients" }?.bytes == 3 * weights)
  }

  @Test func momentsInEightBitsTakeAQuarter() throws {
    var input = Self.reinforcement(Self.half)
    input.microBatchTokens = 512
    func moments() -> Int? {
      Plan(input, availableBytes: 1 << 40).parts.first { $0.name == "optimizer moments" }?.bytes
    }
    let plain = try #require(moments())
    let needed = Plan(input, availableBytes: 1 << 40).peakBytes
    input.optimizerState = .eightBit
    let eight = try #require(moments())
    #expect(eight == 2 * QuantizedMoment.byteCount(plain / 8) && eight * 3 < plain)
    input.optimizerState = .float32
    input.hasReferenceModel = false
    input.recompute = .none
    let free = Plan(input, availableBytes: 1 << 40).peakBytes - (plain - eight) + 1024
    let advice = try #require(Plan(input, availableBytes: free).refusals.first)
    #expect(advice.contains("optimizer.state to 8bit") && needed > free)
  }

  /// Where a stage's data is there, its own tokens count: the largest micro-batch, the longest prompt.
  @Test func lengthsAreThoseOfTheData() throws {
    let folder = try ScratchFolder()
    func write(_ name: String, _ lines: [String]) throws -> String {
      try (lines.joined(separator: "\n") + "\n").write(
        toFile: folder.path + "/" + name, atomically: true, encoding: .utf8)
      return folder.path + "/" + name
    }
    var configuration = Configuration()
    configuration.model = TrainProgram.root + "/configs/demo/base.h5"
    configuration.prompt.template = .none
    configuration.steps = 3
    configuration.updateBatch = 4
    configuration.microBatchTokens = 30
    let lengths = [9, 14, 20, 8]
    configuration.data = [
      try write(
        "e.jsonl",
        lengths.map { count in
          let tokens = (0..<count).map { String($0 % 7 + 3) }.joined(separator: ",")
          return "{\"tokens\": [\(tokens)], \"authors\": [[\"prompt\", 4], [\"model\", \(count - 4)]]}"
        })
    ]
    let order = DataOrder(count: 4, seed: 0)
    let sums = (0..<3).flatMap { step in
      let batch = order.items(from: 4 * step, count: 4).map { lengths[$0] }
      return Learner.microBatches(batch, 0..<4, budget: 30).map { batch[$0].reduce(0, +) }
    }
    let found = try #require(try PlanLengths(configuration, kind: .sft))
    #expect(found.rows == sums.max() && found.rows > 20 && found.rows <= 30 && found.longest == 20)
    #expect(found.targets < found.rows && found.targets > 12)
    configuration.data = [
      try write("p.jsonl", ["{\"problem\": \"What is 3 + 4?\", \"gt_answer\": \"7\"}"])
    ]
    configuration.sampling.maxTokens = 50
    let sampled = try #require(try PlanLengths(configuration, kind: .rl))
    #expect(sampled.longest > 52 && sampled.longest < 70)
    #expect(sampled.rows == sampled.longest)
    configuration.microBatchTokens = 100_000
    #expect(try PlanLengths(configuration, kind: .rl)?.rows == 4 * sampled.longest)
    configuration.data = ["none.jsonl"]
    #expect(try PlanLengths(configuration, kind: .rl) == nil)
  }

  @Test func refusesWhatDoesNotFit() throws {
    let input = Self.reinforcement(Self.half)
    let needed = Plan(input, availableBytes: 1 << 40).peakBytes
    #expect(Plan(input, availableBytes: needed).fits)
    var kept = input
    kept.recompute = .none
    let refused = Plan(kept, availableBytes: needed - 1)
    #expect(!refused.fits)
    let reason = try #require(refused.refusals.first)
    #expect(reason.hasPrefix("memory: ") && reason.contains("are needed") && reason.contains("; "))
    // The remedy of a cache that is too large is a number that fits.
    var wide = kept
    wide.slots = 4096
    let advice = try #require(Plan(wide, availableBytes: needed).refusals.first)
    #expect(advice.contains("at most 64 sequences"))
  }

  /// `auto` runs layers again only where nothing else fits, and not where it would not help.
  @Test func layersAreRunAgainWhereMemoryAsksForIt() throws {
    var input = Self.reinforcement(Self.half)
    let plain = Plan(input, availableBytes: 1 << 40)
    #expect(!plain.recomputes)
    let tight = Plan(input, availableBytes: plain.peakBytes - 1)
    #expect(tight.recomputes && tight.fits && tight.peakBytes < plain.peakBytes)
    #expect(tight.notes.contains { $0.contains("runs again") })
    input.recompute = .layers
    #expect(Plan(input, availableBytes: 1 << 40).peakBytes == tight.peakBytes)
    input.recompute = .none
    let refused = Plan(input, availableBytes: plain.peakBytes - 1)
    #expect(!refused.recomputes && !refused.fits && refused.peakBytes == plain.peakBytes)
    input.trains = false
    input.recompute = .layers
    #expect(!Plan(input, availableBytes: 1).recomputes)
  }

  @Test func refusesWhatCannotBe() {
    var input = Self.reinforcement(Self.demo)
    input.maxSequenceTokens = 4000
    input.updateBatch = 0
    let refusals = Plan(input, availableBytes: 1 << 40).refusals
    #expect(refusals.count == 2)
    #expect(refusals[0].hasPrefix("sampling.max_tokens") && refusals[1].hasPrefix("update_batch"))
    // A batch that is never full is a batch of what there is.
    (input.maxSequenceTokens, input.updateBatch) = (512, 1000)
    #expect(Plan(input, availableBytes: 1 << 40).fits)
  }

  /// The bound on full fine-tuning of the 0.5B model at 1,024 packed tokens.
  @Test func halfABillionFitsInItsBudget() {
    var input = PlanInput(model: Self.half, trains: true, samples: false, maxSequenceTokens: 512)
    (input.microBatchTokens, input.slots) = (1024, 0)
    let plan = Plan(input, availableBytes: 10_500_000_000)
    #expect(plan.fits, "\(plan.text)")
  }

  @Test func timesComeFromASpeed() throws {
    let speed = MachineSpeed(gflops: 100, readGigabytes: 10, threads: 2)
    let plan = Plan(Self.reinforcement(Self.demo), availableBytes: 1 << 40, speed: speed)
    let sampling = try #require(plan.samplingSecondsPerStep)
    let update = try #require(plan.updateSecondsPerStep)
    #expect(abs(update / sampling - 4) < 1e-12)
    let scale = ModelScale(Self.demo)
    let flops = 128 * 512 * (scale.forwardOperations(contextLength: 256) + scale.headOperations)
    #expect(abs(sampling - flops / 1e11) < 1e-9)
    let data = try JSONEncoder().encode(plan)
    #expect(try JSONDecoder().decode(Plan.self, from: data) == plan)
    #expect(plan.text.contains("peak") && plan.text.contains("sampling:"))
  }

  @Test func theMachineSaysWhatItHas() {
    #expect(MachineMemory.available() > 1 << 20)
    #expect(MachineMemory.available() <= MachineMemory.total())
  }
}
