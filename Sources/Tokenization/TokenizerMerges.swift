/// Byte strings -> ids, open addressing over one arena.
struct ByteStringTable: Sendable {
  private var arena: [UInt8] = []
  private var starts: [Int] = [0]
  private var ids: [Int32] = []
  private var slots: [Int32]

  init(capacity: Int) {
    var size = 16
    while size < capacity * 2 { size *= 2 }
    slots = [Int32](repeating: -1, count: size)
    ids.reserveCapacity(capacity)
    starts.reserveCapacity(capacity + 1)
    arena.reserveCapacity(capacity * 8)
  }

  /// Puts the pair in; the id already there, and no change, if the key is known.
  mutating func insert(_ key: UnsafeBufferPointer<UInt8>, _ id: Int32) -> Int32? {
    if ids.count * 2 >= slots.count { grow() }
    var slot = Int(truncatingIfNeeded: Self.hash(key)) & (slots.count - 1)
    while slots[slot] >= 0 {
      if equals(Int(slots[slot]), key) { return ids[Int(slots[slot])] }
      slot = (slot + 1) & (slots.count - 1)
    }
    slots[slot] = Int32(ids.count)
    arena.append(contentsOf: key)
    starts.append(arena.count)
    ids.append(id)
    return nil
  }

  func find(_ key: UnsafeBufferPointer<UInt8>) -> Int32? {
    var slot = Int(truncatingIfNeeded: Self.hash(key)) & (slots.count - 1)
    while slots[slot] >= 0 {
      if equals(Int(slots[slot]), key) { return ids[Int(slots[slot])] }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  private mutating func grow() {
    slots = [Int32](repeating: -1, count: slots.count * 2)
    arena.withUnsafeBufferPointer { arena in
      for entry in ids.indices {
        let key = UnsafeBufferPointer(rebasing: arena[starts[entry]..<starts[entry + 1]])
        var slot = Int(truncatingIfNeeded: Self.hash(key)) & (slots.count - 1)
        while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(entry)
      }
    }
  }

  private func equals(_ entry: Int, _ key: UnsafeBufferPointer<UInt8>) -> Bool {
    let start = starts[entry]
    guard starts[entry + 1] - start == key.count else { return false }
    return arena.withUnsafeBufferPointer { arena in
      for offset in 0..<key.count where arena[start + offset] != key[offset] { return false }
      return true
    }
  }

  /// FNV-1a, its high half folded in.
  static func hash(_ key: UnsafeBufferPointer<UInt8>) -> UInt64 {
    var value: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in key { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return value ^ value >> 29
  }
}

/// The merges: a pair of ids -> rank and merged id, open addressing.
struct MergeTable: Sendable {
  private var keys: [UInt64]
  private var values: [UInt64]
  private(set) var count = 0
  private static let empty = UInt64.max
  static let none = UInt64.max

  init(capacity: Int) {
    var size = 16
    while size * 2 < capacity * 3 { size *= 2 }
    keys = [UInt64](repeating: Self.empty, count: size)
    values = [UInt64](repeating: 0, count: size)
  }

  /// A later merge of the same pair replaces an earlier one, as in the library.
  mutating func insert(_ left: Int32, _ right: Int32, rank: Int, id: Int32) {
    if count * 4 >= keys.count * 3 {
      let (oldKeys, oldValues) = (keys, values)
      self = MergeTable(capacity: oldKeys.count * 2)
      for (key, value) in zip(oldKeys, oldValues) where key != Self.empty { put(key, value) }
    }
    put(UInt64(UInt32(left)) << 32 | UInt64(UInt32(right)), UInt64(rank) << 32 | UInt64(UInt32(id)))
  }

  private mutating func put(_ key: UInt64, _ value: UInt64) {
    var slot = Self.slot(key, keys.count)
    while keys[slot] != Self.empty && keys[slot] != key { slot = (slot + 1) & (keys.count - 1) }
    if keys[slot] == Self.empty { count += 1 }
    keys[slot] = key
    values[slot] = value
  }

  /// `rank << 32 | id`, or `none`.
  @inline(__always)
  func find(_ left: Int32, _ right: Int32) -> UInt64 {
    let key = UInt64(UInt32(left)) << 32 | UInt64(UInt32(right))
    return keys.withUnsafeBufferPointer { keys in
      var slot = Self.slot(key, keys.count)
      while keys[slot] != key {
        if keys[slot] == Self.empty { return Self.none }
        slot = (slot + 1) & (keys.count - 1)
      }
      return values[slot]
    }
  }

  @inline(__always)
  private static func slot(_ key: UInt64, _ count: Int) -> Int {
    let mixed = key &* 0x9e37_79b9_7f4a_7c15
    return Int(truncatingIfNeeded: mixed ^ mixed >> 32) & (count - 1)
  }
}

/// Merges the symbols of one word: lowest rank first, leftmost first among equals. O(n log n) by a heap.
struct WordMerger {
  private var ids: [Int32] = []  // -1: swallowed by its left neighbour
  private var previous: [Int32] = []
  private var next: [Int32] = []
  private var heap: [UInt64] = []  // rank << 32 | place of the left symbol

  /// Replaces `symbols` by their merges. `forbidden` ids are never made.
  mutating func merge(_ symbols: inout [Int32], _ table: MergeTable, forbidden: Set<Int32>) {
    let count = symbols.count
    guard count > 1 else { return }
    ids.removeAll(keepingCapacity: true)
    previous.removeAll(keepingCapacity: true)
    next.removeAll(keepingCapacity: true)
    heap.removeAll(keepingCapacity: true)
    ids.append(contentsOf: symbols)
    for place in 0..<count {
      previous.append(Int32(place - 1))
      next.append(place + 1 < count ? Int32(place + 1) : -1)
    }
    for place in 0..<count - 1 { offer(place, table, forbidden) }
    while let entry = pop() {
      let place = Int(entry & 0xffff_ffff)
      guard ids[place] >= 0, next[place] >= 0 else { continue }
      let right = Int(next[place])
      let merge = table.find(ids[place], ids[right])
      // An entry is stale where one of its symbols has changed since.
      guard merge != MergeTable.none, merge >> 32 == entry >> 32 else { continue }
      ids[place] = Int32(truncatingIfNeeded: merge)
      ids[right] = -1
      next[place] = next[right]
      if next[right] >= 0 { previous[Int(next[right])] = Int32(place) }
      if previous[place] >= 0 { offer(Int(previous[place]), table, forbidden) }
      if next[place] >= 0 { offer(place, table, forbidden) }
    }
    symbols.removeAll(keepingCapacity: true)
    for id in ids where id >= 0 { symbols.append(id) }
  }

  private mutating func offer(_ place: Int, _ table: MergeTable, _ forbidden: Set<Int32>) {
    let merge = table.find(ids[place], ids[Int(next[place])])
    guard merge != MergeTable.none else { return }
    if !forbidden.isEmpty, forbidden.contains(Int32(truncatingIfNeeded: merge)) { return }
    heap.append((merge & ~0xffff_ffff) | UInt64(place))
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if heap[parent] <= heap[child] { break }
      heap.swapAt(parent, child)
      child = parent
    }
  }

  private mutating func pop() -> UInt64? {
    guard let top = heap.first else { return nil }
    let last = heap.removeLast()
    guard !heap.isEmpty else { return top }
    heap[0] = last
    var parent = 0
    while true {
      var child = 2 * parent + 1
      if child >= heap.count { break }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      if heap[parent] <= heap[child] { break }
      heap.swapAt(parent, child)
      parent = child
    }
    return top
  }
}
