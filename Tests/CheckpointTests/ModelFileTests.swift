import Foundation
import Support
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
}
