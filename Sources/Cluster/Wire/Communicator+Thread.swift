import Foundation
import Support

// The wire thread.

extension Communicator {
  /// What the wire thread alone touches.
  struct Local {
    var requests: [Int: Request] = [:]
    var lanes: [Lane: LaneQueue] = [:]
    /// Lanes that have something to start or under way.
    var busy: Set<Lane> = []
    var peers: [Int: Peer] = [:]
    /// Controls of which the sender's turn has not come.
    var lastBeat = -Double.infinity
    var lastTurn = 0.0
    var lastCompletion = 0.0
    var saidBye = false
    /// The fault that ends this rank, once the others have been told or had the time to hear it.
    var ending: (fault: ClusterFault, deadline: Double, isOwn: Bool)?
  }

  struct LaneQueue {
    var waiting: [Transfer] = []
    /// How many of `waiting` have wholly started.
    var next = 0
    var underWay = 0
  }

  enum Request {
    case piece(Transfer)
    case controlSend(peer: Int, UnsafeMutableRawBufferPointer)
    case controlReceive(peer: Int)
  }

  /// The ranks that this one exchanges signs of life with: a star around rank 0.
  var starPeers: [Int] { wire.size == 1 ? [] : wire.rank == 0 ? Array(1..<wire.size) : [0] }

  func run() {
    do { try wire.join() } catch {
      condition.withLock {
        shared.joinError = error
        condition.broadcast()
      }
      return
    }
    let now = monotonicSeconds()
    for peer in starPeers { local.peers[peer] = Peer(now) }
    local.peers[wire.rank] = Peer(now)
    local.lastTurn = now
    condition.withLock {
      shared.isJoined = true
      condition.broadcast()
    }
    do {
      for peer in starPeers { try listen(to: peer) }
      while try turn() { pause() }
    } catch {
      let text = (error as? MartletError)?.message ?? "\(error)"
      end(ClusterFault(.wire, rank: wire.rank, "rank \(wire.rank): \(text)"), isOwn: false)
    }
  }

  /// - Returns: whether to go on.
  private func turn() throws -> Bool {
    let now = monotonicSeconds()
    let (gap, wasBusy) = (now - local.lastTurn, !local.busy.isEmpty)
    local.lastTurn = now
    let submitted = takeSubmitted(gap: gap, wasBusy: wasBusy)
    if gap > settings.timeout, local.ending == nil {
      raise(
        ClusterFault(
          .stopped, rank: wire.rank, life: condition.withLock { shared.life }, seconds: gap, what: "stood still for"))
    }
    for transfer in submitted {
      local.lanes[transfer.lane, default: LaneQueue()].waiting.append(transfer)
      local.busy.insert(transfer.lane)
    }
    for lane in local.busy { try startPieces(lane) }
    try takeCompleted(now)
    try sendControl(now)
    if let ending = local.ending {
      let isTold = !local.requests.values.contains { if case .controlSend = $0 { true } else { false } }
      guard isTold || now > ending.deadline else { return true }
      end(ending.fault, isOwn: ending.isOwn)
      return false
    }
    checkLife(now)
    return !hasFinished()
  }

  private func takeSubmitted(gap: Double, wasBusy: Bool) -> [Transfer] {
    condition.lock()
    defer { condition.unlock() }
    if wasBusy { shared.counters.busySeconds += gap }
    if let error = shared.ownError, local.ending == nil {
      shared.ownError = nil
      raise(error, isOwn: true)
    }
    defer { shared.submitted = [] }
    return shared.submitted
  }

  // MARK: - Pieces

  private func startPieces(_ lane: Lane) throws {
    guard var queue = local.lanes[lane], local.ending == nil else { return }
    while queue.underWay < settings.window, queue.next < queue.waiting.count {
      let transfer = queue.waiting[queue.next]
      let count = min(settings.pieceBytes, transfer.count - transfer.started)
      let bytes = UnsafeMutableRawBufferPointer(start: transfer.base! + transfer.started, count: count)
      let tag = lane.stream.rawValue
      let number =
        lane.sends
        ? try wire.send(UnsafeRawBufferPointer(bytes), to: lane.peer, tag: tag)
        : try wire.receive(bytes, from: lane.peer, tag: tag)
      local.requests[number] = .piece(transfer)
      transfer.started += count
      transfer.pending += 1
      queue.underWay += 1
      if transfer.started == transfer.count { queue.next += 1 }
    }
    if queue.next == queue.waiting.count || queue.next > 64 {
      queue.waiting.removeFirst(queue.next)
      queue.next = 0
    }
    local.lanes[lane] = queue
    if queue.waiting.isEmpty, queue.underWay == 0 { local.busy.remove(lane) }
  }

  private func takeCompleted(_ now: Double) throws {
    // All at once: what is started below may be given the number of a message that was just completed.
    let requests = try wire.completed().compactMap { local.requests.removeValue(forKey: $0) }
    guard !requests.isEmpty else { return }
    var done: [Transfer] = []
    for request in requests {
      switch request {
      case .piece(let transfer):
        transfer.pending -= 1
        local.lanes[transfer.lane]?.underWay -= 1
        local.lastCompletion = now
        if transfer.pending == 0, transfer.started == transfer.count { done.append(transfer) }
        try startPieces(transfer.lane)
      case .controlSend(_, let bytes): bytes.deallocate()
      case .controlReceive(let peer): try hear(peer, now)
      }
    }
    guard !done.isEmpty else { return }
    condition.withLock {
      for transfer in done { transfer.isDone = true }
      shared.life.progress &+= UInt64(done.count)
      condition.broadcast()
    }
  }

  // MARK: - Pauses and the end

  /// Nobody moves large messages while no call of the wire is under way, so that pauses are short when there are some.
  private func pause() {
    guard local.busy.isEmpty else {
      usleep(monotonicSeconds() - local.lastCompletion < 0.02 ? 100 : 500)
      return
    }
    condition.lock()
    defer { condition.unlock() }
    guard shared.submitted.isEmpty, shared.control.isEmpty, shared.ownError == nil else { return }
    _ = condition.wait(until: Date(timeIntervalSinceNow: 0.001))
  }

  private func hasFinished() -> Bool {
    guard local.saidBye, local.requests.isEmpty, starPeers.allSatisfy({ local.peers[$0]!.saidBye }) else {
      return false
    }
    wire.leave()
    for peer in local.peers.values { peer.room.deallocate() }
    condition.withLock {
      shared.isEnded = true
      condition.broadcast()
    }
    return true
  }

  private func end(_ fault: ClusterFault, isOwn: Bool) {
    wire.drop()
    if !isOwn { onFault(fault) }
    condition.withLock {
      shared.fault = fault
      shared.isEnded = true
      condition.broadcast()
    }
  }
}
