import Foundation
import Support
import Tensor
import Testing
import Transformer

@testable import Checkpoint

struct ModelFileTests {
  @Test(arguments: ModelConfiguration.Architecture.allCases, [true, false])
  func roundTripKeepsEveryBit(_ architecture: ModelConfiguration.Architecture, tied: Bool) throws {
    let scratch = try Scratch()
    let model = Samples.model(Samples.configuration(architecture, tied: tied, valueHead: !tied))
    try ModelFile.write(model, files: Samples.files, to: scratch("model.h5"))
    let read = try ModelFile.read(scratch("model.h5"))
    #expect(read.model.configuration == model.configuration)
    #expect(read.files == Samples.files)
    #expect(Samples.bits(read.model.weights) == Samples.bits(model.weights))
    #expect(weightsHash(read.model) == weightsHash(model))
    let header = try ModelFile.readHeader(scratch("model.h5"))
    #expect(header.configuration == model.configuration && header.files == Samples.files)
    #expect(try FileManager.default.names(scratch.path) == ["model.h5"])
  }

  @Test func sameContentGivesTheSameBytes() throws {
    let scratch = try Scratch()
    let model = Samples.model(Samples.configuration(.qwen2))
    for name in ["a", "b"] { try ModelFile.write(model, files: Samples.files, to: scratch(name)) }
    #expect(try Data(contentsOf: URL(filePath: scratch("a"))) == Data(contentsOf: URL(filePath: scratch("b"))))
  }

  @Test func bfloat16RoundsOnceToNearestEven() throws {
    let scratch = try Scratch()
    let model = Samples.model(Samples.configuration(.qwen3))
    try ModelFile.write(model, files: ModelFiles(), to: scratch("model.h5"), type: .bfloat16)
    let read = try ModelFile.read(scratch("model.h5"))
    for parameter in model.table.parameters {
      for index in parameter.range {
        let value = model.weights[index]
        let stored = read.model.weights[index]
        if value.isNaN {
          #expect(stored.isNaN)
          continue
        }
        // The neighbours among the numbers whose lower half is zero; the nearer one, on a tie the even one.
        let low = Float(bitPattern: value.bitPattern & 0xffff_0000)
        let high = Float(bitPattern: (value.bitPattern & 0xffff_0000) &+ 0x1_0000)
        let rest = value.bitPattern & 0xffff
        let isEven = low.bitPattern >> 16 & 1 == 0
        let expected = rest < 0x8000 || (rest == 0x8000 && isEven) ? low : high
        #expect(stored.bitPattern == expected.bitPattern, "\(value)")
      }
    }
    // A second trip changes nothing, and its hash is that of what is stored.
    try ModelFile.write(read.model, files: ModelFiles(), to: scratch("again.h5"), type: .bfloat16)
    #expect(Samples.bits(try ModelFile.read(scratch("again.h5")).model.weights) == Samples.bits(read.model.weights))
    let summary = try ModelFile.inspect(scratch("model.h5"))
    #expect(summary.weightsHash == weightsHash(read.model))
    #expect(summary.parameters.allSatisfy { $0.type == "bf16" })
  }

  /// A tensor that is written and read in several slices, of numbers that bfloat16 has.
  @Test(arguments: [StoredType.float32, .bfloat16]) func tensorsOfSeveralSlicesComeBack(type: StoredType) throws {
    let scratch = try Scratch()
    var configuration = Samples.configuration(.qwen2)
    configuration.vocabularySize = 2 * StoredTensor.sliceCount / configuration.hiddenSize + 3
    let model = LanguageModel(configuration: configuration)
    for parameter in model.table.parameters {
      for index in parameter.range { model.weights[index] = Float(index % 255 - 127) }
    }
    try ModelFile.write(model, files: ModelFiles(), to: scratch("model.h5"), type: type)
    #expect(Samples.bits(try ModelFile.read(scratch("model.h5")).model.weights) == Samples.bits(model.weights))
    try HuggingFaceFolder.write(model, files: ModelFiles(), to: scratch("folder"), type: type)
    #expect(Samples.bits(try HuggingFaceFolder.read(scratch("folder")).model.weights) == Samples.bits(model.weights))
  }

  @Test func inspectNamesWhatIsThere() throws {
    let scratch = try Scratch()
    let model = Samples.model(Samples.configuration(.llama, tied: false))
    try ModelFile.write(model, files: Samples.files, to: scratch("model.h5"))
    let summary = try ModelFile.inspect(scratch("model.h5"))
    #expect(summary.parameters.map(\.name) == model.table.parameters.map(\.name))
    #expect(summary.parameters.map(\.shape) == model.table.parameters.map(\.shape))
    #expect(summary.weightsHash == weightsHash(model))
    #expect(
      summary.files == ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"])
    #expect(summary.fileBytes == (try Data(contentsOf: URL(filePath: scratch("model.h5"))).count))
  }

