import Support

/// Items that any rank may carry out. Rank 0 hands them out; its wire thread does, so that nobody waits for its work.
///
/// A rank asks for as many as it has room for. When none are left, one that has none gets half of those that the
/// busiest has not finished, with whatever that rank gives along to go on from. Which rank did what changes no result.
public final class WorkQueue: @unchecked Sendable {
  /// An item to carry out.
  public struct Work: Sendable {
    /// Its place.
    public var item: Int
    /// What another rank has done of it; nil: it is new.
    public var state: [UInt8]?
  }

  /// The most that is asked for at a time.
  static let largestRoom = 64

  enum Message: UInt64 {
    /// To rank 0: room for items. Back: items, or that there are none left.
    case ask = 1
    case give
    /// To rank 0: finished items; items that went to another rank.
    case done
    case moved
    /// From rank 0: give items to another rank; expect them from one; the end.
    case share
    case expect
    case closed
    /// To rank 0: end the queue before its time.
    case stop
  }

  let communicator: Communicator
  let id: UInt64
  private let count: Int
  let movesFrom: Int?

  // All below is under the communicator's lock.
  private var inbox: [Work] = []
  private var asked = false
  /// Rank 0 has nothing left to hand out.
  private var isExhausted = false
  private var room = 0
  private var isClosed = false
  private var stopped = false
  private var finished: [(item: Int, result: [UInt8])] = []
  private var share: (to: Int, count: Int)?
  private var expected: [Int] = []
  private var parcels: [Parcel] = []
  private var sent: [(Transfer, UnsafeMutableRawBufferPointer)] = []
  /// Rank 0's.
  var ledger: WorkLedger
  var idle: [Int: Int] = [:]
  var givers: Set<Int> = []

  init(_ communicator: Communicator, id: UInt64, costs: [Double], movesFrom: Int?) {
    precondition(!costs.isEmpty && !costs.contains { $0.isNaN }, "WorkQueue: \(costs.count) costs")
    self.communicator = communicator
    self.id = id
    count = costs.count
    self.movesFrom = movesFrom
    ledger = WorkLedger(costs: costs, ranks: communicator.size)
    communicator.condition.withLock {
      for (peer, message) in communicator.shared.earlyWork { take(message, from: peer) }
      communicator.shared.earlyWork = []
      communicator.shared.onWork = { [weak self] peer, message in self?.take(message, from: peer) }
    }
  }

  // MARK: - For who works

  /// What there is to do now, and asks for more; nil: the queue has ended.
  /// - Parameter room: how many more items the caller can work on.
  /// - Throws: `MartletError` with the fault's status.
  public func take(_ room: Int) throws -> [Work]? {
    try openParcels()
    communicator.condition.lock()
    defer { communicator.condition.unlock() }
    if let fault = communicator.shared.fault { throw fault.error }
    let taken = Array(inbox.prefix(max(0, room)))
    inbox.removeFirst(taken.count)
    let wanted = min(Self.largestRoom, room - taken.count)
    let asks = wanted > 0 && inbox.isEmpty && !asked && !isExhausted && !isClosed
    if asks { asked = true }
    self.room = max(0, room - taken.count)
    let isOver = isClosed && (stopped || taken.isEmpty)
    if asks { send(.ask, [UInt64(wanted)], to: 0) }
    return isOver ? nil : taken
  }

  /// The same, waiting until there is something to do.
  /// - Throws: `MartletError` with the fault's status.
  public func next(_ room: Int) throws -> [Work]? {
    while true {
      guard let work = try take(room) else { return nil }
      if !work.isEmpty { return work }
      if wanted != nil { handOver([]) }
      try communicator.wait {
        !inbox.isEmpty || isClosed || share != nil || !expected.isEmpty || parcels.contains(where: \.hasNews)
          || (!asked && !isExhausted)
      }
    }
  }

  /// Hands in the result of an item.
  public func finish(_ item: Int, _ result: [UInt8]) {
    precondition((0..<count).contains(item), "WorkQueue: item \(item) of \(count)")
    communicator.condition.withLock {
      finished.append((item, result))
      communicator.shared.life.progress &+= 1
      send(.done, [], items: [item], to: 0)
    }
  }

