import Cluster
import Foundation
import Support
import Tensor

/// Ranks for tools/cluster/test: what the wire and the cluster above it do under a real launcher.
///
///     cluster-ranks sum NUMBERS PARTS       add gradients, say their hash
///     cluster-ranks queue ITEMS             share out items, say the hash of the results
///     cluster-ranks speed NUMBERS PARTS     the time of a sum
///     cluster-ranks idle SECONDS            what waiting costs: processor seconds of rank 0
///     cluster-ranks run SECONDS [FAULT RANK AFTER]
///                                           steps until the time is over; FAULT: kill, stop, exit0, busy
///     cluster-ranks differ                  ranks that are not the same program
///
/// MARTLET_TIMEOUT sets the time-out in seconds.
@main
enum ClusterRanks {
  static func main() {
    do {
      try run(Array(CommandLine.arguments.dropFirst()))
    } catch let error as MartletError {
      FileHandle.standardError.write(Data("error: \(error.message)\n".utf8))
      exit(error.status.rawValue)
    } catch {
      FileHandle.standardError.write(Data("error: \(error)\n".utf8))
      exit(1)
    }
  }

  static func run(_ words: [String]) throws {
    var settings = WireSettings()
    if let text = ProcessInfo.processInfo.environment["MARTLET_TIMEOUT"], let seconds = Double(text) {
      settings.timeout = seconds
    }
    let communicator = try Launch.communicator(settings: settings)
    let cluster: any Cluster = communicator.map { WiredCluster($0) } ?? VirtualCluster(size: 1)
    let rank = communicator?.rank ?? 0
    func number(_ place: Int) throws -> Int {
      guard words.indices.contains(place), let number = Int(words[place]) else {
        throw MartletError(.usage, "cluster-ranks: a number is missing; see Tests/ClusterRanks/Main.swift")
      }
      return number
    }
    switch words.first {
    case "sum": say(rank, "hash \(try sum(cluster, try number(1), parts: try number(2)))")
    case "queue": say(rank, "hash \(try queue(cluster, try number(1)))")
    case "speed": try speed(cluster, try number(1), parts: try number(2), rank)
    case "idle": try idle(cluster, seconds: try number(1), rank)
    case "run": try steps(cluster, communicator, seconds: try number(1), Array(words.dropFirst(2)))
    case "differ":
      try communicator?.requireEqual([("program", "1.0"), ("numpy", rank == 1 ? "1.26" : "2.0")])
    default: throw MartletError(.usage, "cluster-ranks: see Tests/ClusterRanks/Main.swift")
    }
    try communicator?.finish()
  }

  private static func say(_ rank: Int, _ text: String) {
    guard rank == 0 else { return }
    FileHandle.standardOutput.write(Data((text + "\n").utf8))
  }

  /// Numbers whose sum depends on the order of additions.
  private static func fill(_ buffer: FloatBuffer, part: Int) {
    let pointer = buffer.pointer
    for place in 0..<buffer.count {
      var x = UInt64(place) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(part) &* 0xD1B5_4A32_D192_ED03
      x ^= x >> 29
      x = x &* 0xBF58_476D_1CE4_E5B9
      x ^= x >> 32
      pointer[place] = Float(Int32(truncatingIfNeeded: x)) * 1e-9 * Float(1 + (x >> 40 & 7))
    }
  }

  private static func trees(_ cluster: any Cluster, _ buffer: FloatBuffer, parts: Int, _ spare: SpareBuffers)
    -> [GradientTree]
  {
    cluster.ranks.map { rank in
      var tree = GradientTree(count: buffer.count, spare: spare)
      for index in cluster.parts(of: rank, count: parts) {
        fill(buffer, part: index)
        tree.push(buffer, index: index)
      }
      return tree
    }
  }

  private static func hash(_ buffer: FloatBuffer) -> String {
    String(sha256Hex(of: UnsafeRawBufferPointer(start: buffer.pointer, count: 4 * buffer.count)).prefix(16))
  }

  static func sum(_ cluster: any Cluster, _ count: Int, parts: Int) throws -> String {
    let buffer = FloatBuffer(count: count)
    try cluster.reduce(trees(cluster, buffer, parts: parts, SpareBuffers()), into: buffer)
    try cluster.gather(buffer)
    let digest = hash(buffer)
    // Every rank must have come to the same.
    let all = try cluster.gather(cluster.ranks.map { _ in Array(digest.utf8) })
    precondition(all.allSatisfy { $0 == Array(digest.utf8) }, "the ranks differ")
    return digest
  }

