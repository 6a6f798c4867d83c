import Foundation
import Support
import Testing
import Transformer

@testable import Checkpoint

struct HuggingFaceFolderTests {
  struct Expected: Decodable {
    struct Model: Decodable {
      let weights: [String: Data]
      let hash: String
    }
    let models: [String: Model]
  }

  @Test(arguments: ["qwen2-tied-f32", "qwen3-f16", "llama-bf16-shards"])
  func foldersOfTransformersAreRead(_ name: String) throws {
    let json = try Data(contentsOf: URL(filePath: try Samples.fixture("expected.json")))
    let expected = try #require(try JSONDecoder().decode(Expected.self, from: json).models[name])
    var shares: [Double] = []
    let stored = try HuggingFaceFolder.read(try Samples.fixture(name)) { shares.append($0) }
    #expect(Set(stored.model.table.parameters.map(\.name)) == Set(expected.weights.keys))
    for parameter in stored.model.table.parameters {
      let bytes = Data(
        stored.model.weights[parameter.range].flatMap { withUnsafeBytes(of: $0.bitPattern) { Array($0) } })
      #expect(bytes == expected.weights[parameter.name], "\(parameter.name)")
    }
    #expect(weightsHash(stored.model) == expected.hash)
    #expect(stored.model.configuration.stopTokens == [3, 5])
    #expect(shares.last == 1 && shares == shares.sorted())
  }

  @Test(arguments: ModelConfiguration.Architecture.allCases, [true, false])
  func roundTripKeepsEveryBit(_ architecture: ModelConfiguration.Architecture, tied: Bool) throws {
    let scratch = try Scratch()
    let model = Samples.model(Samples.configuration(architecture, tied: tied))
    let folder = scratch("out")
    for _ in 0..<2 {
      try HuggingFaceFolder.write(model, files: Samples.files, to: folder)
      let read = try HuggingFaceFolder.read(folder)
      #expect(Samples.bits(read.model.weights) == Samples.bits(model.weights))
      #expect(read.model.configuration == model.configuration)
      #expect(read.files == Samples.files)
    }
    // As the format's own library does, the tensors begin at a multiple of 8.
    let weights = try Data(contentsOf: URL(filePath: scratch("out/model.safetensors")))
    #expect(weights.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) } % 8 == 0)
    #expect(try FileManager.default.names(scratch.path) == ["out"])
    #expect(try FileManager.default.names(folder).allSatisfy { !$0.hasPrefix(".") })
    try HuggingFaceFolder.write(model, files: ModelFiles(), to: scratch("short"), type: .bfloat16)
    let short = try HuggingFaceFolder.read(scratch("short")).model
    try ModelFile.write(model, files: ModelFiles(), to: scratch("short.h5"), type: .bfloat16)
    #expect(Samples.bits(short.weights) == Samples.bits(try ModelFile.read(scratch("short.h5")).model.weights))
  }

