import Support
import Tensor

/// Keys and values of many sequences, of all layers, in pages of 16 positions.
///
/// A sequence takes pages as it grows. A copy shares the whole pages of what it begins with; a page that several hold
/// is copied by whoever writes into it.
final class KeyValueCache {
  private typealias Page = UnsafeMutablePointer<Float>

  private let layerCount: Int
  private let shape: AttentionShape
  /// Pages that a slot may have.
  private let pageLimit: Int
  /// Floats of one layer's part of a page.
  private let layerFloats: Int
  /// Addresses of each slot's pages, `pageLimit` entries a slot, and how many of them there are.
  private let tables: UnsafeMutablePointer<Page>
  private var pageCounts: [Int]
  private var holders: [Page: Int] = [:]
  private var free: [Page] = []
  private var memory: [FloatBuffer] = []

  private static let pageLength = KeyValueStore.pageLength
  /// Floats that are asked for at a time (16 MB): a page of them costs memory once it is touched.
  private static let chunkFloats = 1 << 22

  /// - Parameter limit: positions that a slot may have.
  init(_ c: ModelConfiguration, slots: Int, limit: Int) {
    layerCount = c.layerCount
    shape = c.attentionShape
    pageLimit = KeyValueStore.pageCount(length: limit)
    layerFloats = KeyValueStore.pageFloatCount(shape: shape)
    tables = .allocate(capacity: max(1, slots * pageLimit))
    pageCounts = [Int](repeating: 0, count: slots)
  }

  deinit { tables.deallocate() }

  /// What a layer's attention reads; valid until pages are next taken or copied.
  func store(slot: Int, layer: Int) -> KeyValueStore {
    KeyValueStore(pages: tables + slot * pageLimit, offset: layer * layerFloats)
  }

  /// Makes positions `range` of a slot writable. What it holds stays; positions between its end and the range have any
  /// values.
  func reserve(slot: Int, _ range: Range<Int>) {
    let pages = range.lowerBound / Self.pageLength..<KeyValueStore.pageCount(length: range.upperBound)
    precondition(pages.upperBound <= pageLimit, "positions \(range) are beyond the \(pageLimit) pages of a slot")
    let table = tables + slot * pageLimit
    while pageCounts[slot] < pages.upperBound {
      table[pageCounts[slot]] = take()
      pageCounts[slot] += 1
    }
    for index in pages where holders[table[index], default: 0] > 1 {
      let own = take()
      own.update(from: table[index], count: layerCount * layerFloats)
      giveBack(table[index])
      table[index] = own
    }
  }

  /// Makes slot `to` hold positions 0..<length of slot `from`, and nothing else.
  func copy(from: Int, to: Int, length: Int) {
    let count = KeyValueStore.pageCount(length: length)
    precondition(
      count <= pageCounts[from], "\(length) positions asked for, but slot \(from) has \(pageCounts[from]) pages")
    let source = tables + from * pageLimit
    for index in 0..<count { holders[source[index], default: 0] += 1 }
    let table = tables + to * pageLimit
    for index in 0..<pageCounts[to] { giveBack(table[index]) }
    table.update(from: source, count: count)
    pageCounts[to] = count
  }

  /// Forgets all sequences and gives their memory back.
  func removeAll() {
    for slot in pageCounts.indices { pageCounts[slot] = 0 }
    holders = [:]
    free = []
    memory = []
  }

  private func take() -> Page {
    if free.isEmpty {
      let pageFloats = layerCount * layerFloats
      let count = max(1, Self.chunkFloats / pageFloats)
      let chunk = FloatBuffer(count: count * pageFloats)
      memory.append(chunk)
      // The first of the chunk is taken first.
      free = (0..<count).reversed().map { chunk.pointer + $0 * pageFloats }
    }
    let page = free.removeLast()
    holders[page] = 1
    return page
  }

  private func giveBack(_ page: Page) {
    let left = holders[page, default: 1] - 1
    holders[page] = left > 0 ? left : nil
    if left == 0 { free.append(page) }
  }
}

extension ModelConfiguration {
  var attentionShape: AttentionShape {
    AttentionShape(headCount: headCount, keyValueHeadCount: keyValueHeadCount, headWidth: headWidth)
  }
}
