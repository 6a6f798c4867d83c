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

  /// A whole number of blocks of every format.
  static let sliceCount = 1 << 18

  /// Reads elements `range`, whole blocks, as fp32. `consume` sees each slice once it is in place.
  func read(
    _ range: Range<Int>, into target: UnsafeMutablePointer<Float>,
    consume: (UnsafeBufferPointer<Float>) -> Void = { _ in }
  ) throws {
    let scratch = UnsafeMutableRawBufferPointer.allocate(
      byteCount: format == .float32 ? 0 : format.byteCount(min(range.count, Self.sliceCount)), alignment: 64)
    defer { scratch.deallocate() }
    var next = range.lowerBound
    while next < range.upperBound {
      let count = min(range.upperBound - next, Self.sliceCount)
      let slice = UnsafeMutableBufferPointer(start: target + (next - range.lowerBound), count: count)
      let place = offset + format.byteCount(next)
      if format == .float32 {
        try file.read(into: UnsafeMutableRawBufferPointer(slice), at: place)
      } else {
        let bytes = UnsafeMutableRawBufferPointer(rebasing: scratch[..<format.byteCount(count)])
        try file.read(into: bytes, at: place)
        widen(bytes.baseAddress!, format, into: slice.baseAddress!, count: count)
      }
      consume(UnsafeBufferPointer(slice))
      next += count
    }
  }
}