  @Test func templatesAreFound() throws {
    let path = "t"
    func embedded(_ json: String) throws -> String? {
      try HuggingFaceFolder.embeddedTemplate(Data(json.utf8), path: path)
    }
    #expect(try embedded(#"{"chat_template": "one"}"#) == "one")
    #expect(
      try embedded(#"{"chat_template": [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "y"}]}"#)
        == "y")
    #expect(try embedded(#"{"chat_template": null}"#) == nil)
    #expect(try embedded("{}") == nil)
    Samples.failure(.data, mentions: "chat_template") { _ = try embedded(#"{"chat_template": 3}"#) }
    Samples.failure(.data) { _ = try embedded("[") }
    let scratch = try Scratch()
    let model = Samples.model(Samples.configuration(.qwen2))
    let files = ModelFiles(tokenizerConfig: Data(#"{"chat_template": "inside"}"#.utf8), chatTemplate: "inside")
    try HuggingFaceFolder.write(model, files: files, to: scratch("out"))
    #expect(!exists(scratch("out/chat_template.jinja")))
    var read = try HuggingFaceFolder.read(scratch("out")).files
    // An export says which ids end a text.
    #expect(read.generationConfig.map { String(decoding: $0, as: UTF8.self).contains("eos_token_id") } == true)
    read.generationConfig = nil
    #expect(read == files)
    try Data("beside".utf8).write(to: URL(filePath: scratch("out/chat_template.jinja")))
    #expect(try HuggingFaceFolder.read(scratch("out")).files.chatTemplate == "beside")
  }

  @Test func everyTruncationIsAnError() throws {
    let scratch = try Scratch()
    let model = Samples.model(Samples.configuration(.llama))
    try HuggingFaceFolder.write(model, files: ModelFiles(), to: scratch("out"))
    let path = scratch("out/model.safetensors")
    let whole = try Data(contentsOf: URL(filePath: path))
    for length in Array(stride(from: 0, to: whole.count, by: 53)) + [1, 7, 8, 9, whole.count - 1] {
      try whole.prefix(length).write(to: URL(filePath: path))
      Samples.failure(.data, mentions: "model.safetensors") { _ = try HuggingFaceFolder.read(scratch("out")) }
    }
    try (whole + [0]).write(to: URL(filePath: path))
    Samples.failure(.data, mentions: "model.safetensors") { _ = try HuggingFaceFolder.read(scratch("out")) }
  }

  /// Headers that lie, each as the whole table of a file with eight bytes of data.
  @Test(arguments: [
    ("[]", "header"), ("{", "header"), (#"{"a":3}"#, "header"), (#"{"a":{"dtype":"F32","shape":[2]}}"#, "data_offsets"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}"#, "data_offsets"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, "data_offsets"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, "data_offsets"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0.5,8]}}"#, "header"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}"#, "data_offsets"),
    (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, "shape"),
    (#"{"a":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}"#, "shape"),
    (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#, "shape"),
    (#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}"#, "header"),
    (#"{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}"#, "F8_E4M3"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "bytes of data"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, "begin at 4"),
    (
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
      "data_offsets begin"
    ),
    (String(repeating: "[", count: 100_000), "header"),
  ])
  func liesInTheHeaderAreRefused(_ header: String, _ part: String) throws {
    let scratch = try Scratch()
    let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
    try (length + Data(header.utf8) + Data(count: 8)).write(to: URL(filePath: scratch("a.safetensors")))
    Samples.failure(.data, mentions: "a.safetensors", part) { _ = try SafetensorsFile(scratch("a.safetensors")) }
  }

  @Test(arguments: [0, 1, 17, 100_000_001, UInt64(Int64.max), UInt64.max, UInt64.max - 7])
  func absurdHeaderLengthsAreRefused(_ length: UInt64) throws {
    let scratch = try Scratch()
    let bytes = withUnsafeBytes(of: length.littleEndian) { Data($0) } + Data("{\"a\":{}}    ".utf8)
    try bytes.write(to: URL(filePath: scratch("a.safetensors")))
    Samples.failure(.data, mentions: "a.safetensors") { _ = try SafetensorsFile(scratch("a.safetensors")) }
  }

  /// A copy of a fixture's folder that a test may spoil.
  private func copy(_ name: String, _ scratch: Scratch) throws -> String {
    let folder = scratch("folder")
    try? FileManager.default.removeItem(atPath: folder)
    try FileManager.default.copyItem(atPath: try Samples.fixture(name), toPath: folder)
    return folder
  }

  private func replace(_ path: String, _ old: String, _ new: String) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.contains(old))
    try Data(text.replacingOccurrences(of: old, with: new).utf8).write(to: URL(filePath: path))
  }

  @Test func whatDoesNotBelongTogetherIsRefused() throws {
    let scratch = try Scratch()
    var folder = try copy("qwen2-tied-f32", scratch)
    try replace(folder + "/config.json", "\"vocab_size\": 13", "\"vocab_size\": 14")
    Samples.failure(.data, mentions: "model.embed_tokens.weight", "[13, 6]", "[14, 6]") {
      _ = try HuggingFaceFolder.read(folder)
    }
    folder = try copy("qwen2-tied-f32", scratch)
    try replace(folder + "/config.json", "\"vocab_size\": 13", "\"vocab_size\": 1073741824")
    Samples.failure(.data, mentions: "cannot hold") { _ = try HuggingFaceFolder.read(folder) }
    folder = try copy("qwen2-tied-f32", scratch)
    try replace(folder + "/config.json", "\"model_type\": \"qwen2\"", "\"model_type\": \"gpt_neox\"")
    Samples.failure(.configuration, mentions: "gpt_neox") { _ = try HuggingFaceFolder.read(folder) }
    folder = try copy("qwen2-tied-f32", scratch)
    try replace(folder + "/config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1")
    Samples.failure(.data, mentions: "model.layers.1.") { _ = try HuggingFaceFolder.read(folder) }
    folder = try copy("qwen2-tied-f32", scratch)
    try replace(folder + "/config.json", "\"model_type\": \"qwen2\"", "\"model_type\": \"llama\"")
    Samples.failure(.data, mentions: "bias", "not a parameter") { _ = try HuggingFaceFolder.read(folder) }
    folder = try copy("llama-bf16-shards", scratch)
    try replace(folder + "/config.json", "\"model_type\": \"llama\"", "\"model_type\": \"qwen2\"")
    Samples.failure(.data, mentions: "bias", "missing") { _ = try HuggingFaceFolder.read(folder) }
    folder = try copy("qwen2-tied-f32", scratch)
    try FileManager.default.removeItem(atPath: folder + "/config.json")
    Samples.failure(.data, mentions: "config.json") { _ = try HuggingFaceFolder.read(folder) }
    folder = try copy("qwen2-tied-f32", scratch)
    try FileManager.default.removeItem(atPath: folder + "/model.safetensors")
    Samples.failure(.data, mentions: "model.safetensors", "missing") { _ = try HuggingFaceFolder.read(folder) }
    Samples.failure(.io, mentions: "nowhere") { _ = try HuggingFaceFolder.read(scratch("nowhere")) }
  }

  @Test func shardsMustAgreeWithTheIndex() throws {
    let scratch = try Scratch()
    var folder = try copy("llama-bf16-shards", scratch)
    let index = "/model.safetensors.index.json"
    let shard = try #require(try FileManager.default.names(folder).first { $0.hasPrefix("model-00002") })
    try FileManager.default.removeItem(atPath: "\(folder)/\(shard)")
    Samples.failure(.data, mentions: shard) { _ = try HuggingFaceFolder.read(folder) }
    folder = try copy("llama-bf16-shards", scratch)
    try replace(folder + index, shard, "../folder/\(shard)")
    Samples.failure(.data, mentions: "weight_map") { _ = try HuggingFaceFolder.read(folder) }
    folder = try copy("llama-bf16-shards", scratch)
    try FileManager.default.removeItem(atPath: "\(folder)/\(shard)")
    try FileManager.default.copyItem(
      atPath: "\(folder)/\(shard.replacingOccurrences(of: "model-00002", with: "model-00001"))",
      toPath: "\(folder)/\(shard)")
    Samples.failure(.data, mentions: shard) { _ = try HuggingFaceFolder.read(folder) }
    folder = try copy("llama-bf16-shards", scratch)
    try Data("{}".utf8).write(to: URL(filePath: folder + index))
    Samples.failure(.data, mentions: "weight_map") { _ = try HuggingFaceFolder.read(folder) }
  }

  /// Old exports of tied models store the head as well; it must be the table.
  @Test func aTiedHeadMayBeThereIfItIsTheTable() throws {
    let scratch = try Scratch()
    let model = Samples.model(Samples.configuration(.qwen2, tied: false))
    let table = try #require(model.table["model.embed_tokens.weight"])
    let head = try #require(model.table["lm_head.weight"])
    for index in 0..<table.range.count {
      model.weights[head.range.lowerBound + index] = model.weights[table.range.lowerBound + index]
    }
    func write() throws {
      try HuggingFaceFolder.write(model, files: ModelFiles(), to: scratch("out"))
      try replace(scratch("out/config.json"), "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true")
    }
    try write()
    let read = try HuggingFaceFolder.read(scratch("out")).model
    #expect(read.table["lm_head.weight"] == nil)
    #expect(read.weights[3].bitPattern == model.weights[3].bitPattern)
    model.weights[head.range.upperBound - 1] += 1
    try write()
    Samples.failure(.data, mentions: "lm_head.weight") { _ = try HuggingFaceFolder.read(scratch("out")) }
  }

  @Test func foreignWeightsAreNotMixed() throws {
    let scratch = try Scratch()
    let folder = try copy("llama-bf16-shards", scratch)
    Samples.failure(.data, mentions: "other weights") {
      try HuggingFaceFolder.write(
        Samples.model(Samples.configuration(.qwen2)), files: ModelFiles(), to: folder)
    }
  }
}
