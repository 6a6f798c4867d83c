import Rollout
import Support
import Tensor

/// Which problem stands at each place of the endless order that `rl` takes its problems from. A function of the files'
/// sizes, their weights and the seed alone.
///
/// Without weights it is ``DataOrder`` over all problems. With weights each file has an endless order of its own, and a
/// place belongs to the file that is furthest behind its share: the largest (place + 1) w / W - (places it has had), W
/// the sum of the weights, ties to the first file.
final class ProblemOrder {
  /// The problems of each file; one list where files do not matter.
  private let pools: [[Int]]
  private let weights: [Double]
  private var orders: [EpochOrder]
  /// How many places before `place` belong to each file.
  private var taken: [Int]
  private var place = 0

  /// - Parameters:
  ///   - files: the file of each problem, from 0.
  ///   - weights: one for each file; empty: all problems come equally often.
  init(files: [Int], weights: [Double], seed: UInt64) {
    let pools =
      weights.isEmpty
      ? [Array(files.indices)]
      : weights.indices.map { file in files.indices.filter { files[$0] == file } }
    self.pools = pools
    self.weights = weights.isEmpty ? [1] : weights
    orders = pools.indices.map { file in
      EpochOrder(DataOrder(count: pools[file].count, seed: seed, file: weights.isEmpty ? nil : file))
    }
    taken = pools.map { _ in 0 }
  }

  /// The problem at `place`. Places are cheap to ask for in order.
  func item(at wanted: Int) -> Int {
    if wanted < place {
      place = 0
      taken = pools.map { _ in 0 }
    }
    // One file has all places.
    if pools.count == 1 { (place, taken[0]) = (wanted, wanted) }
    while place < wanted {
      taken[next] += 1
      place += 1
    }
    let file = next
    return pools[file][orders[file].item(at: taken[file])]
  }

  /// The first `count` problems of the order, each once.
  func first(_ count: Int) -> [Int] {
    var found: [Int] = []
    var seen = Set<Int>()
    var place = 0
    while found.count < min(count, pools.reduce(0, { $0 + $1.count })) {
      let problem = item(at: place)
      if seen.insert(problem).inserted { found.append(problem) }
      place += 1
    }
    return found
  }

  /// The file that `place` belongs to.
  private var next: Int {
    let total = weights.reduce(0, +)
    var best = 0
    var largest = -Double.infinity
    for file in pools.indices {
      let behind = Double(place + 1) * weights[file] / total - Double(taken[file])
      if behind > largest { (best, largest) = (file, behind) }
    }
    return best
  }

  /// A ``DataOrder`` that remembers the epoch it was asked for last.
  private struct EpochOrder {
    let order: DataOrder
    private var epoch = -1
    private var items: [Int] = []

    init(_ order: DataOrder) { self.order = order }

    mutating func item(at place: Int) -> Int {
      if place / order.count != epoch {
        epoch = place / order.count
        items = order.items(from: epoch * order.count, count: order.count)
      }
      return items[place % order.count]
    }
  }
}

extension ProblemOrder {
  /// The order of the problems that can be asked, by `data_weights` and the seed.
  /// - Parameter placed: all problems of `data`, with their files.
  /// - Throws: `MartletError` (data) for a file without such a problem, whose weight could not be kept.
  convenience init(_ problems: [Problem], of placed: [PlacedProblem], _ configuration: Configuration) throws {
    let file = Dictionary(placed.map { ($0.problem.id, $0.file) }) { first, _ in first }
    let files = problems.map { file[$0.id] ?? 0 }
    if let empty = configuration.dataWeights.indices.first(where: { !files.contains($0) }) {
      throw MartletError(
        .data,
        "\(configuration.data[empty]): there is no problem that can be asked, but data_weights gives it a share; leave "
          + "the file out")
    }
    self.init(files: files, weights: configuration.dataWeights, seed: configuration.seed)
  }
}
