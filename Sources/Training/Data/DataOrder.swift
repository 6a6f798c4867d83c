import Support
import Tensor

/// Which examples or problems each step takes. Every epoch is a permutation keyed by (seed, epoch); a step may cross
/// its end. There is no state, so a resumed run continues where it was.
struct DataOrder: Sendable {
  let count: Int
  let seed: UInt64
  /// Keys an order of its own for each of several files; nil: there is one order.
  var file: Int?

  /// The items of places `start..<start + length` in the endless order.
  func items(from start: Int, count length: Int) -> [Int] {
    precondition(count > 0, "DataOrder: there is nothing to order")
    var result: [Int] = []
    var epoch = -1
    var order: [Int] = []
    for place in start..<start + length {
      if place / count != epoch {
        epoch = place / count
        order = permutation(epoch)
      }
      result.append(order[place % count])
    }
    return result
  }

  private func permutation(_ epoch: Int) -> [Int] {
    let path = [stableHash("data order"), UInt64(epoch)] + (file.map { [UInt64($0)] } ?? [])
    var random = CounterRandom(seed: seed, path: path)
    var order = Array(0..<count)
    for place in stride(from: count - 1, to: 0, by: -1) { order.swapAt(place, random.integer(0...place)) }
    return order
  }
}
