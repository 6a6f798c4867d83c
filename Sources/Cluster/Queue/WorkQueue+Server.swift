// Rank 0's part of a work queue.

extension WorkQueue {
  private struct Reply {
    var kind: Message
    var numbers: [UInt64] = []
    var items: [Int] = []
    var peer: Int
  }

  /// Answers a rank, under the communicator's lock.
  func serve(_ kind: Message, _ number: Int, _ items: [Int], from peer: Int) {
    var replies: [Reply] = []
    switch kind {
    case .ask:
      let taken = ledger.take(number, for: peer)
      replies = [Reply(kind: .give, items: taken, peer: peer)]
      if taken.isEmpty {
        idle[peer] = number
        replies += moves()
      }
    case .done:
      let wasFinished = ledger.isFinished
      for item in items { ledger.finish(item) }
      if ledger.isFinished, !wasFinished { replies = ends(stopped: 0) }
    case .moved:
      for item in items { ledger.move(item, to: number) }
      givers.remove(peer)
      replies = moves()
    case .stop: if !ledger.isFinished { replies = ends(stopped: 1) }
    case .give, .share, .expect, .closed: break
    }
    for reply in replies { send(reply.kind, reply.numbers, items: reply.items, to: reply.peer) }
  }

  private func ends(stopped: UInt64) -> [Reply] {
    (0..<communicator.size).map { Reply(kind: .closed, numbers: [stopped], peer: $0) }
  }

  /// Lets busy ranks give to idle ones.
  private func moves() -> [Reply] {
    guard let movesFrom else { return [] }
    return idle.sorted { $0.key < $1.key }.flatMap { rank, room -> [Reply] in
      guard let giver = ledger.giver(atLeast: movesFrom, room: room, except: givers.union([rank])) else { return [] }
      idle[rank] = nil
      givers.insert(giver.rank)
      return [
        Reply(kind: .share, numbers: [UInt64(rank), UInt64(giver.count)], peer: giver.rank),
        Reply(kind: .expect, numbers: [UInt64(giver.rank)], peer: rank),
      ]
    }
  }
}
