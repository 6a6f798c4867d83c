import Foundation
import Support
import Synchronization
import Testing

@testable import Cluster

@Suite struct CommunicatorTests {
  /// 350,000 bytes are three pieces and a half; all streams and directions at once.
  @Test func transfersOfAnyLength() throws {
    let results = onRanks(3) { cluster in
      let communicator = cluster.communicator
      let rank = communicator.rank
      let lengths = [1, 100_000, 350_000, 8]
      var (outgoing, incoming): ([[UInt8]], [UnsafeMutableRawBufferPointer]) = ([], [])
      var transfers: [Transfer] = []
      for peer in 0..<3 where peer != rank {
        for length in lengths {
          let room = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 8)
          incoming.append(room)
          transfers.append(communicator.receive(room, from: peer, .reduction))
          outgoing.append((0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ rank &* 7 &+ length) })
        }
      }
      let sources = outgoing.map { bytes in
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        copy.copyBytes(from: bytes)
        return copy
      }
      for (place, peer) in (0..<3).filter({ $0 != rank }).enumerated() {
        for index in lengths.indices {
          transfers.append(
            communicator.send(UnsafeRawBufferPointer(sources[place * lengths.count + index]), to: peer, .reduction))
        }
      }
      try communicator.wait(transfers)
      for (place, peer) in (0..<3).filter({ $0 != rank }).enumerated() {
        for (index, length) in lengths.enumerated() {
          let expected = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ peer &* 7 &+ length) }
          #expect(Array(incoming[place * lengths.count + index]) == expected)
        }
      }
      for bytes in incoming + sources { bytes.deallocate() }
      return communicator.counters.bytesSent
    }
    for result in results { #expect(try result.get() >= 2 * 450_009) }
  }

  @Test(arguments: [1, 2, 4]) func exchanges(ranks: Int) throws {
    let results = onRanks(ranks) { cluster in
      let communicator = cluster.communicator
      let rank = communicator.rank
      let records = try communicator.gather([UInt8](repeating: UInt8(rank), count: 3 * rank))
      #expect(records == (0..<ranks).map { [UInt8](repeating: UInt8($0), count: 3 * $0) })
      #expect(try communicator.largest([UInt64(rank), UInt64(10 - rank)]) == [UInt64(ranks - 1), 10])
      #expect(try communicator.broadcast(rank == ranks - 1 ? [4, 5, 6] : [], from: ranks - 1) == [4, 5, 6])
      // All are threads of one process.
      #expect(try communicator.ranksOnTheseCores() == ranks)
      try communicator.compare(77, of: "weights")
      try communicator.requireEqual([("program", "abc"), ("model", "x\ny")])
    }
    for result in results { try result.get() }
  }

  @Test func theOddRankIsNamed() {
    let results = onRanks(4) { cluster in
      try cluster.communicator.compare(cluster.communicator.rank == 2 ? 0xbad : 0xcafe, of: "weights after step 3")
    }
    for result in results {
      #expect(result.error?.status == .data)
      let message = result.error?.message ?? ""
      #expect(message.hasPrefix("weights after step 3: the ranks differ: rank 2 ("))
      #expect(message.contains("has bad, all others cafe"))
    }
  }

  @Test func withTwoRanksBothAreNamed() {
    let results = onRanks(2) { try $0.communicator.compare(UInt64($0.communicator.rank), of: "weights") }
    for result in results {
      let message = result.error?.message ?? ""
      #expect(message.contains("rank 0 (") && message.contains("rank 1 ("))
    }
  }

  @Test func ranksThatDifferAreRefused() {
    let results = onRanks(3) { cluster in
      try cluster.communicator.requireEqual([
        ("program", "abc"), ("numpy", cluster.communicator.rank == 1 ? "1.26" : "2.0"), ("model", "m"),
      ])
    }
    for result in results {
      #expect(result.error?.status == .configuration)
      let message = result.error?.message ?? ""
      #expect(message.hasPrefix("numpy differs: rank 0 ("))
      #expect(message.contains("has 2.0, rank 1 (") && message.contains("has 1.26"))
    }
  }

  /// What one rank is asked, all hear; the strongest wins.
  @Test func requestsToStopSpread() throws {
    let results = onRanks(3) { cluster in
      let communicator = cluster.communicator
      #expect(try communicator.agreeOnStop() == .none)
      if communicator.rank == 2 { communicator.request(.save) }
      if communicator.rank == 1 { communicator.request(.terminate) }
      // Signs of life carry them, without anybody asking.
      while communicator.stopHint != .terminate { usleep(2000) }
      return try communicator.agreeOnStop()
    }
    for result in results { #expect(try result.get() == .terminate) }
  }

  /// Waiting for one another for ever: what a rank waits for, it says.
  private func everybodyWaits(_ cluster: WiredCluster) throws {
    cluster.communicator.begin("reducing", step: 12)
    while true { try cluster.communicator.barrier() }
  }

  @Test(arguments: [0, 1, 2]) func aLostRankIsNamed(lost: Int) {
    for fault in [Loopback.Fault.cut, .dead] {
      let loop = Loopback(size: 3)
      let results = onRanks(3, .impatient(timeout: 1.5), loop: loop) { cluster in
        if cluster.communicator.rank == lost {
          cluster.communicator.begin("sampling", step: 12)
          try cluster.communicator.barrier()
          usleep(400_000)
          loop.inject(fault, to: lost)
        }
        try everybodyWaits(cluster)
      }
      for (rank, result) in results.enumerated() {
        #expect(result.error?.status == .tryAgain)
        guard rank != lost else { continue }
        let message = result.error?.message ?? ""
        let host = hostName()
        #expect(message.hasPrefix("rank \(lost) on \(host) has been silent for "), "\(message)")
        #expect(message.hasSuffix("step 12"), "\(message)")
      }
    }
  }

  /// A rank that stood still for longer than the time-out leaves when it goes on, and says so.
  @Test func aStoppedRankLeaves() {
    let loop = Loopback(size: 3)
    let results = onRanks(3, .impatient(timeout: 1.5), loop: loop) { cluster in
      if cluster.communicator.rank == 1 { loop.inject(.stopped(seconds: 3), to: 1) }
      try everybodyWaits(cluster)
    }
    let messages = results.map { $0.error?.message ?? "" }
    #expect(messages[0].contains("rank 1") && messages[0].contains("silent"))
    #expect(messages[2].contains("rank 1") && messages[2].contains("silent"))
    #expect(messages[1].contains("rank 1") && messages[1].contains("stood still for"))
  }

  /// Slower than the heartbeat, but alive.
  @Test func aSlowRankIsNotLost() throws {
    let loop = Loopback(size: 3)
    loop.inject(.slow(seconds: 0.15), to: 2)
    let results = onRanks(3, .impatient(timeout: 10), loop: loop) { cluster in
      for _ in 0..<3 { try cluster.communicator.barrier() }
    }
    for result in results { try result.get() }
  }

  @Test func aRankWithoutProgressIsNamed() {
    let results = onRanks(3, .impatient(timeout: 30, stall: 1)) { cluster in
      let communicator = cluster.communicator
      if communicator.rank == 1 {
        communicator.begin("tool call", step: 4)
        while communicator.fault == nil { usleep(10_000) }
      }
      try everybodyWaits(cluster)
    }
    for result in results {
      let message = result.error?.message ?? ""
      #expect(message.contains("rank 1") && message.contains("lives, but without progress for"), "\(message)")
      #expect(message.hasSuffix("tool call, step 4"), "\(message)")
    }
  }

  @Test func ranksThatWaitForOneAnotherAreNamed() {
    let results = onRanks(2, .impatient(timeout: 30, stall: 1)) { cluster in
      let communicator = cluster.communicator
      communicator.begin("phase \(communicator.rank)", step: 0)
      let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 8)
      try communicator.wait([communicator.receive(room, from: 1 - communicator.rank, .work)])
    }
    for result in results {
      let message = result.error?.message ?? ""
      #expect(message.hasPrefix("every rank waits for another for "), "\(message)")
      #expect(message.hasSuffix("rank 0 phase 0, rank 1 phase 1"), "\(message)")
    }
  }

  /// A rank that dies between the last exchange and its farewell.
  @Test func aRankLostAtTheEndIsNamed() {
    let loop = Loopback(size: 2)
    let results = onRanks(2, .impatient(timeout: 1), loop: loop, finishes: false) { cluster in
      let communicator = cluster.communicator
      guard communicator.rank == 1 else { return try communicator.finish() }
      try communicator.barrier()
      loop.inject(.dead, to: 1)
      while communicator.fault == nil { usleep(10_000) }
    }
    #expect(results[0].error?.message.hasPrefix("rank 1 on \(hostName()) has been silent for ") == true)
  }

  @Test func anErrorIsTheErrorOfAll() {
    let results = onRanks(4, finishes: false) { cluster in
      if cluster.communicator.rank == 3 {
        let error = MartletError(.io, "shard 3: no space left")
        cluster.communicator.leave(because: error)
        throw error
      }
      try everybodyWaits(cluster)
    }
    for (rank, result) in results.enumerated() {
      #expect(result.error?.status == .io)
      let prefix = rank == 3 ? "shard 3" : "rank 3 on \(hostName()) ended: shard 3"
      #expect(result.error?.message == prefix + ": no space left")
    }
  }

  @Test func controlMessagesComeBack() {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: ControlMessage.byteCount, alignment: 8)
    defer { room.deallocate() }
    let long = String(repeating: "ä", count: 400)
    ControlMessage(.work, Array(0..<14), payload: Array(long.utf8)).write(to: room)
    let read = ControlMessage(UnsafeRawBufferPointer(room))
    #expect(read?.kind == .work)
    #expect(read?.words == Array(0..<14))
    #expect(read?.payload == Array(long.utf8.prefix(376)))
    for place in 0..<24 { room[place] = 0xff }
    #expect(ControlMessage(UnsafeRawBufferPointer(room)) == nil)
  }
}
