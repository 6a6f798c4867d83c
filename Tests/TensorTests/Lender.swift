import Tensor

/// Lends arrays to functions that take rows: each is copied to memory that lives as long as `lending` runs.
final class Lender {
  private var buffers: [FloatBuffer] = []

  /// As many rows of `width` numbers as `values` holds.
  func rows(_ values: [Float], width: Int, stride: Int? = nil) -> Rows {
    Rows(mutable(values, width: width, stride: stride))
  }

  /// The same, to be written; `contents` tells what came of it.
  func mutable(_ values: [Float], width: Int, stride: Int? = nil) -> MutableRows {
    let stride = stride ?? width
    precondition(values.count % stride == 0, "\(values.count) numbers are no rows of \(stride)")
    return MutableRows(pointer(values), count: values.count / stride, width: width, stride: stride)
  }

  func pointer(_ values: [Float]) -> UnsafeMutablePointer<Float> {
    let buffer = FloatBuffer(count: values.count)
    buffer.pointer.update(from: values, count: values.count)
    buffers.append(buffer)
    return buffer.pointer
  }

  /// All numbers of an array that was lent, gaps between rows included.
  func contents(_ rows: MutableRows) -> [Float] { contents(rows.pointer) }

  func contents(_ pointer: UnsafeMutablePointer<Float>) -> [Float] {
    guard let buffer = buffers.first(where: { $0.pointer == pointer }) else { preconditionFailure("not lent") }
    return Array(UnsafeBufferPointer(start: buffer.pointer, count: buffer.count))
  }
}

func lending<Result>(_ body: (Lender) throws -> Result) rethrows -> Result {
  let lender = Lender()
  defer { withExtendedLifetime(lender) {} }
  return try body(lender)
}
