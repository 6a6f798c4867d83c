import Foundation
import Support
import Synchronization
import Testing

@testable import Cluster

@Suite struct QueueTests {
  @Test(arguments: [1, 2, 3, 5]) func resultsInOrder(ranks: Int) throws {
    let costs = (0..<40).map { Double($0 * 7 % 13) }
    let done = Mutex([Int](repeating: 0, count: 40))
    let results = onRanks(ranks) { cluster in
      for _ in 0..<2 {
        let results = try cluster.map(costs: costs) { item in
          done.withLock { $0[item] += 1 }
          return Array("result \(item)".utf8)
        }
        #expect(results == (0..<40).map { Array("result \($0)".utf8) })
      }
    }
    for result in results { try result.get() }
    #expect(done.withLock { $0 } == [Int](repeating: 2, count: 40))
  }

  @Test func dearestFirst() {
    var ledger = WorkLedger(costs: [1, 5, 5, 9], ranks: 2)
    #expect(ledger.take(2, for: 0) == [3, 1])
    #expect(ledger.take(5, for: 1) == [2, 0])
    #expect(ledger.take(1, for: 0) == [])
    #expect(ledger.held == [2, 2])
    for item in [3, 2, 0, 0] { ledger.finish(item) }
    #expect(ledger.held == [1, 0])
    #expect(!ledger.isFinished)
    ledger.finish(1)
    #expect(ledger.isFinished)
  }

  @Test func theBusiestGivesHalf() {
    var ledger = WorkLedger(costs: [Double](repeating: 1, count: 20), ranks: 3)
    _ = ledger.take(13, for: 1)
    #expect(ledger.giver(atLeast: 4, room: 9, except: [0]) == nil, "some are not handed out")
    _ = ledger.take(7, for: 2)
    #expect(ledger.giver(atLeast: 4, room: 9, except: [0])! == (1, 6))
    #expect(ledger.giver(atLeast: 4, room: 3, except: [0])! == (1, 3))
    #expect(ledger.giver(atLeast: 4, room: 9, except: [0, 1])! == (2, 3))
    #expect(ledger.giver(atLeast: 14, room: 9, except: [0]) == nil)
    for item in 0..<5 { ledger.move(item, to: 0) }
    #expect(ledger.held == [5, 8, 7])
  }

  /// One rank takes everything and works only when others have taken something off it.
  @Test(arguments: [2, 3]) func itemsMove(ranks: Int) throws {
    let count = 16
    let movedStates = Mutex(Set<String>())
    let results = onRanks(ranks) { cluster in
      let rank = cluster.communicator.rank
      let queue = cluster.openQueue(costs: [Double](repeating: 1, count: count), movesFrom: 4)
      var own: [WorkQueue.Work] = []
      if rank == 1 {
        while own.count < count { own += try queue.take(count - own.count) ?? [] }
      }
      try cluster.communicator.barrier()
      if rank == 1 {
        while queue.wanted == nil { usleep(500) }
        let moved = (0..<queue.wanted!).map { _ in
          var work = own.removeLast()
          work.state = Array("begun \(work.item)".utf8)
          return work
        }
        queue.handOver(moved)
        for work in own { queue.finish(work.item, [1, UInt8(work.item)]) }
      }
      while let work = try queue.next(4) {
        for work in work {
          if let state = work.state { _ = movedStates.withLock { $0.insert(String(decoding: state, as: UTF8.self)) } }
          queue.finish(work.item, [1, UInt8(work.item)])
        }
      }
      return try queue.results()
    }
    for result in results { #expect(try result.get() == (0..<count).map { [1, UInt8($0)] }) }
    // Room for four was asked for; of sixteen, half might go.
    #expect(movedStates.withLock { $0 }.isSuperset(of: (12..<16).map { "begun \($0)" }))
  }

  @Test func stopsEverywhere() throws {
    let results = onRanks(3) { cluster in
      let queue = cluster.openQueue(costs: [Double](repeating: 1, count: 1000))
      while let work = try queue.next(1) {
        if cluster.communicator.rank == 2 { queue.stop() }
        // Nobody may be done with everything before the request to stop has gone round.
        for _ in 0..<60_000 where !queue.isStopped { usleep(500) }
        for work in work { queue.finish(work.item, []) }
      }
      return (queue.isStopped, try queue.results().count { $0 == nil })
    }
    let found = try results.map { try $0.get() }
    #expect(found.allSatisfy { $0.0 && $0.1 == found[0].1 && $0.1 > 0 })
  }

  /// An error of one rank ends all, with its message and status.
  @Test func anErrorEndsAll() throws {
    let results = onRanks(3, finishes: false) { cluster in
      try cluster.map(costs: [1, 2, 3, 4, 5, 6]) { item in
        guard item != 2 else { throw MartletError(.data, "line 7: no answer") }
        return []
      }
    }
    #expect(results.allSatisfy { $0.error?.status == .data && $0.error!.message.hasSuffix("line 7: no answer") })
  }
}
