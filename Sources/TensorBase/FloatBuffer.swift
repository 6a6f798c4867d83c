import Glibc

/// A flat, 64-byte aligned run of fp32 numbers that starts as zeros.
///
/// Large buffers are anonymous mappings: a page costs memory only once it is touched, so a generous capacity is free
/// until it is used.
public final class FloatBuffer: @unchecked Sendable {
  /// The number of floats.
  public let count: Int
  /// The first number.
  public let pointer: UnsafeMutablePointer<Float>

  private let mapping: (base: UnsafeMutableRawPointer, length: Int)?
  /// Whose memory this is, if it is not our own.
  private let owner: FloatBuffer?

  private static let mappedBytes = 1 << 20
  private static let hugePage = 1 << 21

  /// Allocates `count` zeros. Running out of address space stops the program: whether memory suffices is for `plan` to
  /// say.
  /// - Parameter isSparse: few and far parts of it will be touched, so pages stay small.
  public init(count: Int, isSparse: Bool = false) {
    precondition(count >= 0, "FloatBuffer: count \(count) is negative")
    self.count = count
    owner = nil
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    guard bytes >= FloatBuffer.mappedBytes else {
      let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
      memset(raw, 0, bytes)
      pointer = raw.bindMemory(to: Float.self, capacity: max(count, 1))
      mapping = nil
      return
    }
    // Room to start on a huge page, so that big matrices need few address translations.
    let slack = bytes >= 2 * FloatBuffer.hugePage && !isSparse ? FloatBuffer.hugePage : 0
    let length = bytes + slack
    let base = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let base, base != MAP_FAILED else {
      preconditionFailure("FloatBuffer: cannot map \(bytes) bytes: \(String(cString: strerror(errno)))")
    }
    var start = base
    if slack > 0 {
      let address = (Int(bitPattern: base) + slack - 1) & ~(slack - 1)
      start = UnsafeMutableRawPointer(bitPattern: address)!
      madvise(start, bytes, MADV_HUGEPAGE)
    }
    pointer = start.bindMemory(to: Float.self, capacity: count)
    mapping = (base, length)
  }

  /// The numbers of `range` of another buffer, which lives as long as this one.
  public init(sharing owner: FloatBuffer, _ range: Range<Int>) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= owner.count,
      "FloatBuffer: range \(range) is outside of 0..<\(owner.count)")
    count = range.count
    pointer = owner.pointer + range.lowerBound
    mapping = nil
    self.owner = owner
  }

  deinit {
    if owner != nil { return }
    if let mapping {
      munmap(mapping.base, mapping.length)
    } else {
      UnsafeMutableRawPointer(pointer).deallocate()
    }
  }

  /// Copies all numbers to the front of `target`, giving pages back as it goes: both together never take more than a
  /// few MB beyond `target`. What was here is lost: numbers of whole pages are zeros afterwards.
  public func move(into target: FloatBuffer) {
    precondition(target.count >= count, "FloatBuffer: \(count) numbers do not fit \(target.count)")
    let slice = 1 << 23
    for start in stride(from: 0, to: count, by: slice) {
      let size = min(slice, count - start)
      (target.pointer + start).update(from: pointer + start, count: size)
      // Only whole slices: what begins a slice begins a page.
      if mapping != nil, size == slice { madvise(pointer + start, slice * MemoryLayout<Float>.stride, MADV_DONTNEED) }
    }
  }

  /// Sets every number to zero.
  public func zero() {
    memset(pointer, 0, count * MemoryLayout<Float>.stride)
  }

  /// The numbers of `range`, without a copy. The buffer must outlive the result.
  public subscript(range: Range<Int>) -> UnsafeMutableBufferPointer<Float> {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= count, "FloatBuffer: range \(range) is outside of 0..<\(count)")
    return UnsafeMutableBufferPointer(start: pointer + range.lowerBound, count: range.count)
  }

  /// One number; the index is checked.
  public subscript(index: Int) -> Float {
    get {
      precondition(index >= 0 && index < count, "FloatBuffer: index \(index) is outside of 0..<\(count)")
      return pointer[index]
    }
    set {
      precondition(index >= 0 && index < count, "FloatBuffer: index \(index) is outside of 0..<\(count)")
      pointer[index] = newValue
    }
  }
}