  @Test func aValueHeadIsAddedOrDropped() throws {
    let scratch = try Scratch()
    let plain = Samples.model(Samples.configuration(.qwen2))
    let critic = Samples.model(Samples.configuration(.qwen2, valueHead: true))
    try ModelFile.write(plain, files: ModelFiles(), to: scratch("plain.h5"))
    try ModelFile.write(critic, files: ModelFiles(), to: scratch("critic.h5"))
    let added = try ModelFile.read(scratch("plain.h5"), valueHead: true).model
    let head = try #require(added.table["value_head.weight"])
    #expect(added.weights[head.range].allSatisfy { $0.bitPattern == 0 })
    #expect(Array(Samples.bits(added.weights).prefix(plain.weights.count)) == Samples.bits(plain.weights))
    let dropped = try ModelFile.read(scratch("critic.h5"), valueHead: false).model
    #expect(dropped.table["value_head.weight"] == nil)
    #expect(weightsHash(dropped) == weightsHash(plain))
    #expect(try ModelFile.read(scratch("critic.h5")).model.configuration.valueHead)
  }

  @Test func hashChangesWithOneBitAndWithAName() throws {
    let model = Samples.model(Samples.configuration(.qwen2))
    let before = weightsHash(model)
    model.weights[17] = Float(bitPattern: model.weights[17].bitPattern ^ 1)
    #expect(weightsHash(model) != before)
  }

  @Test func everyTruncationIsAnError() throws {
    let scratch = try Scratch()
    try ModelFile.write(
      Samples.model(Samples.configuration(.qwen2)), files: Samples.files, to: scratch("model.h5"))
    let whole = try Data(contentsOf: URL(filePath: scratch("model.h5")))
    for length in Array(stride(from: 0, to: whole.count, by: 61)) + [1, 7, 8, whole.count - 1] {
      try whole.prefix(length).write(to: URL(filePath: scratch("cut.h5")))
      Samples.failure(.data, mentions: "cut.h5") { _ = try ModelFile.read(scratch("cut.h5")) }
    }
  }

  @Test func aFlippedBitIsAnErrorOrChangesNothing() throws {
    let scratch = try Scratch()
    let model = Samples.model(Samples.configuration(.qwen2))
    try ModelFile.write(model, files: Samples.files, to: scratch("model.h5"))
    let whole = try Data(contentsOf: URL(filePath: scratch("model.h5")))
    var refused = 0
    let places = Array(stride(from: 0, to: whole.count, by: 101))
    for place in places {
      var flipped = whole
      flipped[place] ^= 1 << (place % 8)
      try flipped.write(to: URL(filePath: scratch("flipped.h5")))
      do {
        let read = try ModelFile.read(scratch("flipped.h5"))
        #expect(Samples.bits(read.model.weights) == Samples.bits(model.weights), "byte \(place)")
        #expect(read.files == Samples.files && read.model.configuration == model.configuration, "byte \(place)")
      } catch let error as MartletError {
        #expect(error.status == .data)
        refused += 1
      }
    }
    #expect(refused > places.count / 2)
  }

  @Test func otherFilesAreRefused() throws {
    let scratch = try Scratch()
    Samples.failure(.io, mentions: "none.h5") { _ = try ModelFile.read(scratch("none.h5")) }
    try Data("not HDF5 at all, only some text that is long enough".utf8).write(to: URL(filePath: scratch("text.h5")))
    Samples.failure(.data, mentions: "text.h5") { _ = try ModelFile.read(scratch("text.h5")) }
    Samples.failure(.data, mentions: scratch.path) { _ = try ModelFile.read(scratch.path) }
    Samples.failure(.io, mentions: "model.h5") {
      try ModelFile.write(
        Samples.model(Samples.configuration(.qwen2)), files: ModelFiles(), to: scratch("none/model.h5"))
    }
  }

