import Foundation
import Support

// Small exchanges that all ranks take part in.

extension Communicator {
  /// The bytes of all ranks, in their order: the same number from each.
  func exchange(_ own: [UInt8], _ stream: WireStream = .exchange) throws -> [[UInt8]] {
    // Nothing to send is sent as one byte: all must have come here.
    let padded = own.isEmpty ? [0] : own
    let all = try exchange(padded, counts: [Int](repeating: padded.count, count: size), stream)
    return own.isEmpty ? all.map { _ in [] } : all
  }

  /// Records of any length of all ranks, in their order.
  public func gather(_ record: [UInt8]) throws -> [[UInt8]] {
    guard size > 1 else { return [record] }
    let length = withUnsafeBytes(of: UInt64(record.count)) { Array($0) }
    let counts = try exchange(length).map { Int($0.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }) }
    return try exchange(record, counts: counts, .records)
  }

  private func exchange(_ own: [UInt8], counts: [Int], _ stream: WireStream) throws -> [[UInt8]] {
    let others = (1..<size).map { (rank + $0) % size }
    let room = counts.map { UnsafeMutableRawBufferPointer.allocate(byteCount: $0, alignment: 16) }
    defer { for bytes in room { bytes.deallocate() } }
    room[rank].copyBytes(from: own)
    var transfers: [Transfer] = []
    for peer in others {
      transfers.append(receive(room[peer], from: peer, stream))
      transfers.append(send(UnsafeRawBufferPointer(room[rank]), to: peer, stream))
    }
    // A fault ends the wire before this throws, so that nothing writes to `room` afterwards.
    try wait(transfers)
    return room.map { Array($0) }
  }

  /// The largest of what the ranks say, place by place.
  /// - Throws: `MartletError` with the fault's status.
  public func largest(_ values: [UInt64]) throws -> [UInt64] {
    let all = try exchange(values.withUnsafeBytes { Array($0) })
    return values.indices.map { place in
      all.map { $0.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8 * place, as: UInt64.self) } }.max()!
    }
  }

  /// What all ranks do now that at least one was asked to stop; the same on all.
  /// - Throws: `MartletError` with the fault's status.
  public func agreeOnStop() throws -> StopRequest {
    StopRequest(rawValue: try largest([stopHint.rawValue])[0]) ?? .terminate
  }

  /// How many ranks, this one included, may use the same cores: those of this host with the same affinity mask. Each
  /// should start only its share of threads.
  /// - Throws: `MartletError` with the fault's status.
  public func ranksOnTheseCores() throws -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let mask = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed:") } ?? ""
    let place = Array("\(hostName()) \(mask)".utf8)
    return try gather(place).count { $0 == place }
  }

  /// Waits for all.
  /// - Throws: `MartletError` with the fault's status.
  public func barrier() throws { _ = try exchange([]) }

  /// Gives all ranks the bytes of `root`.
  /// - Throws: `MartletError` with the fault's status.
  public func broadcast(_ bytes: [UInt8], from root: Int) throws -> [UInt8] {
    let count = try largest([rank == root ? UInt64(bytes.count) : 0])[0]
    var own = rank == root ? bytes : [UInt8](repeating: 0, count: Int(count))
    try own.withUnsafeMutableBytes { own in
      if rank == root {
        try wait((0..<size).filter { $0 != root }.map { send(UnsafeRawBufferPointer(own), to: $0, .records) })
      } else {
        try wait([receive(own, from: root, .records)])
      }
    }
    return own
  }

  /// Throws on all ranks when one has another digest of what must be equal.
  /// - Throws: `MartletError` (data) that names the odd rank, where there is one.
  public func compare(_ digest: UInt64, of what: String) throws {
    let mine = withUnsafeBytes(of: digest) { Array($0) } + hostName().utf8
    let records = try gather(mine)
    let digests = records.map { $0.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } }
    let counts = Dictionary(grouping: digests.indices) { digests[$0] }
    guard counts.count > 1 else { return }
    func name(_ rank: Int) -> String { "rank \(rank) (\(String(decoding: records[rank].dropFirst(8), as: UTF8.self)))" }
    let most = counts.values.map(\.count).max()!
    let common = counts.values.filter { $0.count == most }
    let odd = common.count == 1 ? digests.indices.filter { !common[0].contains($0) } : Array(digests.indices)
    let names = odd.map { "\(name($0)) has \(String(digests[$0], radix: 16))" }.joined(separator: ", ")
    let rest = common.count == 1 ? ", all others \(String(digests[common[0][0]], radix: 16))" : ""
    throw MartletError(
      .data, "\(what): the ranks differ: \(names)\(rest); look for bad memory, or other libraries, on that host")
  }

  /// Throws on all ranks when something differs that must be equal from the start.
  /// - Parameter facts: name and value, in the same order on all ranks.
  /// - Throws: `MartletError` (configuration) that names both ranks, the fact and its values.
  public func requireEqual(_ facts: [(name: String, value: String)]) throws {
    let lines = [hostName()] + facts.flatMap { [$0.name, $0.value.replacing("\n", with: " ")] }
    let records = try gather(Array(lines.joined(separator: "\n").utf8))
    let all = records.map {
      String(decoding: $0, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }
    for rank in 1..<max(1, size) {
      guard all[rank].dropFirst() != all[0].dropFirst() else { continue }
      let place = zip(all[0], all[rank]).enumerated().dropFirst().first { $1.0 != $1.1 }?.offset
      let odd = place ?? min(all[0].count, all[rank].count)
      let name = all[0].indices.contains(odd) ? all[0][odd % 2 == 0 ? odd - 1 : odd] : "the list of facts"
      func value(_ rank: Int) -> String { all[rank].indices.contains(odd) ? all[rank][odd] : "nothing" }
      throw MartletError(
        .configuration,
        "\(name) differs: rank 0 (\(all[0][0])) has \(value(0)), rank \(rank) (\(all[rank][0])) has \(value(rank)); "
          + "all ranks must be the same program with the same configuration, libraries and files")
    }
  }
}
