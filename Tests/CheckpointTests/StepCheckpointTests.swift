import Foundation
import Support
import Tensor
import Testing
import Transformer

@testable import Checkpoint

struct StepCheckpointTests {
  private let scratch: Scratch
  private let run: String

  init() throws {
    scratch = try Scratch()
    run = scratch("run")
  }

  /// An optimizer whose moments are random but for the gaps.
  private func optimizer(_ model: LanguageModel, kind: OptimizerKind = .adamw, step: Int = 0) -> Optimizer {
    let optimizer = Optimizer(settings: OptimizerSettings(kind: kind), parameterCount: model.table.count)
    optimizer.step = step
    guard step > 0 else { return optimizer }
    for (index, moment) in [optimizer.firstMoment, optimizer.secondMoment].enumerated() {
      var random = CounterRandom(seed: UInt64(index + 90 + step), path: [])
      for parameter in model.table.parameters {
        for place in parameter.range { moment?[place] = Float(random.normal()) }
      }
    }
    return optimizer
  }

  private func write(_ step: Int, keepLast: Int = 9, keepEvery: Int = 0, fileBytes: Int = 1 << 20) throws {
    let model = Samples.model(Samples.configuration(.qwen2), seed: UInt64(step))
    _ = try StepCheckpoint.write(
      run: run, step: step, model: model, files: Samples.files, optimizer: optimizer(model, step: step),
      state: Data("state \(step)".utf8),
      keeping: .init(last: keepLast, every: keepEvery), fileBytes: fileBytes)
  }

  private func names() throws -> [String] { try FileManager.default.names(run) }

  /// 700 bytes cut the embedding table between rows and give many files; 1 byte puts every row into a file of its own.
  @Test(arguments: [1 << 20, 4000, 700, 1], OptimizerKind.allCases)
  func everythingComesBack(_ fileBytes: Int, kind: OptimizerKind) throws {
    let model = Samples.model(Samples.configuration(.qwen3, valueHead: true))
    let saved = optimizer(model, kind: kind, step: 12)
    let state = Data((0..<3000).map { UInt8(truncatingIfNeeded: $0) })
    let written = try StepCheckpoint.write(
      run: run, step: 30, model: model, files: Samples.files, optimizer: saved, state: state, keeping: .init(last: 1),
      fileBytes: fileBytes)
    #expect(written.folder == scratch("run/step-00000030") && written.step == 30)
    let fileCount = try FileManager.default.names(written.folder).count
    #expect(fileBytes > 4000 ? fileCount == 2 : fileCount > 3)
    let opened = try StepCheckpoint.open(written.folder)
    let read = LanguageModel(configuration: model.configuration)
    let resumed = optimizer(read, kind: kind)
    #expect(try opened.restore(into: read, optimizer: resumed) == state)
    #expect(Samples.bits(read.weights) == Samples.bits(model.weights))
    #expect(resumed.step == 12)
    for (new, old) in [(resumed.firstMoment, saved.firstMoment), (resumed.secondMoment, saved.secondMoment)] {
      #expect((new == nil) == (kind == .sgd))
      #expect(new.map(Samples.bits) == old.map(Samples.bits))
    }
    let (configuration, files) = try opened.configuration()
    #expect(configuration == model.configuration && files == Samples.files)
    #expect(try names() == ["step-00000030"])
  }

