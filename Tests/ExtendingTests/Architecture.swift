import Transformer

/// The parameters that Qwen3's norm of queries and keys adds to Llama's.
func addedParameters() -> Set<String> {
  func names(_ architecture: ModelConfiguration.Architecture) -> Set<String> {
    let shape = ModelConfiguration(
      architecture: architecture, hiddenSize: 16, intermediateSize: 32, layerCount: 1,
      heads: .init(2), vocabularySize: 10)
    return Set(ParameterTable(shape).parameters.map(\.name))
  }
  return names(.qwen3).subtracting(names(.llama))
}
