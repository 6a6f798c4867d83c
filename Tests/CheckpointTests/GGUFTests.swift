import Foundation
import Support
import Tensor
import Testing
import Tokenization

@testable import Checkpoint

/// Files of the gguf package (`tools/fixtures/gguf_models.py`), and damaged ones.
struct GGUFTests {
  struct Expected: Decodable {
    struct Model: Decodable {
      let architecture: String
      let weights: [String: String]
      let ids: [Int32]
    }
    let text: String
    let models: [String: Model]
  }

  @Test(arguments: ["qwen2-bf16.gguf", "qwen3-f16.gguf", "llama-q8.gguf"])
  func filesOfTheirOwnPackageAreRead(_ name: String) throws {
    let json = try Data(contentsOf: URL(filePath: try Samples.fixture("gguf/expected.json")))
    let expected = try JSONDecoder().decode(Expected.self, from: json)
    let wanted = try #require(expected.models[name])
    let path = try Samples.fixture("gguf/" + name)
    let stored = try ModelSource.load(path)
    let c = stored.model.configuration
    #expect(c.architecture.rawValue == wanted.architecture && c.contextLength == 64 && c.layerCount == 1)
    #expect(c.headCount == 2 && c.keyValueHeadCount == 1 && c.headWidth == (c.architecture == .qwen3 ? 32 : 16))
    #expect(c.rmsNormEpsilon == 1e-5 && c.ropeTheta == 5e4 && c.stopTokens == [261])
    #expect(c.tiedHead == (c.architecture == .qwen2) && c.vocabularySize == 263)
    #expect(Set(stored.model.table.parameters.map(\.name)) == Set(wanted.weights.keys))
    for parameter in stored.model.table.parameters {
      let hash = sha256Hex(of: UnsafeRawBufferPointer(stored.model.weights[parameter.range]))
      #expect(hash == wanted.weights[parameter.name], "\(parameter.name)")
    }
    let tokenizer = try Tokenizer(json: try #require(stored.files.tokenizer), path: path)
    #expect(tokenizer.encode(expected.text) == wanted.ids)
    #expect(stored.files.chatTemplate == "{{ messages[0].content }}")
    #expect(try ModelSource.header(path).configuration == c)
  }

  /// Begin token, end of text and ends of turns go where a Hugging Face folder has them, and out again with an export.
  @Test(arguments: ["llama-begin.gguf", "qwen2-begin.gguf"]) func specialTokensAreRead(_ name: String) throws {
    let scratch = try Scratch()
    for path in [try Samples.fixture("gguf/" + name), scratch("export")] {
      let stored = try ModelSource.load(path)
      #expect(stored.model.configuration.stopTokens == [260, 261, 259] && stored.model.configuration.beginToken == 262)
      let tokenizer = try Tokenizer(json: try #require(stored.files.tokenizer), path: path)
      #expect(tokenizer.beginTokens == [262])
      let special = try SpecialTokens(stored.files, path: path)
      #expect(special.begin == "[PAD]" && special.end == "12" && special.addsBegin == true)
      #expect(stored.files.chatTemplate == "{{ messages[0].content }}")
      if path.hasSuffix("gguf") {
        let hash = try HuggingFaceFolder.write(stored.model, files: stored.files, to: scratch("export"))
        #expect(hash == weightsHash(stored.model))
      }
    }
    for file in ["tokenizer_config.json", "generation_config.json", "chat_template.jinja"] {
      #expect(FileManager.default.fileExists(atPath: scratch("export") + "/" + file))
    }
  }

  /// The file's own word counts, then its kind of vocabulary.
  @Test func noBeginTokenWhereTheFileSaysSo() throws {
    var bytes = try Data(contentsOf: URL(filePath: try Samples.fixture("gguf/qwen2-begin.gguf")))
    let place = try #require(bytes.range(of: Data("tokenizer.ggml.add_bos_token".utf8))).upperBound + 4
    #expect(bytes[place] == 1)
    bytes[place] = 0
    let scratch = try Scratch()
    let path = scratch("none.gguf")
    try bytes.write(to: URL(filePath: path))
    let files = try GGUFModel.readHeader(path).files
    #expect(try Tokenizer(json: try #require(files.tokenizer), path: path).beginTokens == nil)
    #expect(try SpecialTokens(files, path: path).addsBegin == false)
    // An id that is no token's.
    let key = try #require(bytes.range(of: Data("tokenizer.ggml.bos_token_id".utf8))).upperBound + 4
    bytes[key + 1] = 9
    try bytes.write(to: URL(filePath: path))
    Samples.failure(.data, mentions: path, "tokenizer.ggml.bos_token_id") { _ = try GGUFModel.readHeader(path) }
  }

  /// Whoever refuses the vocabulary does so before any weight is read, from the one reading of the tables.
  @Test func theFilesAreCheckedFirst() throws {
    struct Refused: Error {}
    let path = try Samples.fixture("gguf/qwen2-bf16.gguf")
    var seen: [Data?] = []
    var shares: [Double] = []
    #expect(throws: Refused.self) {
      _ = try GGUFModel.read(
        path, progress: { shares.append($0) },
        check: {
          seen.append($0.tokenizer)
          throw Refused()
        })
    }
    #expect(seen == [try GGUFModel.readHeader(path).files.tokenizer] && shares.isEmpty)
    let stored = try GGUFModel.read(path, progress: { shares.append($0) }, check: { seen.append($0.tokenizer) })
    #expect(seen.count == 2 && seen[1] == stored.files.tokenizer && shares.last == 1)
  }

  @Test func everyCutIsRefused() throws {
    let bytes = try Data(contentsOf: URL(filePath: try Samples.fixture("gguf/llama-q8.gguf")))
    let scratch = try Scratch()
    let path = scratch("cut.gguf")
    for count in stride(from: 0, to: bytes.count, by: 97) {
      try bytes.prefix(count).write(to: URL(filePath: path))
      Samples.failure(.data, mentions: path) { _ = try GGUFModel.read(path) }
    }
  }

  /// What the file says is believed only as far as it can be true, and the message names the place.
  @Test(arguments: [
    ("llama.block_count", 4, "cannot hold"), ("llama.feed_forward_length", 4, "has shape"),
    ("tokenizer.ggml.tokens", 12, "are left"), ("tokenizer.ggml.token_type", 12, "entries for 263 tokens"),
    ("general.architecture", 12, "general.architecture"),
  ])
  func liesAreRefused(_ key: String, _ behind: Int, _ message: String) throws {
    var bytes = try Data(contentsOf: URL(filePath: try Samples.fixture("gguf/llama-q8.gguf")))
    let place = try #require(bytes.range(of: Data(key.utf8))).upperBound
    // Behind the key come the type (4 bytes) and, for a list, the type of its elements and their count.
    switch key {
    case "tokenizer.ggml.tokens": bytes[place + 8 + 5] = 1
    case "tokenizer.ggml.token_type": bytes[place + 8] -= 1
    case "general.architecture": bytes[place - 1] = UInt8(ascii: "x")
    default: bytes[place + behind] += 1
    }
    let scratch = try Scratch()
    let path = scratch("lie.gguf")
    try bytes.write(to: URL(filePath: path))
    if key == "tokenizer.ggml.token_type" {
      // One element less: what follows is read at the wrong place.
      Samples.failure(.data, mentions: path) { _ = try GGUFModel.read(path) }
    } else {
      Samples.failure(.data, mentions: path, message) { _ = try GGUFModel.read(path) }
    }
  }

  /// Types that are not read, and numbers that stand for none, with what to take instead.
  @Test(arguments: [(16, "IQ2_XXS"), (34, "TQ1_0"), (9, "Q8_1"), (26, "I32"), (77, "number 77")])
  func otherTypesAreNamed(_ number: UInt8, _ type: String) throws {
    var bytes = try Data(contentsOf: URL(filePath: try Samples.fixture("gguf/llama-q8.gguf")))
    let name = try #require(bytes.range(of: Data("blk.0.attn_q.weight".utf8))).upperBound
    bytes[name + 4 + 16] = number
    let scratch = try Scratch()
    let path = scratch("other.gguf")
    try bytes.write(to: URL(filePath: path))
    Samples.failure(.data, mentions: "blk.0.attn_q.weight", "type \(type)", "Q8_0, Q2_K") {
      _ = try GGUFModel.read(path)
    }
  }

  /// Every quantised type, to the bit as gguf-py: numbers as models have them, then the edges of the scales (zero,
  /// subnormal, largest, infinite, NaN). `tools/fixtures/gguf_blocks.py`
  @Test(arguments: NumberFormat.allCases.filter(\.isQuantised))
  func blocksAreReadToTheBit(_ format: NumberFormat) throws {
    let file = try GGUFFile(try Samples.fixture("gguf/blocks.gguf"))
    let stored = try #require(file.tensors[format.rawValue])
    let wanted = try #require(file.tensors[format.rawValue + ".numbers"])
    #expect(stored.format == format && stored.shape == wanted.shape && stored.count == 18 * format.block.numbers)
    func numbers(_ tensor: StoredTensor) throws -> [Float] {
      try [Float](unsafeUninitializedCapacity: tensor.count) { buffer, filled in
        try tensor.read(0..<tensor.count, into: buffer.baseAddress!)
        filled = tensor.count
      }
    }
    let (read, expected) = (try numbers(stored), try numbers(wanted))
    #expect(zip(read, expected).allSatisfy { $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN })
    #expect(expected.contains { $0.isNaN } && expected.contains { $0.isInfinite } && Set(expected).count > 100)
    // From the middle, block by block.
    let block = format.block.numbers
    try withUnsafeTemporaryAllocation(of: Float.self, capacity: block) { part in
      for first in stride(from: 0, to: 9 * block, by: block) {
        try stored.read(first..<first + block, into: part.baseAddress!)
        #expect(zip(part, expected[first...]).allSatisfy { $0.bitPattern == $1.bitPattern })
      }
    }
  }

  /// A model whose matrices have all the quantised types in turn.
  @Test func aModelOfManyTypesIsRead() throws {
    struct Mixed: Decodable { let weights: [String: String] }
    let json = try Data(contentsOf: URL(filePath: try Samples.fixture("gguf/mixed.json")))
    let wanted = try JSONDecoder().decode(Mixed.self, from: json).weights
    let path = try Samples.fixture("gguf/mixed.gguf")
    let model = try ModelSource.load(path).model
    #expect(Set(model.table.parameters.map(\.name)) == Set(wanted.keys) && model.configuration.tiedHead)
    for parameter in model.table.parameters {
      let hash = sha256Hex(of: UnsafeRawBufferPointer(model.weights[parameter.range]))
      #expect(hash == wanted[parameter.name], "\(parameter.name)")
    }
    let types = Set(try GGUFFile(path).tensors.values.map(\.format))
    #expect(types == Set(NumberFormat.allCases.filter { $0.isQuantised || $0 == .float32 }))
    // Cut in the middle of a block, and in the last one.
    let bytes = try Data(contentsOf: URL(filePath: path))
    let scratch = try Scratch()
    for count in [bytes.count / 2 + 1, bytes.count - 33] {
      try bytes.prefix(count).write(to: URL(filePath: scratch("cut.gguf")))
      Samples.failure(.data, mentions: "cut.gguf") { _ = try GGUFModel.read(scratch("cut.gguf")) }
    }
  }

  /// Rows that are no whole number of blocks of their type.
  @Test func rowsBesideTheBlocksAreRefused() throws {
    var bytes = try Data(contentsOf: URL(filePath: try Samples.fixture("gguf/llama-q8.gguf")))
    let name = try #require(bytes.range(of: Data("blk.0.attn_q.weight".utf8))).upperBound
    bytes[name + 4 + 16] = 12  // Q4_K, whose blocks have 256 numbers; rows here have 32
    let scratch = try Scratch()
    let path = scratch("rows.gguf")
    try bytes.write(to: URL(filePath: path))
    Samples.failure(.data, mentions: "blk.0.attn_q.weight", "rows of 32", "Q4_K blocks of 256") {
      _ = try GGUFModel.read(path)
    }
  }
}
