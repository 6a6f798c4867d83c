import Foundation
import Support
import Tensor
import Transformer

/// A model as llama.cpp keeps it: one GGUF file with weights, configuration and vocabulary.
public enum GGUFModel {
  /// Whether a path is one of these.
  public static func isNamed(_ path: String) -> Bool { path.hasSuffix(".gguf") }

  /// Reads a file of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K tensors. Quantised blocks become
  /// the fp32 numbers that gguf-py's `dequantize` makes of them, to the bit.
  /// - Parameters:
  ///   - pool: the threads that read.
  ///   - progress: called with the share of the weights read, in (0, 1].
  ///   - check: is given the model's files before any weight is read, and may throw.
  /// - Throws: `MartletError` with tensor or key and remedy: `io` when the file cannot be read, `configuration` for a
  ///   model that is not supported, else `data`.
  public static func read(
    _ path: String, valueHead: Bool = false, pool: WorkerPool = WorkerPool(), progress: (Double) -> Void = { _ in },
    check: (ModelFiles) throws -> Void = { _ in }
  ) throws -> StoredModel {
    let file = try GGUFFile(path)
    var (configuration, files) = try header(file)
    try check(files)
    let densities = file.tensors.values.map { Double($0.format.block.bytes) / Double($0.format.block.numbers) }
    try configuration.refuseBeyond(
      bytes: file.file.byteCount, bytesPerNumber: densities.min() ?? 4, path: path)
    let table = ParameterTable(configuration)
    let tensors = try table.parameters.map { try tensor($0, in: file) }
    let known = Set(tensors.map(\.name))
    if let other = file.tensors.keys.filter({ !known.contains($0) }).min() {
      throw MartletError(
        .configuration,
        "\(path): \(other): is not part of a \(configuration.architecture.rawValue) model here; "
          + "import the Hugging Face folder it was made from")
    }
    configuration.valueHead = valueHead
    let model = LanguageModel(configuration: configuration)
    let places = table.parameters.map { model.weights.pointer + $0.range.lowerBound }
    try WeightReader(pool: pool).read(
      zip(tensors, places).map { .init(tensor: $0, target: .numbers($1)) }, progress: progress)
    if configuration.architecture == .llama {
      for (parameter, place) in zip(table.parameters, places) { unpermute(parameter, place, configuration) }
    }
    return StoredModel(model: model, files: files)
  }

  /// Reads the configuration and the vocabulary, not the weights.
  public static func readHeader(_ path: String) throws -> (configuration: ModelConfiguration, files: ModelFiles) {
    try header(try GGUFFile(path))
  }

  private static func header(_ file: GGUFFile) throws -> (configuration: ModelConfiguration, files: ModelFiles) {
    let metadata = GGUFMetadata(file)
    let configuration = try ModelConfiguration(
      huggingFaceConfig: metadata.huggingFaceConfig(), generationConfig: nil, path: file.file.path)
    return (configuration, try metadata.files())
  }

  private static func tensor(_ parameter: Parameter, in file: GGUFFile) throws -> StoredTensor {
    let name = name(parameter.name)
    guard let tensor = file.tensors[name] else {
      throw MartletError(.data, "\(file.file.path): \(name): is missing; the file is not whole, copy it again")
    }
    guard tensor.shape == parameter.shape else {
      throw MartletError(
        .data,
        "\(file.file.path): \(name): has shape \(tensor.shape) where the file's own keys ask for \(parameter.shape); "
          + "copy the file again")
    }
    return tensor
  }

  /// The format's name of a parameter.
  private static func name(_ parameter: String) -> String {
    let whole = [
      "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
      "lm_head.weight": "output.weight",
    ]
    if let name = whole[parameter] { return name }
    let parts = parameter.split(separator: ".").map(String.init)  // model.layers.N.<module>[.<module>].weight
    let modules = [
      "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
      "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
      "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
      "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    ]
    let module = parts.dropFirst(3).dropLast().joined(separator: ".")
    return "blk.\(parts[2]).\(modules[module] ?? module).\(parts[parts.count - 1])"
  }

  /// llama.cpp stores a Llama's query and key rows with the halves of each head interleaved; here they follow each
  /// other.
  private static func unpermute(
    _ parameter: Parameter, _ rows: UnsafeMutablePointer<Float>, _ c: ModelConfiguration
  ) {
    guard parameter.name.hasSuffix("q_proj.weight") || parameter.name.hasSuffix("k_proj.weight") else { return }
    let (width, inputs) = (c.headWidth, parameter.shape[1])
    let head = UnsafeMutablePointer<Float>.allocate(capacity: width * inputs)
    defer { head.deallocate() }
    for first in stride(from: 0, to: parameter.shape[0], by: width) {
      head.update(from: rows + first * inputs, count: width * inputs)
      for row in 0..<width {
        let half = row / (width / 2)
        (rows + (first + row) * inputs).update(from: head + (row % (width / 2) * 2 + half) * inputs, count: inputs)
      }
    }
  }
}
