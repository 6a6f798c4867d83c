/// Who owns which numbers of a flat buffer: who finishes their sums, holds their moments and changes their weights.
///
/// A buffer is cut into pieces of whole blocks of 65,536 numbers (the block of the optimizer's norm), dealt out in
/// turn. So every rank owns numbers of every layer: what a backward pass finishes goes to all ranks at once, not to
/// one. Who owns what changes no bit.
public struct Slices: Sendable {
  /// Numbers in a block.
  public static let blockCount = 65_536
  /// The largest piece: 4 MB.
  static let largestPiece = 16

  /// Numbers of the whole buffer.
  public let count: Int
  /// The number of ranks.
  public let ranks: Int
  /// Blocks in a piece.
  let pieceBlocks: Int

  /// The slices of `count` numbers. Pieces are as large as leaves each rank at least 16, and 4 MB at most.
  public init(count: Int, ranks: Int) {
    precondition(count >= 0 && ranks >= 1, "Slices: \(count) numbers of \(ranks) ranks")
    self.count = count
    self.ranks = ranks
    let blocks = (count + Self.blockCount - 1) / Self.blockCount
    pieceBlocks = ranks == 1 ? Self.largestPiece : max(1, min(Self.largestPiece, blocks / (16 * ranks)))
  }

  var pieceCount: Int { pieceBlocks * Self.blockCount }

  /// How many pieces there are.
  var pieces: Int { (count + pieceCount - 1) / pieceCount }

  func piece(_ index: Int) -> Range<Int> { index * pieceCount..<min(count, (index + 1) * pieceCount) }

  func owner(ofPiece index: Int) -> Int { index % ranks }

  /// Who owns the number `index`.
  public func owner(of index: Int) -> Int { owner(ofPiece: index / pieceCount) }

  /// The ranges that a rank owns, in order; whole blocks but for the last of the buffer.
  public func ranges(of rank: Int) -> [Range<Int>] {
    ranks == 1 ? (count == 0 ? [] : [0..<count]) : stride(from: rank, to: pieces, by: ranks).map(piece)
  }

  /// How many numbers a rank owns.
  public func owned(by rank: Int) -> Int { ranges(of: rank).reduce(0) { $0 + $1.count } }
}
