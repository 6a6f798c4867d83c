/// Items on their way from a busy rank to an idle one: their length, then they themselves.
final class Parcel {
  private let source: Int
  private let header: UnsafeMutableRawBufferPointer
  private var body: UnsafeMutableRawBufferPointer?
  private var transfer: Transfer

  init(from source: Int, _ communicator: Communicator) {
    self.source = source
    header = .allocate(byteCount: 8, alignment: 8)
    transfer = communicator.receive(header, from: source, .work)
  }

  deinit {
    // What has not come may still come until the wire is dropped.
    guard transfer.isDone else { return }
    header.deallocate()
    body?.deallocate()
  }

  /// Under the communicator's lock.
  var hasNews: Bool { transfer.isDone }

  /// The items, when all of them have come.
  func open(_ communicator: Communicator) -> [WorkQueue.Work]? {
    if let body { return Self.items(Array(body)) }
    let count = Int(header.loadUnaligned(as: UInt64.self))
    body = .allocate(byteCount: count, alignment: 8)
    let transfer = communicator.receive(body!, from: source, .work)
    communicator.condition.withLock { self.transfer = transfer }
    return nil
  }

  /// Each item with what was done of it.
  static func bytes(_ items: [WorkQueue.Work]) -> [UInt8] {
    func number(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
    return number(UInt64(items.count))
      + items.flatMap { number(UInt64($0.item)) + number(UInt64($0.state?.count ?? 0)) + ($0.state ?? []) }
  }

  static func items(_ bytes: [UInt8]) -> [WorkQueue.Work] {
    bytes.withUnsafeBytes { bytes in
      func number(_ place: Int) -> Int { Int(bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)) }
      var place = 8
      return (0..<number(0)).map { _ in
        let (item, count) = (number(place), number(place + 8))
        defer { place += 16 + count }
        return WorkQueue.Work(item: item, state: Array(bytes[place + 16..<place + 16 + count]))
      }
    }
  }
}
