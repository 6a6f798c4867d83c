import Tensor

/// Keys and values of one sequence, of all layers. Memory is taken as the sequence grows.
final class KeyValueCache {
  private let layerCount: Int
  private let shape: AttentionShape
  private let limit: Int
  /// Positions that there is memory for.
  private var room = 0
  private var memory = FloatBuffer(count: 0)

  init(_ c: ModelConfiguration, limit: Int) {
    layerCount = c.layerCount
    shape = c.attentionShape
    self.limit = limit
  }

  func store(layer: Int) -> KeyValueStore { Self.store(memory, layer: layer, room: room, shape: shape) }

  /// Makes room for positions 0..<length; what is cached stays.
  func reserve(_ length: Int) {
    guard length > room else { return }
    let larger = min(limit, max((length + 63) / 64 * 64, 2 * room))
    precondition(length <= larger, "position \(length - 1) is beyond the capacity of \(limit) tokens a slot")
    let next = FloatBuffer(count: layerCount * KeyValueStore.floatCount(capacity: larger, shape: shape))
    if room > 0 {
      for layer in 0..<layerCount {
        Self.store(next, layer: layer, room: larger, shape: shape)
          .copy(from: store(layer: layer), length: room, shape: shape)
      }
    }
    memory = next
    room = larger
  }

  /// Takes over positions 0..<length of another cache.
  func copy(_ other: KeyValueCache, length: Int) {
    precondition(length <= other.room, "\(length) positions asked for, but only \(other.room) can be there")
    reserve(length)
    for layer in 0..<layerCount {
      store(layer: layer).copy(from: other.store(layer: layer), length: length, shape: shape)
    }
  }

  private static func store(_ memory: FloatBuffer, layer: Int, room: Int, shape: AttentionShape) -> KeyValueStore {
    let size = KeyValueStore.floatCount(capacity: room, shape: shape)
    return KeyValueStore(base: memory.pointer + layer * size, capacity: room, shape: shape)
  }
}

extension ModelConfiguration {
  var attentionShape: AttentionShape {
    AttentionShape(headCount: headCount, keyValueHeadCount: keyValueHeadCount, headWidth: headWidth)
  }
}