  /// To go on, a step folder has adapters apart, with moments of them alone; for everyone else they are merged.
  @Test func adaptersAreApartInsideAndMergedOutside() throws {
    var configuration = Samples.configuration(.qwen2, valueHead: true)
    configuration.adapters = LowRankAdapters(rank: 2, alpha: 3, targets: [.query, .down])
    let model = Samples.model(configuration)
    func optimizer(seed: UInt64) -> Optimizer {
      let optimizer = Optimizer(settings: OptimizerSettings(), parameterCount: model.table.trainable.count)
      for (index, moment) in [optimizer.firstMoment, optimizer.secondMoment].enumerated() {
        var random = CounterRandom(seed: seed, path: [UInt64(index)])
        for parameter in model.table.trainableParameters {
          for place in parameter.range { moment?[place - model.table.trainable.lowerBound] = Float(random.normal()) }
        }
      }
      return optimizer
    }
    let saved = optimizer(seed: 1)
    let written = try StepCheckpoint.write(
      run: run, step: 4, model: model, files: Samples.files, optimizer: saved, state: Data(), keeping: .init(last: 1),
      fileBytes: 700)
    let read = LanguageModel(configuration: configuration)
    let resumed = optimizer(seed: 2)
    _ = try StepCheckpoint.open(written.folder).restore(into: read, optimizer: resumed)
    let isRestored = Samples.bits(read.weights) == Samples.bits(model.weights)
    #expect(isRestored)
    for (new, old) in [(resumed.firstMoment, saved.firstMoment), (resumed.secondMoment, saved.secondMoment)] {
      let isEqual = try Samples.bits(#require(new)) == Samples.bits(#require(old))
      #expect(isEqual)
    }
    for path in [run, written.folder] {
      let loaded = try ModelSource.load(path).model
      #expect(loaded.configuration.adapters == nil)
      #expect(try ModelSource.header(path).configuration == loaded.configuration)
      let isMerged = Samples.bits(loaded.weights) == Samples.bits(model.merged().weights)
      #expect(isMerged)
    }
  }

  /// Codes and scales of moments in 8 bits come back whole, in pieces of any size, and the next step is the same.
  @Test(arguments: [1 << 20, 4000, 1], [nil, LowRankAdapters(rank: 2, alpha: 3, targets: [.query, .down])])
  func momentsInEightBitsComeBack(_ fileBytes: Int, adapters: LowRankAdapters?) throws {
    var configuration = Samples.configuration(.qwen3)
    configuration.adapters = adapters
    let model = LanguageModel(configuration: configuration)
    model.initialize(seed: 4)
    let settings = OptimizerSettings(learningRate: 0.01, state: .eightBit)
    let pool = WorkerPool(threadCount: 2)
    func update(_ model: LanguageModel, _ optimizer: Optimizer) throws {
      let gradients = FloatBuffer(count: model.table.trainable.count)
      var random = CounterRandom(seed: UInt64(optimizer.step), path: [3])
      for parameter in model.table.trainableParameters {
        for place in parameter.range { gradients[place - model.table.trainable.lowerBound] = Float(random.normal()) }
      }
      _ = try optimizer.update(weights: model.trainableWeights, gradients: gradients, totalSteps: 9, pool: pool)
    }
    let saved = Optimizer(settings: settings, parameterCount: model.table.trainable.count)
    for _ in 0..<3 { try update(model, saved) }
    let written = try StepCheckpoint.write(
      run: run, step: 3, model: model, files: Samples.files, optimizer: saved, state: Data(), keeping: .init(last: 1),
      fileBytes: fileBytes)
    let read = LanguageModel(configuration: configuration)
    let resumed = Optimizer(settings: settings, parameterCount: model.table.trainable.count)
    let opened = try StepCheckpoint.open(written.folder)
    _ = try opened.restore(into: read, optimizer: resumed)
    for later in [false, true] {
      if later {
        try update(model, saved)
        try update(read, resumed)
      }
      #expect(resumed.step == saved.step)
      let pairs = zip([read.weights] + resumed.stateBuffers, [model.weights] + saved.stateBuffers)
      #expect(pairs.allSatisfy { Samples.bits($0) == Samples.bits($1) })
    }
    let summary = try opened.summary()
    #expect(summary.optimizerStep == 3 && summary.step == 3 && summary.configuration == configuration)
    let blocks = (model.table.trainable.count + 255) / 256
    for kind in ["first_moment_8bit", "second_moment_8bit"] {
      #expect(summary.entries.contains(.init(kind: kind, name: "codes", shape: [blocks, 256], type: "u8")))
      #expect(summary.entries.contains(.init(kind: kind, name: "scales", shape: [blocks], type: "f32")))
    }
    #expect(summary.entries.count == model.table.parameters.count + 4)
    #expect(summary.entries.first { $0.name == "model.norm.weight" }?.shape == [14])
    Samples.failure(.data, mentions: "optimizer.state") {
      _ = try opened.restore(
        into: read, optimizer: Optimizer(settings: OptimizerSettings(), parameterCount: model.table.trainable.count))
    }
  }

  @Test func anotherModelOrOptimizerIsRefused() throws {
    try write(3)
    let checkpoint = try StepCheckpoint.open(scratch("run/step-00000003"))
    let other = LanguageModel(configuration: Samples.configuration(.qwen2, valueHead: true))
    Samples.failure(.data, mentions: "shape") { _ = try checkpoint.restore(into: other, optimizer: nil) }
    let model = LanguageModel(configuration: Samples.configuration(.qwen2))
    Samples.failure(.data, mentions: "optimizer.kind") {
      _ = try checkpoint.restore(into: model, optimizer: optimizer(model, kind: .sgd))
    }
    _ = try StepCheckpoint.write(
      run: run, step: 4, model: model, files: ModelFiles(), optimizer: nil, state: Data(), keeping: .init(last: 2))
    let bare = try #require(try StepCheckpoint.latest(run: run) { _ in })
    #expect(try bare.restore(into: model, optimizer: nil) == Data())
    Samples.failure(.data, mentions: "no optimizer") {
      _ = try bare.restore(into: model, optimizer: optimizer(model))
    }
  }

  @Test func theNewestWholeFolderIsTaken() throws {
    var lines: [String] = []
    #expect(try StepCheckpoint.latest(run: run) { lines.append($0) } == nil)
    for step in [5, 100_000_000, 20] { try write(step) }
    #expect(try StepCheckpoint.latest(run: run) { lines.append($0) }?.step == 100_000_000)
    #expect(lines.isEmpty)
    try FileManager.default.removeItem(atPath: scratch("run/step-100000000/manifest.json"))
    #expect(try StepCheckpoint.latest(run: run) { lines.append($0) }?.step == 20)
    #expect(lines.count == 1 && lines[0].contains("step-100000000"))
  }

  @Test func aFlippedBitAnywhereIsRefused() throws {
    try write(1)
    try write(2, fileBytes: 4000)
    for name in try FileManager.default.names(scratch("run/step-00000002")) {
      let path = scratch("run/step-00000002/\(name)")
      let whole = try Data(contentsOf: URL(filePath: path))
      for place in stride(from: 0, to: whole.count, by: whole.count / 7) {
        var flipped = whole
        flipped[place] ^= 1 << (place % 8)
        try flipped.write(to: URL(filePath: path))
        var lines: [String] = []
        #expect(try StepCheckpoint.latest(run: run) { lines.append($0) }?.step == 1, "\(name) \(place)")
        #expect(lines.count == 1 && lines[0].contains(name), "\(lines)")
        Samples.failure(.data, mentions: name) { _ = try StepCheckpoint.open(scratch("run/step-00000002")) }
      }
      for length in [0, whole.count / 2, whole.count - 1] {
        try whole.prefix(length).write(to: URL(filePath: path))
        Samples.failure(.data, mentions: name) { _ = try StepCheckpoint.open(scratch("run/step-00000002")) }
      }
      try FileManager.default.removeItem(atPath: path)
      #expect(try StepCheckpoint.latest(run: run) { _ in }?.step == 1)
      try whole.write(to: URL(filePath: path))
    }
    #expect(try StepCheckpoint.latest(run: run) { _ in }?.step == 2)
  }

  /// A file of an older step in the place of the newer one's: right in itself, wrong here.
  @Test func mixedFoldersAreRefused() throws {
    try write(1)
    try write(2)
    let file = "rank-0000-000.h5"
    try FileManager.default.removeItem(atPath: scratch("run/step-00000002/\(file)"))
    try FileManager.default.copyItem(
      atPath: scratch("run/step-00000001/\(file)"), toPath: scratch("run/step-00000002/\(file)"))
    #expect(try StepCheckpoint.latest(run: run) { _ in }?.step == 1)
  }

  @Test func whatADeadWriterLeftIsIgnoredAndCleaned() throws {
    try write(1)
    for name in [".tmp-step-00000002-77", ".trash-step-00000000-77"] {
      try FileManager.default.copyItem(atPath: scratch("run/step-00000001"), toPath: scratch("run/\(name)"))
    }
    try FileManager.default.removeItem(atPath: scratch("run/.tmp-step-00000002-77/manifest.json"))
    #expect(try StepCheckpoint.latest(run: run) { _ in }?.step == 1)
    #expect(try names().count == 3)
    try write(2)
    #expect(try names() == ["step-00000001", "step-00000002"])
  }

  @Test func oldStepsGoButTheChosenOnes() throws {
    for step in 1...9 { try write(step, keepLast: 2, keepEvery: 4) }
    #expect(try names() == ["step-00000004", "step-00000008", "step-00000009"])
    // A run that went back does not lose what it just wrote, nor touch what lies ahead.
    try write(6, keepLast: 1)
    #expect(try names() == ["step-00000006", "step-00000008", "step-00000009"])
    // The same step again replaces the folder.
    let model = Samples.model(Samples.configuration(.llama))
    _ = try StepCheckpoint.write(
      run: run, step: 9, model: model, files: ModelFiles(), optimizer: nil, state: Data("new".utf8),
      keeping: .init(last: 5))
    let read = LanguageModel(configuration: model.configuration)
    let newest = try #require(try StepCheckpoint.latest(run: run) { _ in })
    #expect(try newest.restore(into: read, optimizer: nil) == Data("new".utf8))
    #expect(try names() == ["step-00000006", "step-00000008", "step-00000009"])
  }

  @Test func everySourceGivesTheModel() throws {
    let model = Samples.model(Samples.configuration(.qwen2), seed: 7)
    let hash = weightsHash(model)
    try write(7, fileBytes: 700)
    try HuggingFaceFolder.write(model, files: Samples.files, to: scratch("folder"))
    try ModelFile.write(model, files: Samples.files, to: scratch("alone.h5"))
    for path in ["run", "run/step-00000007", "folder", "alone.h5"] {
      let stored = try ModelSource.load(scratch(path))
      #expect(weightsHash(stored.model) == hash && stored.files == Samples.files, "\(path)")
      let critic = try ModelSource.load(scratch(path), valueHead: true).model
      #expect(critic.configuration.valueHead, "\(path)")
      #expect(Array(Samples.bits(critic.weights).prefix(model.weights.count)) == Samples.bits(model.weights), "\(path)")
      let header = try ModelSource.header(scratch(path))
      #expect(header.configuration == model.configuration && header.files == Samples.files, "\(path)")
    }
    // A finished run is its model.h5.
    let final = Samples.model(Samples.configuration(.llama))
    try ModelFile.write(final, files: ModelFiles(), to: scratch("run/model.h5"))
    #expect(weightsHash(try ModelSource.load(run).model) == weightsHash(final))
    try FileManager.default.createDirectory(atPath: scratch("empty"), withIntermediateDirectories: false)
    Samples.failure(.data, mentions: "empty", "no model") { _ = try ModelSource.load(scratch("empty")) }
    Samples.failure(.io, mentions: "nothing") { _ = try ModelSource.load(scratch("nothing")) }
  }
}
