import Foundation
import Support
import Tensor
import Testing
import Transformer

@testable import Checkpoint

/// Against folders that PEFT wrote, and its own logits (tools/fixtures/adapters.py).
struct PEFTFolderTests {
  private struct Expected: Decodable {
    let tokens: [Int32]
    let base: [[Float]]
    let adapters: [String: [[Float]]]
  }

  private let scratch: Scratch
  private let expected: Expected

  init() throws {
    scratch = try Scratch()
    let json = try Data(contentsOf: URL(filePath: try Samples.fixture("peft/expected.json")))
    expected = try JSONDecoder().decode(Expected.self, from: json)
  }

  private func base() throws -> StoredModel { try HuggingFaceFolder.read(try Samples.fixture("peft/base")) }

  /// The largest difference between the model's logits and `expected`.
  private func error(_ model: LanguageModel, _ expected: [[Float]]) -> Float {
    let pool = WorkerPool(threadCount: 1)
    let pass = SamplingPass(model: model, pool: pool, slotCount: 1, capacity: 64)
    var found = [[Float]](repeating: [], count: self.expected.tokens.count)
    let rows = self.expected.tokens.enumerated().map {
      SamplingPass.Row(slot: 0, token: $1, position: $0, wantsLogits: true)
    }
    found.withUnsafeMutableBufferPointer { found in
      pass.run(rows) { found[$0] = Array(UnsafeBufferPointer(start: $1, count: pass.vocabularySize)) }
    }
    return zip(found.joined(), expected.joined()).reduce(0) { max($0, abs($1.0 - $1.1)) }
  }

  @Test(arguments: ["all", "rslora"])
  func anAdapterOfPEFTGivesItsLogits(_ name: String) throws {
    let logits = try #require(expected.adapters[name])
    #expect(try error(base().model, expected.base) < 1e-5)
    let folder = try Samples.fixture("peft/" + name)
    #expect(try error(base().merging(StoredAdapter.load(folder)).model, logits) < 1e-5)
    // The adapter is seen, and so is one that is scaled, or whose layers are exchanged.
    #expect(try error(base().model, logits) > 0.05)
    try copy(name)
    try editConfig { $0["lora_alpha"] = 1.1 * ($0["lora_alpha"] as? Double ?? 0) }
    #expect(try error(base().merging(StoredAdapter.load(scratch("adapter"))).model, logits) > 0.005)
    try copy(name)
    try editNames {
      $0.replacing("layers.0.", with: "layers.x.").replacing("layers.1.", with: "layers.0.")
        .replacing("layers.x.", with: "layers.1.")
    }
    #expect(try error(base().merging(StoredAdapter.load(scratch("adapter"))).model, logits) > 0.05)
  }

  /// PEFT's own folder, read and written again: the same names, shapes and numbers.
  @Test func whatIsWrittenIsWhatPEFTWrites() throws {
    let source = try Samples.fixture("peft/all")
    try PEFTFolder.write(try StoredAdapter.load(source), to: scratch("out"))
    let (own, other) = (
      try SafetensorsFile(scratch("out/adapter_model.safetensors")).tensors,
      try SafetensorsFile(source + "/adapter_model.safetensors").tensors
    )
    #expect(Set(own.keys) == Set(other.keys))
    for (name, tensor) in own {
      #expect(try values(tensor) == values(try #require(other[name])), "\(name)")
      #expect(tensor.shape == other[name]?.shape)
    }
    let (config, theirs) = (try json(scratch("out")), try json(source))
    for key in config.keys where key != "target_modules" {
      #expect(config[key] as? NSObject == theirs[key] as? NSObject, "\(key)")
    }
    #expect(Set(config["target_modules"] as? [String] ?? []) == Set(theirs["target_modules"] as? [String] ?? []))
    #expect(try StoredAdapter.load(scratch("out")).hash == StoredAdapter.load(source).hash)
  }

