import Support
import Transformer

extension StoredAdapter {
  /// A and B with their shapes, in order.
  public var entries: [(name: String, shape: [Int])] { factors.map { ($0.name, $0.shape) } }

  /// SHA-256 over rank, scale, names, shapes and fp32 bits: the identity of an adapter whatever folder holds it.
  public var hash: String {
    var hasher = WeightsHasher()
    hasher.begin("rank \(adapters.rank), alpha \(adapters.alpha)", shape: [])
    for factor in factors {
      hasher.begin(factor.name, shape: factor.shape)
      hasher.update(factor.numbers)
    }
    return hasher.hexDigest()
  }
}

extension ModelSummary {
  /// What a model in memory has, as a file of it in fp32 would.
  public init(_ stored: StoredModel) {
    let table = stored.model.table
    self.init(
      configuration: stored.model.configuration,
      parameters: table.parameters.map { Entry(name: $0.name, shape: $0.shape, type: "f32") },
      fileBytes: table.parameters.reduce(0) { $0 + 4 * $1.range.count },
      weightsHash: Checkpoint.weightsHash(stored.model), files: stored.files.named.map(\.name))
  }
}