  /// Files whose configuration and weights do not belong together, made with the writer itself.
  @Test func aConfigurationThatDoesNotFitIsRefused() throws {
    let scratch = try Scratch()
    let model = Samples.model(Samples.configuration(.qwen2))
    func write(_ configuration: ModelConfiguration, drop: String? = nil, extra: String? = nil) throws {
      var entries = try ModelFile.header(configuration, ModelFiles())
      for parameter in model.table.parameters where parameter.name != drop {
        let content = HDF5Entry.Content.floats(
          model.weights.pointer + parameter.range.lowerBound, shape: parameter.shape, type: .float32)
        entries.append(HDF5Entry(path: "/parameters/" + parameter.name, content: content))
      }
      if let extra { entries.append(HDF5Entry(path: "/parameters/" + extra, content: .bytes(Data([1])))) }
      try HDF5Writer(entries: entries).write(to: scratch("model.h5"))
    }
    try write(model.configuration)
    #expect(weightsHash(try ModelFile.read(scratch("model.h5")).model) == weightsHash(model))
    try write(model.configuration, drop: "model.layers.1.self_attn.k_proj.bias")
    Samples.failure(.data, mentions: "model.layers.1.self_attn.k_proj.bias", "missing") {
      _ = try ModelFile.read(scratch("model.h5"))
    }
    try write(model.configuration, extra: "model.layers.9.odd")
    Samples.failure(.data, mentions: "model.layers.9.odd") { _ = try ModelFile.read(scratch("model.h5")) }
    var wide = model.configuration
    wide.vocabularySize += 1
    try write(wide)
    Samples.failure(.data, mentions: "model.embed_tokens.weight", "[29, 14]", "[30, 14]") {
      _ = try ModelFile.read(scratch("model.h5"))
    }
    wide.vocabularySize = 1 << 22
    wide.hiddenSize = 1 << 20
    wide.layerCount = 4
    try write(wide)
    Samples.failure(.data, mentions: "cannot hold") { _ = try ModelFile.read(scratch("model.h5")) }
    wide.layerCount = 1 << 30
    try write(wide)
    Samples.failure(.data, mentions: "no model that can be built") { _ = try ModelFile.read(scratch("model.h5")) }
  }

  /// A model whose tables bfloat16 holds, special numbers included, and whose other matrices it does not.
  static func mixed(tied: Bool, valueHead: Bool = false, vocabularySize: Int = 29) -> LanguageModel {
    var configuration = Samples.configuration(.qwen2, tied: tied, valueHead: valueHead)
    configuration.vocabularySize = vocabularySize
    let model = Samples.model(configuration)
    for parameter in model.table.parameters where isShort(parameter.name) {
      for index in parameter.range {
        model.weights[index] = Float(bitPattern: model.weights[index].bitPattern & 0xffff_0000)
      }
    }
    return model
  }

  static func isShort(_ name: String) -> Bool { !name.contains("mlp.") && !name.contains("value_head") }

  /// Each parameter is stored as bfloat16 where that holds all of its numbers, and nothing is lost.
  @Test func storageIsExactAndAsShortAsItCanBe() throws {
    let scratch = try Scratch()
    let model = Self.mixed(tied: false)
    model.weights[3] = Float(bitPattern: 0xffa1_0000)  // a NaN whose quiet bit is not set
    let hash = try ModelFile.write(model, files: Samples.files, to: scratch("exact.h5"))
    #expect(hash == weightsHash(model))
    #expect(try ModelFile.write(model, files: Samples.files, to: scratch("wide.h5"), type: .float32) == hash)
    for (name, isExact) in [("exact.h5", true), ("wide.h5", false)] {
      let summary = try ModelFile.inspect(scratch(name))
      #expect(summary.weightsHash == hash)
      for parameter in summary.parameters {
        #expect(parameter.type == (isExact && Self.isShort(parameter.name) ? "bf16" : "f32"), "\(parameter.name)")
      }
      let short = summary.parameters.filter { $0.type == "bf16" }.reduce(0) { $0 + $1.count }
      #expect(summary.countByType["bf16", default: 0] == short && (short > 0) == isExact)
      #expect(Samples.bits(try ModelFile.read(scratch(name)).model.weights) == Samples.bits(model.weights))
    }
    // One number that it does not hold is enough.
    model.weights[model.table.parameters[0].range.upperBound - 1] = 1.001
    try ModelFile.write(model, files: Samples.files, to: scratch("exact.h5"))
    #expect(try ModelFile.inspect(scratch("exact.h5")).parameters[0].type == "f32")
    #expect(Samples.bits(try ModelFile.read(scratch("exact.h5")).model.weights) == Samples.bits(model.weights))
  }