  @Test func halfPrecisionRoundsOnce() throws {
    let adapter = try StoredAdapter.load(try Samples.fixture("peft/all"))
    try PEFTFolder.write(adapter, to: scratch("half"), type: .bfloat16, baseModel: "a/b")
    let half = try StoredAdapter.load(scratch("half"))
    #expect(half.baseModel == "a/b")
    #expect(
      try SafetensorsFile(scratch("half/adapter_model.safetensors")).tensors.values.allSatisfy {
        $0.format == .bfloat16
      })
    for (short, long) in zip(half.factors, adapter.factors) {
      #expect(zip(short.numbers, long.numbers).allSatisfy { $0 == Float(bitPattern: UInt32(bfloat16Bits($1)) << 16) })
      #expect(short.numbers.elementsEqual(long.numbers) == false)
    }
    Samples.failure(.data, mentions: "other weights") {
      try PEFTFolder.write(adapter, to: try Samples.fixture("peft/base"))
    }
  }

  /// Each is refused with the place that is wrong. PEFT itself takes the first two, and the adapter then does nothing.
  @Test(arguments: [
    ("prefix", "base_model.xodel."), ("module", "self_attn.x_proj"), ("embedding", "lora_embedding_A"),
    ("layer", "layers.1.self_attn.q_proj.lora_A"), ("rank", "r = 4"), ("targets", "target_modules"),
    ("more targets", "lm_head"), ("alpha", "lora_alpha"), ("dora", "use_dora"), ("bias", "bias"),
    ("saved", "modules_to_save"), ("pattern", "rank_pattern"), ("start", "init_lora_weights"),
    ("kind", "peft_type"), ("weights", "adapter_model.safetensors"), ("unknown", "use_novelty"),
  ])
  func aWrongFolderIsRefused(_ fault: String, _ mention: String) throws {
    try copy("all")
    switch fault {
    case "prefix": try editNames { $0.replacing("base_model.model.", with: "base_model.xodel.") }
    case "module": try editNames { $0.replacing("layers.1.self_attn.q_proj", with: "layers.1.self_attn.x_proj") }
    case "embedding": try editNames { $0.replacing("layers.0.self_attn.q_proj.lora_A", with: "lora_embedding_A") }
    case "layer":
      try editNames { $0.replacing("layers.1.self_attn.q_proj.lora_A", with: "layers.2.self_attn.q_proj.lora_A") }
    case "rank": try editConfig { $0["r"] = 4 }
    case "targets": try editConfig { $0["target_modules"] = ["q_proj", "v_proj"] }
    case "more targets":
      try editConfig { $0["target_modules"] = ($0["target_modules"] as? [String] ?? []) + ["lm_head"] }
    case "alpha": try editConfig { $0["lora_alpha"] = nil }
    case "dora": try editConfig { $0["use_dora"] = true }
    case "bias": try editConfig { $0["bias"] = "lora_only" }
    case "saved": try editConfig { $0["modules_to_save"] = ["lm_head"] }
    case "pattern": try editConfig { $0["rank_pattern"] = ["q_proj": 8] }
    case "start": try editConfig { $0["init_lora_weights"] = "pissa" }
    case "kind": try editConfig { $0["peft_type"] = "IA3" }
    case "unknown": try editConfig { $0["use_novelty"] = true }
    default: removeAll(scratch("adapter/adapter_model.safetensors"))
    }
    Samples.failure(mentions: mention) { _ = try StoredAdapter.load(scratch("adapter")) }
  }

  @Test func anotherBaseIsRefused() throws {
    let adapter = try StoredAdapter.load(try Samples.fixture("peft/all"))
    func refuse(_ mention: String, _ change: (inout ModelConfiguration) -> Void) throws {
      var shape = try base().model.configuration
      change(&shape)
      Samples.failure(.data, mentions: mention) { _ = try adapter.added(to: LanguageModel(configuration: shape)) }
    }
    try refuse("layers.0.mlp.gate_proj.lora_B.weight: has shape [24, 3]") { $0.intermediateSize = 28 }
    try refuse("layers.1.") { $0.layerCount = 1 }
    try refuse("layers.2.self_attn.q_proj.lora_A.weight: is missing") { $0.layerCount = 3 }
    Samples.failure(.data, mentions: "holds no adapter") {
      _ = try StoredAdapter.load(try Samples.fixture("peft/base"))
    }
  }

  /// What a step of a run holds, on the run's own base, is the run's final model to the bit, through PEFT's files too.
  @Test func aStepsAdapterOnItsBaseIsTheModel() throws {
    let plain = Samples.configuration(.qwen3, valueHead: true)
    var shape = plain
    shape.adapters = LowRankAdapters(rank: 3, alpha: 7, targets: [.down, .query])
    let model = Samples.model(shape)
    try StepCheckpoint.write(
      run: scratch("run"), step: 1, model: model, files: Samples.files, optimizer: nil, state: Data(),
      keeping: .init(last: 1))
    let base = Samples.model(plain)
    #expect(Samples.bits(base.weights) == Samples.bits(model.base(valueHead: true).weights))
    let merged = Samples.bits(model.merged().weights)
    #expect(merged != Samples.bits(base.weights))
    func check(_ adapter: StoredAdapter) throws {
      #expect(adapter.adapters.targets == [.query, .down])
      let again = StoredModel(model: Samples.model(plain), files: Samples.files)
      #expect(Samples.bits(try again.merging(adapter).model.weights) == merged)
      // Trained on, it begins with the very factors.
      let added = try adapter.added(to: Samples.model(plain))
      for parameter in model.table.adapterParameters {
        let place = try #require(added.table[parameter.name]).range
        #expect(added.weights[place].elementsEqual(model.weights[parameter.range]), "\(parameter.name)")
      }
    }
    try check(StoredAdapter.load(scratch("run")))
    let step = scratch("run/step-00000001")
    try check(StoredAdapter.load(step))
    try PEFTFolder.write(StoredAdapter.load(step), to: scratch("peft"))
    try check(StoredAdapter.load(scratch("peft")))
  }

  @Test func stepsWithoutAnAdapterOfTheirOwnAreRefused() throws {
    func write(_ run: String, _ adapters: LowRankAdapters?) throws {
      var shape = Samples.configuration(.llama)
      shape.adapters = adapters
      try StepCheckpoint.write(
        run: scratch(run), step: 1, model: Samples.model(shape), files: Samples.files, optimizer: nil, state: Data(),
        keeping: .init(last: 1))
    }
    try write("plain", nil)
    Samples.failure(.data, mentions: "without lora") { _ = try StoredAdapter.load(scratch("plain")) }
    try write("principal", LowRankAdapters(rank: 2, start: .pissa))
    Samples.failure(.configuration, mentions: "pissa") { _ = try StoredAdapter.load(scratch("principal")) }
  }

  // MARK: - Damage

  private func values(_ tensor: StoredTensor) throws -> [Float] {
    var values = [Float](repeating: 0, count: tensor.count)
    try values.withUnsafeMutableBufferPointer { try tensor.read(0..<tensor.count, into: try #require($0.baseAddress)) }
    return values
  }

  private func json(_ folder: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(filePath: folder + "/adapter_config.json"))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  private func copy(_ name: String) throws {
    removeAll(scratch("adapter"))
    try FileManager.default.copyItem(atPath: try Samples.fixture("peft/" + name), toPath: scratch("adapter"))
  }

  private func editConfig(_ edit: (inout [String: Any]) -> Void) throws {
    var config = try json(scratch("adapter"))
    edit(&config)
    try JSONSerialization.data(withJSONObject: config).write(to: URL(filePath: scratch("adapter/adapter_config.json")))
  }

  /// Changes the table of the safetensors file, whose length stays valid.
  private func editNames(_ edit: (String) -> String) throws {
    let url = URL(filePath: scratch("adapter/adapter_model.safetensors"))
    let data = try Data(contentsOf: url)
    let length = Int(data.prefix(8).withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) })
    let header = Data(edit(String(decoding: data[8..<8 + length], as: UTF8.self)).utf8)
    let start = Data(withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) })
    try (start + header + data[(8 + length)...]).write(to: url)
  }
}
