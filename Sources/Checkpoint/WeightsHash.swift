import Support
import Transformer

/// SHA-256 over names, shapes and fp32 little-endian bits of all parameters in table order: the identity of weights
/// whatever file holds them. Gaps of the flat buffer do not count.
public func weightsHash(_ model: LanguageModel) -> String {
  var hasher = WeightsHasher()
  for parameter in model.table.parameters {
    hasher.begin(parameter.name, shape: parameter.shape)
    hasher.update(UnsafeBufferPointer(model.weights[parameter.range]))
  }
  return hasher.hexDigest()
}

/// A ``weightsHash(_:)`` fed parameter by parameter.
struct WeightsHasher {
  private var hash = SHA256()

  /// What follows belongs to this parameter. A name ends in a zero byte; the shape is its rank and sizes, 8 bytes each.
  mutating func begin(_ name: String, shape: [Int]) {
    hash.update(name.utf8)
    hash.update(CollectionOfOne<UInt8>(0))
    for size in [shape.count] + shape {
      withUnsafeBytes(of: UInt64(size).littleEndian) { hash.update($0) }
    }
  }

  mutating func update(_ values: UnsafeBufferPointer<Float>) { hash.update(UnsafeRawBufferPointer(values)) }

  func hexDigest() -> String { hash.hexDigest() }
}