  /// Every byte of every weight counts, whoever reads it and even if nobody keeps it.
  @Test func aChangedWeightIsRefused() throws {
    let scratch = try Scratch()
    let model = Self.mixed(tied: true, valueHead: true, vocabularySize: 5000)
    try ModelFile.write(model, files: Samples.files, to: scratch("model.h5"))
    let whole = try Data(contentsOf: URL(filePath: scratch("model.h5")))
    let tensors = try ModelFile.tensors(HDF5Reader(scratch("model.h5")), model.configuration)
    #expect(tensors[0].count > tensors[0].partCount)
    for tensor in tensors {
      for place in [0, tensor.format.byteCount(tensor.count) - 1] {
        var changed = whole
        changed[tensor.offset + place] ^= 4
        try changed.write(to: URL(filePath: scratch("changed.h5")))
        for use in [WeightUse.any, .sampling] {
          Samples.failure(.data, mentions: "changed.h5", "/parts_hash") {
            _ = try ModelFile.read(scratch("changed.h5"), valueHead: false, for: use)
          }
        }
        Samples.failure(.data, mentions: "changed.h5", "/weights_hash") {
          _ = try ModelFile.inspect(scratch("changed.h5"))
        }
      }
    }
  }

  /// Files of before: fp32 throughout, and one hash over all.
  @Test func filesWithoutAHashOfTheirPartsAreRead() throws {
    let scratch = try Scratch()
    let model = Self.mixed(tied: true, valueHead: true)
    let entries =
      try ModelFile.header(model.configuration, Samples.files)
      + model.table.parameters.map {
        HDF5Entry(
          path: "/parameters/" + $0.name,
          content: .floats(model.weights.pointer + $0.range.lowerBound, shape: $0.shape, type: .float32))
      } + [HDF5Entry(path: "/weights_hash", content: .weightsHash)]
    let path = scratch("old.h5")
    try withExtendedLifetime(model) {
      _ = try HDF5Writer(entries: entries).write(to: path) {
        $0.hasPrefix("/parameters/") ? String($0.dropFirst("/parameters/".count)) : nil
      }
    }
    for use in [WeightUse.any, .sampling] {
      #expect(Samples.bits(try ModelFile.read(path, for: use).model.weights) == Samples.bits(model.weights))
    }
    let bytes = try Data(contentsOf: URL(filePath: path))
    for tensor in try ModelFile.tensors(HDF5Reader(path), model.configuration) {
      var changed = bytes
      changed[tensor.offset + 1] ^= 1
      try changed.write(to: URL(filePath: scratch("changed.h5")))
      Samples.failure(.data, mentions: "changed.h5", "/weights_hash") {
        _ = try ModelFile.read(scratch("changed.h5"), valueHead: false)
      }
    }
  }

  /// What is loaded for sampling alone samples the same bits: panels of both widths, a tied table and one of its own.
  @Test(arguments: [true, false]) func aModelForSamplingGivesTheSameBits(tied: Bool) throws {
    let scratch = try Scratch()
    let model = LanguageModel(configuration: Self.mixed(tied: tied, vocabularySize: 9400).configuration)
    model.initialize(seed: 7)
    for parameter in model.table.parameters where Self.isShort(parameter.name) {
      for index in parameter.range {
        model.weights[index] = Float(bitPattern: model.weights[index].bitPattern & 0xffff_0000)
      }
    }
    try ModelFile.write(model, files: Samples.files, to: scratch("model.h5"))
    try HuggingFaceFolder.write(model, files: Samples.files, to: scratch("folder"), type: .bfloat16)
    for path in [scratch("model.h5"), scratch("folder")] {
      let wanted = try Self.logits(ModelSource.load(path).model)
      for threads in [1, 3] {
        let pool = WorkerPool(threadCount: threads)
        let sampling = try ModelSource.load(path, valueHead: false, for: .sampling, pool: pool).model
        // A failure must not print 94,000 numbers.
        let isEqual = Self.logits(sampling) == wanted
        #expect(isEqual, "\(path), \(threads) threads")
      }
      #expect(Set(wanted).count > 1000)
    }
  }

  /// The bits of the logits behind ten tokens from all over the vocabulary.
  private static func logits(_ model: LanguageModel) -> [UInt32] {
    let pool = WorkerPool(threadCount: 1)
    let pass = SamplingPass(model: model, pool: pool, slotCount: 1, capacity: 16)
    let size = model.configuration.vocabularySize
    let rows = (0..<10).map {
      SamplingPass.Row(slot: 0, token: Int32($0 * (size - 1) / 9), position: $0, wantsLogits: true)
    }
    var bits: [UInt32] = []
    pass.run(rows) { _, logits in bits += UnsafeBufferPointer(start: logits, count: size).map(\.bitPattern) }
    return bits
  }
}
