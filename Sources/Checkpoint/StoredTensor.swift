import Support

/// Numbers of one tensor inside a file, row by row.
struct StoredTensor {
  let file: InputFile
  let name: String
  let shape: [Int]
  let format: NumberFormat
  /// Where its first byte is. The whole tensor lies inside of the file; that is checked where it is found.
  let offset: Int

  var count: Int { shape.reduce(1, *) }

  static let sliceCount = 1 << 18

  /// Reads elements `range` as fp32. `consume` sees each slice once it is in place.
  func read(
    _ range: Range<Int>, into target: UnsafeMutablePointer<Float>,
    consume: (UnsafeBufferPointer<Float>) -> Void = { _ in }
  ) throws {
    let scratch = UnsafeMutableBufferPointer<UInt16>.allocate(
      capacity: format == .float32 ? 0 : min(range.count, Self.sliceCount))
    defer { scratch.deallocate() }
    var next = range.lowerBound
    while next < range.upperBound {
      let count = min(range.upperBound - next, Self.sliceCount)
      let slice = UnsafeMutableBufferPointer(start: target + (next - range.lowerBound), count: count)
      if format == .float32 {
        try file.read(into: UnsafeMutableRawBufferPointer(slice), at: offset + next * 4)
      } else {
        try file.read(
          into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(scratch)[..<(count * 2)]),
          at: offset + next * 2)
        widen(scratch.baseAddress!, format, into: slice.baseAddress!, count: count)
      }
      consume(UnsafeBufferPointer(slice))
      next += count
    }
  }
}