  /// How many of its unfinished items this rank is asked to hand over; nil: none. ``handOver(_:)`` must answer.
  public var wanted: Int? { communicator.condition.withLock { share?.count } }

  /// Hands items over to the rank that has none, with what it needs to go on; none, if it is too late.
  public func handOver(_ items: [Work]) {
    let peer = communicator.condition.withLock {
      precondition(items.count <= share?.count ?? -1, "WorkQueue: \(items.count) items for \(share?.count ?? 0)")
      let peer = share!.to
      share = nil
      send(.moved, [UInt64(peer)], items: items.map(\.item), to: 0)
      return peer
    }
    let bytes = Parcel.bytes(items)
    let header = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 8)
    header.storeBytes(of: UInt64(bytes.count), as: UInt64.self)
    let body = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
    body.copyBytes(from: bytes)
    for part in [header, body] {
      let transfer = communicator.send(UnsafeRawBufferPointer(part), to: peer, .work)
      communicator.condition.withLock { sent.append((transfer, part)) }
    }
  }

  /// Ends the queue before its time, on all ranks.
  public func stop() { communicator.condition.withLock { send(.stop, [], to: 0) } }

  /// Whether the queue was ended before its time.
  public var isStopped: Bool { communicator.condition.withLock { stopped } }

  /// The results of all ranks in the order of the items; nil: not carried out. All ranks call it, when `take` has said
  /// that the queue has ended.
  /// - Throws: `MartletError` with the fault's status.
  public func results() throws -> [[UInt8]?] {
    if wanted != nil { handOver([]) }
    try openParcels()
    while communicator.condition.withLock({ !parcels.isEmpty }) {
      try communicator.wait { parcels.contains(where: \.hasNews) }
      try openParcels()
    }
    let (transfers, own) = communicator.condition.withLock { (sent, finished) }
    try communicator.wait(transfers.map(\.0))
    for (_, bytes) in transfers { bytes.deallocate() }
    communicator.condition.withLock { communicator.shared.onWork = nil }
    let record = Parcel.bytes(own.map { Work(item: $0.item, state: $0.result) })
    var results = [[UInt8]?](repeating: nil, count: count)
    for bytes in try communicator.gather(record) {
      for work in Parcel.items(bytes) { results[work.item] = work.state ?? [] }
    }
    return results
  }

  // MARK: - What comes over the wire

  // Under the lock, so that the order of what rank 0's two threads say is one order.

  /// Sends a message, or takes it here when it is for this rank.
  func send(_ kind: Message, _ numbers: [UInt64], items: [Int] = [], to peer: Int) {
    let payload = items.map { UInt32($0) }.withUnsafeBytes { Array($0) }
    let message = ControlMessage(.work, [id, kind.rawValue] + numbers, payload: payload)
    if peer == communicator.rank { return take(message, from: peer) }
    communicator.shared.control.append((peer, message))
    communicator.condition.broadcast()
  }

  private func take(_ message: ControlMessage, from peer: Int) {
    let words = message.words + [0, 0]
    guard words[0] == id, let kind = Message(rawValue: words[1]) else { return }
    let items = message.payload.withUnsafeBytes { bytes in
      (0..<bytes.count / 4).map { Int(bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)) }
    }
    switch kind {
    case .ask, .done, .moved, .stop: serve(kind, Int(words[2]), items, from: peer)
    case .give:
      inbox += items.map { Work(item: $0, state: nil) }
      (asked, isExhausted) = (false, items.isEmpty)
    case .share: share = (Int(words[2]), Int(words[3]))
    case .expect: expected.append(Int(words[2]))
    case .closed: (isClosed, stopped) = (true, words[2] != 0)
    }
    communicator.condition.broadcast()
  }

  /// Makes room for parcels that are expected, and takes items from those that have come.
  private func openParcels() throws {
    let (sources, news) = communicator.condition.withLock {
      defer { expected = [] }
      return (expected, parcels.filter(\.hasNews))
    }
    let new = sources.map { Parcel(from: $0, communicator) }
    communicator.condition.withLock { parcels += new }
    for parcel in news {
      guard let work = parcel.open(communicator) else { continue }
      communicator.condition.withLock {
        parcels.removeAll { $0 === parcel }
        inbox += work
        // There may be more to get, from another rank.
        isExhausted = false
      }
    }
  }
}
