import Foundation
import Tensor

/// Adds the gradients of all ranks piece by piece, from the end of the buffer to its start: every rank adds what it can
/// of its own, sends the sums to the piece's owner, and the owner adds the rest. The additions of each number are those
/// of one process, whatever the ranks and the pieces.
final class TreeReduction: Reduction, @unchecked Sendable {
  /// Bytes of others' sums that may lie here until they are added.
  private static let roomBytes = 128 << 20
  /// Numbers that go through all additions at a time: they stay in the cache.
  private static let chunk = 8_192

  private let communicator: Communicator
  private let slices: Slices
  private let target: FloatBuffer
  private let spare: SpareBuffers
  /// This rank's sums, in order. What they hold is used up.
  private let leaves: [FloatBuffer]
  private let own: Fold
  /// The nodes of all ranks in order: whose each is.
  private let ranks: [Int]
  private let whole: Fold
  private let onEnd: () -> Void

  /// Under the communicator's lock.
  private var released: Int
  private var runs = false
  private var result: Result<Void, any Error>?

  /// A piece whose sums are on their way here.
  private struct Arriving {
    var range: Range<Int>
    var room: FloatBuffer?
    var sums: [UnsafeMutablePointer<Float>]
    var transfers: [Transfer]
  }

  /// - Parameters:
  ///   - leaves: this rank's sums, in order.
  ///   - shapes: the nodes that each rank is left with, in order.
  ///   - spare: room for others' sums.
  ///   - onEnd: called when the leaves are used up.
  init(
    _ communicator: Communicator, leaves: [(node: TreeNode, sum: FloatBuffer)], shapes: [[TreeNode]],
    into target: FloatBuffer, last: FloatBuffer?, spare: SpareBuffers, onEnd: @escaping () -> Void
  ) {
    self.communicator = communicator
    self.target = target
    self.spare = spare
    self.onEnd = onEnd
    slices = Slices(count: target.count, ranks: communicator.size)
    self.leaves = leaves.map(\.sum)
    own = Fold(leaves.map(\.node))
    precondition(
      own.roots.map(\.node) == shapes[communicator.rank], "TreeReduction: rank \(communicator.rank) has other nodes")
    ranks = shapes.indices.flatMap { rank in shapes[rank].map { _ in rank } }
    precondition(!ranks.isEmpty, "TreeReduction: no parts")
    var whole = Fold(shapes.flatMap(\.self))
    whole.finish()
    self.whole = whole
    released = last == nil ? 0 : target.count
  }

  func release(from start: Int) {
    communicator.condition.lock()
    let begins = !runs
    released = min(released, start)
    runs = true
    communicator.condition.broadcast()
    communicator.condition.unlock()
    guard begins else { return }
    let thread = Thread { [self] in
      let result = Result { try run() }
      communicator.condition.withLock {
        self.result = result
        communicator.condition.broadcast()
      }
    }
    thread.name = "reduction"
    thread.start()
  }

  func finish() throws {
    communicator.condition.lock()
    released = 0
    let runs = runs
    communicator.condition.broadcast()
    communicator.condition.unlock()
    if runs {
      // It ends by itself when a rank is lost.
      communicator.condition.lock()
      while result == nil { communicator.condition.wait() }
      communicator.condition.unlock()
      try result!.get()
    } else {
      try run()
    }
    onEnd()
  }