  static func queue(_ cluster: any Cluster, _ count: Int) throws -> String {
    let results = try cluster.map(costs: (0..<count).map { Double($0 * 7 % 13) }) { item in
      usleep(UInt32(200 * (item % 7)))
      return Array("result \(item)".utf8)
    }
    return String(sha256Hex(of: results.flatMap(\.self)).prefix(16))
  }

  static func speed(_ cluster: any Cluster, _ count: Int, parts: Int, _ rank: Int) throws {
    let (buffer, spare) = (FloatBuffer(count: count), SpareBuffers())
    for round in 1...3 {
      let trees = trees(cluster, buffer, parts: parts, spare)
      _ = try cluster.largest([0])
      let reduction = try elapsed { try cluster.reduce(trees, into: buffer) }
      _ = try cluster.largest([0])
      let gathering = try elapsed { try cluster.gather(buffer) }
      let gigabytes = 4e-9 * Double(count)
      say(
        rank, "round \(round): \(gigabytes) GB, reduce \(thousandths(reduction)) s, gather \(thousandths(gathering)) s")
    }
    guard let counters = (cluster as? WiredCluster)?.communicator.counters else { return }
    let units = Double(counters.bytesSent) / Double(12 * count)
    say(rank, "sent \(thousandths(units)) times the gradient a round; waited \(thousandths(counters.waitSeconds)) s")
  }

  /// Rank 0 first has nothing to do with the others, then waits for them.
  static func idle(_ cluster: any Cluster, seconds: Int, _ rank: Int) throws {
    func processorSeconds() -> Double { Double(clock()) / Double(CLOCKS_PER_SEC) }
    for name in ["alone", "waiting"] {
      _ = try cluster.largest([0])
      let start = processorSeconds()
      if rank > 0 || name == "alone" { sleep(UInt32(seconds)) }
      if name == "waiting" { _ = try cluster.largest([0]) }
      say(rank, "\(name): \(thousandths(processorSeconds() - start)) processor seconds in \(seconds) s")
    }
  }

  private static func thousandths(_ value: Double) -> Double { (1000 * value).rounded() / 1000 }

  /// Steps as a run takes them: sampling from a queue, a sum, weights, agreement. The fault comes in the middle.
  static func steps(_ cluster: any Cluster, _ communicator: Communicator?, seconds: Int, _ fault: [String]) throws {
    let (rank, start) = (communicator?.rank ?? 0, ContinuousClock.now)
    let buffer = FloatBuffer(count: 1_000_000)
    let isFaulty = fault.count == 3 && Int(fault[1]) == rank
    let after = fault.count == 3 ? Double(fault[2]) ?? 0 : 0
    for signal in [SIGTERM, SIGUSR1] { Foundation.signal(signal) { ClusterRanks.raised = $0 } }
    var step = 0
    while true {
      step += 1
      communicator?.begin("sampling", step: step)
      _ = try cluster.map(costs: [Double](repeating: 1, count: 20)) { _ in
        usleep(2000)
        return []
      }
      if isFaulty, start.secondsSince > after { happen(fault[0]) }
      communicator?.begin("reducing", step: step)
      try cluster.reduce(trees(cluster, buffer, parts: 4, SpareBuffers()), into: buffer)
      communicator?.begin("gathering", step: step)
      try cluster.gather(buffer)
      try communicator?.compare(stableHash(hash(buffer)), of: "sums of step \(step)")
      if raised != 0 { communicator?.request(raised == SIGTERM ? .terminate : .save) }
      let stop = try communicator?.agreeOnStop() ?? .none
      if stop != .none {
        say(rank, "stopped by \(stop) after step \(step)")
        try communicator?.finish()
        exit(stop == .terminate ? 143 : 75)
      }
      if try cluster.largest([UInt64(start.secondsSince)])[0] >= seconds { break }
    }
    say(rank, "ended well after \(step) steps")
  }

  nonisolated(unsafe) private static var raised: Int32 = 0

  private static func happen(_ fault: String) {
    FileHandle.standardError.write(Data("fault: \(fault) at \(Date().timeIntervalSince1970)\n".utf8))
    switch fault {
    case "kill": kill(getpid(), SIGKILL)
    case "stop": kill(getpid(), SIGSTOP)
    case "exit0": _exit(0)
    default: break
    }
  }
}
