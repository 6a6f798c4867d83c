import Foundation
import Support

// Signs of life, requests to stop and faults.

extension Communicator {
  /// What is known of another rank, or of this one.
  struct Peer {
    var life = SignOfLife()
    var heard: Double
    /// When its progress last changed.
    var progressed: Double
    var saidBye = false
    var room = UnsafeMutableRawBufferPointer.allocate(byteCount: ControlMessage.byteCount, alignment: 8)

    init(_ now: Double) { (heard, progressed) = (now, now) }

    mutating func take(_ life: SignOfLife, _ now: Double) {
      if life.progress != self.life.progress || life.phase != self.life.phase { progressed = now }
      self.life = life
    }
  }

  func listen(to peer: Int) throws {
    let room = local.peers[peer]!.room
    local.requests[try wire.receive(room, from: peer, tag: WireStream.control.rawValue)] = .controlReceive(peer: peer)
  }

  func hear(_ peer: Int, _ now: Double) throws {
    let message = ControlMessage(UnsafeRawBufferPointer(local.peers[peer]!.room))
    local.peers[peer]!.heard = now
    if message?.kind != .bye { try listen(to: peer) }
    guard let message else { return }
    switch message.kind {
    case .heartbeat:
      let life = SignOfLife(message)
      local.peers[peer]!.take(life, now)
      condition.withLock { shared.life.stop = max(shared.life.stop, life.stop) }
    case .fault: if local.ending == nil { raise(ClusterFault(message), tellsFrom: peer) }
    case .bye: local.peers[peer]!.saidBye = true
    case .work:
      condition.withLock {
        if let handler = shared.onWork { handler(peer, message) } else { shared.earlyWork.append((peer, message)) }
      }
    }
  }

  /// Sends what waits and, when it is time, a sign of life. What a rank that does not listen has not taken yet is not
  /// followed by more signs.
  func sendControl(_ now: Double) throws {
    condition.lock()
    var messages = shared.control
    shared.control = []
    let isFinishing = shared.isFinishing
    shared.life.waits = shared.waiting > 0
    let life = shared.life
    let pause = shared.hasNews ? settings.heartbeat / 10 : settings.heartbeat
    let beats = now - local.lastBeat >= pause && !local.saidBye && local.ending == nil
    if beats { shared.hasNews = false }
    condition.unlock()
    local.peers[wire.rank]!.take(life, now)
    if beats {
      local.lastBeat = now
      let behind = Set(
        local.requests.values.compactMap { if case .controlSend(let peer, _) = $0 { peer } else { nil } })
      messages += starPeers.filter { !behind.contains($0) }.map { ($0, life.message) }
    }
    if isFinishing, !local.saidBye, local.ending == nil {
      local.saidBye = true
      messages += starPeers.map { ($0, ControlMessage(.bye, [])) }
    }
    for (peer, message) in messages {
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: ControlMessage.byteCount, alignment: 8)
      message.write(to: bytes)
      let number = try wire.send(UnsafeRawBufferPointer(bytes), to: peer, tag: WireStream.control.rawValue)
      local.requests[number] = .controlSend(peer: peer, bytes)
    }
  }

  /// Begins to end this rank: the others are told first, for as long as it takes to send a message.
  /// - Parameter teller: who told us; it knows.
  func raise(_ fault: ClusterFault, isOwn: Bool = false, tellsFrom teller: Int? = nil) {
    local.ending = (fault, monotonicSeconds() + min(0.5, settings.timeout / 2), isOwn)
    // What a lost rank has not taken must not hold up the end.
    for (number, request) in local.requests {
      if case .controlSend = request { local.requests[number] = nil }
    }
    let message = fault.message
    for peer in starPeers where peer != teller && !(peer == fault.rank && fault.kind == .silent) {
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: ControlMessage.byteCount, alignment: 8)
      message.write(to: bytes)
      if let number = try? wire.send(UnsafeRawBufferPointer(bytes), to: peer, tag: WireStream.control.rawValue) {
        local.requests[number] = .controlSend(peer: peer, bytes)
      }
    }
  }

  func checkLife(_ now: Double) {
    for peer in starPeers where !local.peers[peer]!.saidBye {
      let (silence, life) = (now - local.peers[peer]!.heard, local.peers[peer]!.life)
      if silence > settings.timeout {
        return raise(
          ClusterFault(.silent, rank: peer, life: life, seconds: silence, what: "has been silent for"))
      }
    }
    guard wire.rank == 0, !local.saidBye else { return }
    for (rank, peer) in local.peers.sorted(by: { $0.key < $1.key }) where !peer.life.waits && !peer.saidBye {
      let time = now - peer.progressed
      if time > settings.stall {
        return raise(
          ClusterFault(.stalled, rank: rank, life: peer.life, seconds: time, what: "lives, but without progress for"))
      }
    }
    // All wait for one another.
    let latest = local.peers.values.map(\.progressed).max() ?? now
    guard now - latest > settings.stall, local.peers.values.allSatisfy(\.life.waits) else { return }
    let phases = local.peers.sorted { $0.key < $1.key }.map { "rank \($0.key) \($0.value.life.phase)" }
    let seconds = Int(now - latest)
    raise(
      ClusterFault(
        .stalled, rank: -1, "every rank waits for another for \(seconds) s: \(phases.joined(separator: ", "))"))
  }
}