  private func run() throws {
    var arriving: [Arriving] = []
    var leaving: [Transfer] = []
    var roomBytes = 0
    func takeFirst() throws {
      let first = arriving.removeFirst()
      try add(first)
      guard let room = first.room else { return }
      roomBytes -= 4 * room.count
      spare.give(room)
    }
    for piece in (0..<slices.pieces).reversed() {
      let (range, owner) = (slices.piece(piece), slices.owner(ofPiece: piece))
      try waitForRelease(range.lowerBound)
      let sums = leaves.map { $0.pointer + range.lowerBound }
      apply(own.additions, sums, range.count)
      let roots = own.roots.map { sums[$0.place] }
      guard owner == communicator.rank else {
        leaving += roots.map { root in
          communicator.send(UnsafeRawBufferPointer(start: root, count: 4 * range.count), to: owner, .reduction)
        }
        continue
      }
      // The piece before this one has had the time of all others' pieces to arrive in.
      while arriving.count > 1 || (!arriving.isEmpty && roomBytes > Self.roomBytes) { try takeFirst() }
      arriving.append(expect(range, roots))
      roomBytes += 4 * (arriving[arriving.count - 1].room?.count ?? 0)
    }
    while !arriving.isEmpty { try takeFirst() }
    try communicator.wait(leaving)
  }

  private func waitForRelease(_ start: Int) throws {
    communicator.condition.lock()
    defer { communicator.condition.unlock() }
    while released > start {
      if let fault = communicator.shared.fault { throw fault.error }
      communicator.condition.wait()
    }
  }

  /// Makes room for the sums of the other ranks.
  private func expect(_ range: Range<Int>, _ roots: [UnsafeMutablePointer<Float>]) -> Arriving {
    let foreign = ranks.count { $0 != communicator.rank }
    let room = foreign == 0 ? nil : spare.take(count: foreign * slices.pieceCount)
    var arriving = Arriving(range: range, room: room, sums: [], transfers: [])
    var (nextOwn, nextForeign) = (0, 0)
    for rank in ranks {
      if rank == communicator.rank {
        arriving.sums.append(roots[nextOwn])
        nextOwn += 1
        continue
      }
      let start = room!.pointer + nextForeign * range.count
      nextForeign += 1
      arriving.sums.append(start)
      let bytes = UnsafeMutableRawBufferPointer(start: start, count: 4 * range.count)
      arriving.transfers.append(communicator.receive(bytes, from: rank, .reduction))
    }
    return arriving
  }

  private func add(_ arriving: Arriving) throws {
    try communicator.wait(arriving.transfers)
    apply(whole.additions, arriving.sums, arriving.range.count)
    let sum = arriving.sums[whole.roots[0].place]
    let place = target.pointer + arriving.range.lowerBound
    if place != sum { place.update(from: sum, count: arriving.range.count) }
  }

  private func apply(_ additions: [(left: Int, right: Int)], _ sums: [UnsafeMutablePointer<Float>], _ count: Int) {
    for start in stride(from: 0, to: count, by: Self.chunk) {
      let size = min(Self.chunk, count - start)
      for (left, right) in additions { addFloats(sums[right] + start, to: sums[left] + start, count: size) }
    }
  }
}

/// Numbers that go from their owners to everybody, from the start of the buffer to its end.
final class SliceGathering: Gathering {
  private let communicator: Communicator
  private var arriving: [(start: Int, transfer: Transfer)] = []
  private var leaving: [Transfer] = []

  init(_ communicator: Communicator, _ buffer: FloatBuffer) {
    self.communicator = communicator
    let slices = Slices(count: buffer.count, ranks: communicator.size)
    guard communicator.size > 1 else { return }
    for piece in 0..<slices.pieces {
      let (range, owner) = (slices.piece(piece), slices.owner(ofPiece: piece))
      let bytes = UnsafeMutableRawBufferPointer(start: buffer.pointer + range.lowerBound, count: 4 * range.count)
      if owner != communicator.rank {
        arriving.append((range.lowerBound, communicator.receive(bytes, from: owner, .gathering)))
        continue
      }
      for distance in 1..<communicator.size {
        let peer = (communicator.rank + distance) % communicator.size
        leaving.append(communicator.send(UnsafeRawBufferPointer(bytes), to: peer, .gathering))
      }
    }
  }

  func wait(before end: Int) throws {
    try communicator.wait(arriving.prefix { $0.start < end }.map(\.transfer))
  }

  func finish() throws { try communicator.wait(arriving.map(\.transfer) + leaving) }
}
