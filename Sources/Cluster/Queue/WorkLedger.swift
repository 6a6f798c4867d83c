/// Who has which item: what rank 0 remembers of a queue.
struct WorkLedger {
  private let order: [Int]
  private var next = 0
  private var holder: [Int?]
  private var done: [Bool]
  private var open: Int
  /// Unfinished items of each rank.
  private(set) var held: [Int]

  /// The dearest items come first, equal ones in their order.
  init(costs: [Double], ranks: Int) {
    order = costs.indices.sorted { (-costs[$0], $0) < (-costs[$1], $1) }
    holder = [Int?](repeating: nil, count: costs.count)
    done = [Bool](repeating: false, count: costs.count)
    open = costs.count
    held = [Int](repeating: 0, count: ranks)
  }

  var isFinished: Bool { open == 0 }

  /// Up to `room` items for a rank.
  mutating func take(_ room: Int, for rank: Int) -> [Int] {
    let items = Array(order[next..<min(order.count, next + max(0, room))])
    next += items.count
    for item in items { holder[item] = rank }
    held[rank] += items.count
    return items
  }

  mutating func finish(_ item: Int) {
    guard !done[item] else { return }
    done[item] = true
    open -= 1
    if let rank = holder[item] { held[rank] -= 1 }
  }

  mutating func move(_ item: Int, to rank: Int) {
    guard !done[item], let before = holder[item] else { return }
    held[before] -= 1
    held[rank] += 1
    holder[item] = rank
  }

  /// Who should give how many items to an idle rank: the busiest, half of what it has.
  func giver(atLeast threshold: Int, room: Int, except: Set<Int>) -> (rank: Int, count: Int)? {
    guard next == order.count else { return nil }
    let busy = held.indices.filter { !except.contains($0) && held[$0] >= threshold }
    guard let rank = busy.max(by: { (held[$0], -$0) < (held[$1], -$1) }) else { return nil }
    let count = min(room, held[rank] / 2)
    return count > 0 ? (rank, count) : nil
  }
}
