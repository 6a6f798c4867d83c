import Synchronization
import TensorBase

extension KeyValueStore {
  func keys(head: Int, shape: AttentionShape) -> PositionPages {
    PositionPages(table: pages, offset: offset + head * 32 * shape.headWidth)
  }

  func values(head: Int, shape: AttentionShape) -> PositionPages {
    PositionPages(table: pages, offset: offset + (head * 32 + 16) * shape.headWidth)
  }
}

/// Where 16 positions each of something lie: by a table of addresses, or one behind the other.
struct PositionPages {
  private let table: UnsafePointer<UnsafeMutablePointer<Float>>?
  private let base: UnsafePointer<Float>
  private let stride: Int

  init(table: UnsafePointer<UnsafeMutablePointer<Float>>, offset: Int) {
    self.table = table
    base = UnsafePointer(table[0])
    stride = offset
  }

  /// - Parameter stride: floats from one page to the next.
  init(_ base: UnsafePointer<Float>, stride: Int) {
    table = nil
    self.base = base
    self.stride = stride
  }

  /// Rows by position, 16 of them a page.
  init(_ rows: Rows) { self.init(rows.pointer, stride: 16 * rows.stride) }

  @inline(__always)
  subscript(page: Int) -> UnsafePointer<Float> {
    if let table { return UnsafePointer(table[page]) + stride }
    return base + page &* stride
  }
}

/// Calls `body` with each item, once, in no fixed order, and memory of its own for as long as the call lasts.
func forEachItem(
  _ count: Int, scratchFloats: Int, scratch: AttentionScratch, pool: WorkerPool,
  _ body: (Int, UnsafeMutablePointer<Float>) -> Void
) {
  let workers = min(pool.threadCount, count)
  // Whole cache lines, so that workers do not share one.
  let stride = (scratchFloats + 31) & ~15
  let memory = scratch.reserve(workers * stride + 16)
  let next = Atomic<Int>(0)
  pool.run(workers) { worker in
    while true {
      let item = next.wrappingAdd(1, ordering: .relaxed).oldValue
      if item >= count { return }
      body(item, memory + worker * stride)
    }
  }
}
